// SPDX-License-Identifier: Apache-2.0

// Who is at the other end of a connection, as far as its certificate tells.

import { X509Certificate, type KeyObject } from "node:crypto";
import type { ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { PROBE_UNIT } from "@meridian/snapshot";
import { RENEWAL_GRACE_MS, SKEW_MS } from "./limits.ts";

/** Who asks for something. */
export interface Peer {
  /** Method and path that are asked for. */
  readonly request: string;
  readonly address: string;
  /** Whose certificate it showed; undefined without one of this control plane. */
  readonly edge: string | undefined;
  /** Of its certificate. */
  readonly key?: KeyObject | undefined;
  readonly endsAtMs?: number;
  /** The certificate itself is good for reporting alone. */
  readonly isProbe?: boolean;
  /** When the certificate was made, wall time; 0 where it is not known. */
  readonly issuedAtMs: number;
  /** Whose certificate of this control plane it showed, though it has expired: it may be renewed. */
  readonly expired?: string;
  /** Why the certificate that it showed is not taken. */
  readonly refusal: string;
}

/** Of a connection whose certificate was looked at by TLS; `authority` is this control plane's. */
export function peerOf(
  stream: ServerHttp2Stream,
  authority: string,
  nowMs: number,
): Omit<Peer, "request"> {
  const socket = stream.session?.socket;
  const address = `${socket?.remoteAddress ?? ""}:${socket?.remotePort ?? ""}`;
  if (!(socket instanceof TLSSocket))
    return { address, edge: undefined, issuedAtMs: 0, refusal: "it uses no TLS" };
  const { subject, valid_from: validFrom, valid_to: validTo } = socket.getPeerCertificate();
  const fromMs = Date.parse(validFrom);
  const issuedAtMs = Number.isFinite(fromMs) ? fromMs + SKEW_MS : 0;
  const name: unknown = subject?.CN;
  if (socket.authorized && typeof name === "string")
    return {
      ...{ address, edge: name, issuedAtMs, refusal: "" },
      key: socket.getPeerX509Certificate()?.publicKey,
      endsAtMs: Date.parse(validTo),
      isProbe: isProbeSubject(subject),
    };
  const expired = expiredName(socket, authority, nowMs);
  const shown = typeof name === "string" ? `of "${name}" is not taken` : "is missing";
  return {
    address,
    edge: undefined,
    issuedAtMs,
    ...(expired === undefined ? {} : { expired, isProbe: isProbeSubject(subject) }),
    refusal: `the certificate ${shown}: ${String(socket.authorizationError)}; join with a token of this control plane`,
  };
}

function isProbeSubject(subject: unknown): boolean {
  return (
    typeof subject === "object" && subject !== null && Reflect.get(subject, "OU") === PROBE_UNIT
  );
}

/** Whose certificate this is that is good but for its age. What TLS says of it names one flaw of perhaps several: it is looked at here. */
function expiredName(socket: TLSSocket, authority: string, nowMs: number): string | undefined {
  const shown = socket.getPeerX509Certificate();
  const issuer = new X509Certificate(authority);
  if (shown === undefined || !shown.checkIssued(issuer) || !shown.verify(issuer.publicKey))
    return undefined;
  const endedAtMs = Date.parse(shown.validTo);
  const name = /^CN=([a-z0-9-]+)$/m.exec(shown.subject)?.[1];
  return endedAtMs <= nowMs && nowMs - endedAtMs < RENEWAL_GRACE_MS ? name : undefined;
}
