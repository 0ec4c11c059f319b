// SPDX-License-Identifier: Apache-2.0

// HealthCheck documents and pools → what the health runner probes.

import { readFileSync } from "node:fs";
import { parseDuration } from "@meridian/core";
import {
  CHILD_MARK,
  type CheckSpec,
  type CheckTiming,
  type HttpFields,
  type LoadSource,
  type ProbeTarget,
  type StatusRange,
  type TlsFields,
} from "@meridian/health";
import {
  addressBytes,
  probeKindOf,
  probeTiming,
  type HealthCheckDocument,
  type SecretReference,
  type HealthCheckSpec,
  type LoadSpec,
  type Member,
  type Model,
  type Pool,
} from "@meridian/model";

/** Addresses of host-name members, by name; a member whose name is not in it yet is not probed. */
export type ResolvedHosts = ReadonlyMap<string, string>;

/** What is needed of a model. */
export type CheckedPools = Pick<Model, "pools" | "checks" | "check">;

/** Targets of pools, made once for each pool as long as it is the same object: of 30,000 pools a reload changes a few. */
export class ProbeTargets {
  #checks: Model["checks"] | undefined;
  #ofPool: ReadonlyMap<Pool, readonly ProbeTarget[]> = new Map();
  /** Whether the targets made last depend on documents alone. */
  isSteady = false;

  /** Every endpoint that a check judges, under its endpoint key, and the children of calculated checks under `KEY#CHECK`. */
  of(model: CheckedPools, hosts: ResolvedHosts): ProbeTarget[] {
    const known = model.checks === this.#checks ? this.#ofPool : new Map<Pool, ProbeTarget[]>();
    const steady = new Map<Pool, readonly ProbeTarget[]>();
    const all: ProbeTarget[] = [];
    const specs: CheckSpecs = new Map();
    for (const pool of model.pools.values()) {
      const kept = known.get(pool);
      const targets = kept ?? targetsOfPool(model, pool, hosts, specs);
      for (const target of targets) all.push(target);
      if (kept !== undefined || isSteady(pool, targets)) steady.set(pool, targets);
    }
    this.#checks = model.checks;
    this.#ofPool = steady;
    this.isSteady = steady.size === model.pools.size;
    return all;
  }
}

/** Whether targets depend on documents alone: neither on what names resolve to, nor on a file of certificates. */
function isSteady({ members }: Pool, targets: readonly ProbeTarget[]): boolean {
  const hasHost = [...members.values()].some(
    ({ spec }) => addressBytes(spec.address) === undefined,
  );
  return !hasHost && targets.every(({ check }) => !("caPem" in check));
}

function targetsOfPool(
  model: CheckedPools,
  pool: Pool,
  hosts: ResolvedHosts,
  specs: CheckSpecs,
): ProbeTarget[] {
  const { spec, metadata } = pool.document;
  const check =
    spec.healthCheck === undefined ? undefined : model.check(metadata.namespace, spec.healthCheck);
  if (check === undefined) return [];
  return [...pool.members.values()].flatMap((member) =>
    targetsOf(model, pool, member, check, hosts, specs),
  );
}

/** Endpoints share what is probed: 100,000 targets have a few specifications between them, by how the pool reads its load. */
type CheckSpecs = Map<HealthCheckDocument, Map<string, CheckSpec>>;

function targetsOf(
  model: CheckedPools,
  pool: Pool,
  member: Member,
  check: HealthCheckDocument,
  hosts: ResolvedHosts,
  specs: CheckSpecs,
): ProbeTarget[] {
  const address =
    addressBytes(member.spec.address) === undefined
      ? hosts.get(member.spec.address)
      : member.spec.address;
  if (address === undefined || member.spec.serve === "never") return [];
  const target = (key: string, own: HealthCheckDocument): ProbeTarget => ({
    key,
    checkName: `${own.metadata.namespace}/${own.metadata.name}`,
    check: specOf(specs, own, key, own === check ? pool.document.spec.load : undefined),
    address,
    ...(address === member.spec.address ? {} : { hostName: member.spec.address }),
    port: portOf(own.spec) ?? member.spec.port ?? 0,
    ...(member.spec.site === undefined ? {} : { site: member.spec.site }),
  });
  const children = (check.spec.calculated?.children ?? []).flatMap((name) => {
    const child = model.check(check.metadata.namespace, name);
    return child === undefined ? [] : [target(`${member.key}${CHILD_MARK}${name}`, child)];
  });
  return [target(member.key, check), ...children];
}

/** Only that of a calculated check depends on the member. */
function specOf(
  specs: CheckSpecs,
  document: HealthCheckDocument,
  key: string,
  load: LoadSpec | undefined,
): CheckSpec {
  const byLoad = specs.get(document) ?? new Map<string, CheckSpec>();
  const loadText = load === undefined ? "" : JSON.stringify(load);
  const known = byLoad.get(loadText);
  if (known !== undefined) return known;
  const spec = withReferences(checkSpec(document.spec, key, load), document);
  if (spec.kind !== "calculated") specs.set(document, byLoad.set(loadText, spec));
  return spec;
}

function withReferences(check: CheckSpec, { metadata, spec }: HealthCheckDocument): CheckSpec {
  const secrets = (spec.http ?? spec.https)?.secretHeaders;
  if (secrets === undefined || (check.kind !== "http" && check.kind !== "https")) return check;
  const references = Object.entries(secrets).map(([header, reference]): [string, string] => [
    header,
    secretName(metadata.namespace, reference),
  ]);
  return { ...check, secretHeaders: Object.fromEntries(references) };
}

/** Secrets are named with their namespace: `NAMESPACE/file/NAME`, `NAMESPACE/env/NAME` or `NAMESPACE/kubernetes/NAME/KEY`. */
export function secretName(namespace: string, reference: SecretReference): string {
  return `${namespace}/${placeOf(reference)}`;
}

function placeOf({ file, env, kubernetesSecret: secret }: SecretReference): string {
  if (secret !== undefined) return `kubernetes/${secret.name}/${secret.key}`;
  return file === undefined ? `env/${env ?? ""}` : `file/${file}`;
}

function portOf(spec: HealthCheckSpec): number | undefined {
  return (
    spec.http?.port ??
    spec.https?.port ??
    spec.tcp?.port ??
    spec.tls?.port ??
    spec.grpc?.port ??
    spec.dns?.port
  );
}

/** The runner's view of a check. `key` names the children of a calculated one; `load` is read from the answers of the probe itself. */
export function checkSpec(spec: HealthCheckSpec, key: string, load?: LoadSpec): CheckSpec {
  const timing = timingOf(spec);
  switch (probeKindOf(spec)) {
    case "http":
      return { kind: "http", ...timing, ...httpFields(spec.http, load) };
    case "https":
      return {
        kind: "https",
        ...timing,
        ...httpFields(spec.https, load),
        ...tlsFields(spec.https),
        http2: spec.https?.http2 ?? true,
      };
    case "tcp":
      return {
        kind: "tcp",
        ...timing,
        ...(spec.tcp?.send === undefined ? {} : { send: spec.tcp.send }),
        ...(spec.tcp?.expect === undefined ? {} : { expect: spec.tcp.expect }),
      };
    case "tls":
      return {
        kind: "tls",
        ...timing,
        ...tlsFields(spec.tls),
        minDaysToExpiry: spec.tls?.minDaysToExpiry ?? 0,
      };
    case "grpc":
      return {
        kind: "grpc",
        ...timing,
        ...tlsFields(spec.grpc?.tls),
        service: spec.grpc?.service ?? "",
        tls: spec.grpc?.tls !== undefined,
      };
    case "dns":
      return {
        kind: "dns",
        ...timing,
        queryName: spec.dns?.name ?? ".",
        queryType: spec.dns?.recordType ?? "A",
        rcodes: spec.dns?.expectedRcodes ?? ["NOERROR"],
        ...(spec.dns?.contains === undefined ? {} : { answerContains: spec.dns.contains }),
      };
    case "icmp":
      return { kind: "icmp", ...timing };
    case "prometheus":
      return { kind: "prometheus", ...timing, ...prometheusFields(spec) };
    case "push":
      return {
        kind: "push",
        ...timing,
        staleAfterMs: ms(spec.push?.staleAfter ?? "30s"),
        onStale: "unknown",
      };
    case "calculated": {
      const children = (spec.calculated?.children ?? []).map(
        (name) => `${key}${CHILD_MARK}${name}`,
      );
      return {
        kind: "calculated",
        ...timing,
        children,
        threshold: spec.calculated?.minHealthy ?? 1,
      };
    }
  }
}

function timingOf(spec: HealthCheckSpec): CheckTiming {
  const { intervalMs, timeoutMs } = probeTiming(spec);
  const damping = spec.flapDamping;
  return {
    intervalMs,
    timeoutMs,
    unhealthyThreshold: spec.unhealthyThreshold,
    healthyThreshold: spec.healthyThreshold,
    initial: spec.initial,
    holdDownMs: ms(spec.holdDown ?? "0s"),
    ...(damping === undefined
      ? {}
      : {
          flapDamping: {
            maxFlips: damping.maxFlips,
            windowMs: ms(damping.window),
            holdMs: ms(damping.hold),
          },
        }),
    inverted: spec.inverted,
    disabled: spec.disabled,
    failFast: spec.failFast,
    jitter: spec.jitter / 100,
    ...(spec.vantages === undefined ? {} : { vantages: spec.vantages }),
    ...(spec.minVantages === undefined ? {} : { minVantages: spec.minVantages }),
    ...(spec.quorum?.percentHealthy === undefined
      ? {}
      : { percentHealthy: spec.quorum.percentHealthy }),
  };
}

function httpFields(spec: HealthCheckSpec["http"], load: LoadSpec | undefined): HttpFields {
  const source = loadSource(load);
  return {
    method: spec?.method ?? "GET",
    path: spec?.path ?? "/",
    headers: spec?.headers ?? {},
    ...(spec?.host === undefined ? {} : { host: spec.host }),
    ...(spec?.bodyContains === undefined ? {} : { bodyContains: spec.bodyContains }),
    statusRanges: (spec?.expectedStatus ?? ["200-299"]).map(statusRange),
    keepAlive: false,
    ...(source === undefined ? {} : { load: source }),
  };
}

function loadSource(load: LoadSpec | undefined): LoadSource | undefined {
  if (load?.orca !== undefined) return { kind: "orca", metric: load.orca.metric, full: load.scale };
  if (load?.json !== undefined) {
    const { pointer } = load.json;
    const path = pointer.slice(1).replaceAll("/", ".");
    // Vantages of before know dotted paths alone.
    const isDotted = !/[.~]/.test(pointer);
    return { kind: "json", path, full: load.scale, ...(isDotted ? {} : { pointer }) };
  }
  return undefined;
}

function statusRange(text: string): StatusRange {
  const [from = "200", to = from] = text.split("-");
  return { from: Number(from), to: Number(to) };
}

function tlsFields(
  spec:
    | {
        readonly serverName?: string | undefined;
        readonly insecureSkipVerify: boolean;
        readonly ca?: string | undefined;
      }
    | undefined,
): TlsFields {
  const caPem = spec?.ca === undefined ? undefined : readFileSync(spec.ca, "utf8");
  return {
    insecureSkipVerify: spec?.insecureSkipVerify ?? false,
    ...(spec?.serverName === undefined ? {} : { serverName: spec.serverName }),
    ...(caPem === undefined ? {} : { caPem }),
  };
}

function prometheusFields(
  spec: HealthCheckSpec,
): Omit<Extract<CheckSpec, { kind: "prometheus" }>, "kind" | keyof CheckTiming> {
  const own = spec.prometheus;
  const comparisons = ["gt", "ge", "lt", "le", "eq"] as const;
  const comparison = comparisons.find((name) => own?.comparison[name] !== undefined) ?? "gt";
  return {
    url: own?.url ?? "",
    query: own?.query ?? "",
    comparison,
    threshold: own?.comparison[comparison] ?? 0,
    insufficientData: own?.insufficientData ?? "lastKnown",
  };
}

function ms(duration: string): number {
  return parseDuration(duration) ?? 0;
}
