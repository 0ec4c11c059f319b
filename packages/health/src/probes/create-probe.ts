// SPDX-License-Identifier: Apache-2.0

import type { Clock, Random } from "@meridian/core";
import type { ProbeTarget } from "../check.ts";
import type { Dialer } from "../dial/dialer.ts";
import type { Probe } from "../probe.ts";
import { heldProbe } from "../secret-headers.ts";
import { DnsProbe } from "./dns/dns-probe.ts";
import { GrpcProbe } from "./grpc/grpc-probe.ts";
import type { HttpExchanges } from "./http/http-exchange.ts";
import { HttpProbe } from "./http/http-probe.ts";
import { HttpsProbe } from "./https/https-probe.ts";
import { IcmpProbe } from "./icmp/icmp-probe.ts";
import type { IcmpSender } from "./icmp/icmp-sender.ts";
import { PrometheusProbe } from "./prometheus/prometheus-probe.ts";
import { TcpProbe } from "./tcp/tcp-probe.ts";
import { TlsProbe } from "./tls/tls-probe.ts";

/** What probes need from their surroundings. */
export interface ProbeEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  readonly icmpSender?: IcmpSender;
  readonly dialer: Dialer;
  readonly exchanges: HttpExchanges;
}

/** The probe of `target`, or undefined where its check has none (disabled, push, calculated). */
export function createProbe(target: ProbeTarget, environment: ProbeEnvironment): Probe | undefined {
  const { check } = target;
  if (check.disabled) return undefined;
  const held = heldProbe(check);
  if (held !== undefined) return held;
  switch (check.kind) {
    case "http":
      return new HttpProbe(target, environment.exchanges.of(check), environment.dialer);
    case "https":
      return new HttpsProbe(target, check, environment.exchanges.of(check));
    case "tcp":
      return new TcpProbe(target, check, environment.dialer);
    case "tls":
      return new TlsProbe(target, check, environment.clock);
    case "grpc":
      return new GrpcProbe(target, check);
    case "dns":
      return new DnsProbe(target, check, environment.random);
    case "icmp":
      return new IcmpProbe(target, check, environment.icmpSender);
    case "prometheus":
      return new PrometheusProbe(target, check);
    case "push":
    case "calculated":
      return undefined;
  }
}
