// SPDX-License-Identifier: Apache-2.0

// The alerts that can be seen from what is served: verdicts, pools and tiers without a healthy endpoint, shifts and certificates that end, files
// and revisions that were refused, edges that are away.

import { branchesOf, indexKey, type TrafficPolicyDocument } from "@meridian/model";
import type { EdgeView } from "../edges/edge-hub.ts";
import type { Expiry } from "../expiries.ts";
import type { UnkeptRevision } from "../revision-keeper.ts";
import type { ServedModel } from "../served-model.ts";
import type { Shift } from "../shift-effects.ts";
import type { Alert } from "./alert.ts";

/** A shift is told this long before it ends. */
const SHIFT_ENDS_MS = 15 * 60_000;
/** An edge that was not heard of for so long is told; edges come back by themselves after less. */
const EDGE_AWAY_MS = 15_000;
/** Certificates that people renew are told this long before they end. */
const CERTIFICATE_ENDS_MS = 7 * 24 * 3_600_000;
/** An edge renews its own when a third of 24 hours is left: one with less than this does not. */
const EDGE_CERTIFICATE_ENDS_MS = 6 * 3_600_000;
/** What a TLS probe says of a certificate that has expired or soon will. */
const CERTIFICATE = /^certificate (expire[sd]) on /;

/** What alerts are made from. */
export interface Served {
  readonly model: ServedModel | undefined;
  readonly verdicts: Iterable<{ readonly key: string; readonly verdict: string }>;
  /** Why an endpoint has its verdict, where that is known. */
  readonly reasons: ReadonlyMap<string, string>;
  readonly latches: readonly { readonly name: string; readonly tier: number }[];
  readonly shifts: readonly Shift[];
  /** Messages about files and documents that are not served. */
  readonly refused: readonly string[];
  /** What is served where the disk has refused it. */
  readonly unkept: UnkeptRevision | undefined;
  readonly edges: readonly EdgeView[];
  /** Certificates that somebody has to renew. */
  readonly expiries: readonly Expiry[];
}

/** Everything that holds at `nowMs`. */
export function* servedAlerts(served: Served, nowMs: number): Generator<Alert> {
  const unhealthy = new Set<string>();
  const other = new Set<string>();
  for (const { key, verdict } of served.verdicts) {
    if (verdict !== "unhealthy") other.add(key);
    else {
      unhealthy.add(key);
      yield* verdictAlerts(key, served.reasons.get(key));
    }
  }
  const isDown = (key: string): boolean => unhealthy.has(key) && !other.has(key);
  const { model } = served;
  if (model !== undefined) {
    const down = new Set(poolsDown(model, isDown));
    for (const pool of down)
      yield {
        event: "all-down",
        subject: `pool/${pool}`,
        namespace: namespaceOf(pool),
        summary: `Every endpoint of pool ${pool} is unhealthy`,
      };
    yield* failovers(model, down, served.latches);
  }
  for (const { target, expiresAtMs } of served.shifts)
    if (expiresAtMs - nowMs < SHIFT_ENDS_MS)
      yield {
        event: "ending-shift",
        subject: `shift/${target}`,
        namespace: target.startsWith("site/") ? "" : (target.split("/")[1] ?? ""),
        summary: `The shift of ${target} ends at ${timeText(expiresAtMs)}`,
      };
  const [first] = served.refused;
  if (first !== undefined)
    yield {
      event: "refused-publish",
      subject: "files",
      namespace: "",
      summary: `The last good revision stays: ${first}${more(served.refused.length)}`,
    };
  if (served.unkept !== undefined)
    yield {
      event: "unkept-revision",
      subject: "state-folder",
      namespace: "",
      summary: `The state folder does not take revision ${served.unkept.revision}, which is served: ${served.unkept.reason}`,
    };
  for (const { name, connected, lastWordMs } of served.edges)
    if (!connected && lastWordMs !== undefined && nowMs - lastWordMs > EDGE_AWAY_MS)
      yield {
        event: "isolated-edge",
        subject: `edge/${name}`,
        namespace: "",
        summary: `Edge ${name} was last heard of at ${timeText(lastWordMs)}`,
      };
  for (const { name, disk } of served.edges)
    if (disk !== undefined)
      yield {
        event: "edge-disk",
        subject: `edge/${name}`,
        namespace: "",
        summary: `The disk of edge ${name} does not take ${disk.what}: ${disk.reason}`,
      };
  yield* certificateAlerts(served, nowMs);
}

function* certificateAlerts(
  { edges, expiries }: Pick<Served, "edges" | "expiries">,
  nowMs: number,
): Generator<Alert> {
  const alert = (subject: string, what: string, atMs: number): Alert => ({
    event: "expiring-certificate",
    subject,
    namespace: "",
    summary: `${what} ${atMs > nowMs ? "ends" : "ended"} at ${timeText(atMs)}`,
  });
  for (const { name, certificateEndsMs = Infinity } of edges)
    if (certificateEndsMs - nowMs < EDGE_CERTIFICATE_ENDS_MS)
      yield alert(
        `edge/${name}`,
        `Edge ${name} does not renew its certificate, which`,
        certificateEndsMs,
      );
  for (const { subject, atMs } of expiries)
    if (atMs - nowMs < CERTIFICATE_ENDS_MS) yield alert(subject, `The ${wordsOf(subject)}`, atMs);
}

/** Of the subject of an expiry. */
function wordsOf(subject: string): string {
  if (subject === "certificate/authority") return "authority that certifies edges";
  const control = /^control\/(.+)$/.exec(subject)?.[1];
  return control === undefined
    ? "certificate of the API"
    : `certificate of the API of control ${control}`;
}

function* verdictAlerts(key: string, reason: string | undefined): Generator<Alert> {
  const namespace = key.split("/")[1] ?? "";
  const why = reason === undefined ? "" : `: ${reason}`;
  const common = { subject: key, namespace, summary: `${key} is unhealthy${why}` };
  yield { event: "verdict", ...common };
  const ends = CERTIFICATE.exec(reason ?? "");
  if (ends !== null)
    yield { event: "expiring-certificate", ...common, summary: `${key}: ${reason ?? ""}` };
}

/** `NAMESPACE/NAME` of pools that have endpoints, all of them unhealthy. */
function* poolsDown(model: ServedModel, isDown: (key: string) => boolean): Generator<string> {
  for (const [name, { document, members }] of model.pools)
    if (document.spec.healthCheck !== undefined && members.size > 0)
      if (members.values().every(({ key }) => isDown(key))) yield name;
}

/** Failover nodes that do not use their first tier: by their latch where they have one, else by what is down. */
function* failovers(
  model: ServedModel,
  down: ReadonlySet<string>,
  latches: Served["latches"],
): Generator<Alert> {
  const latched = new Map(latches.map(({ name, tier }) => [name, tier]));
  for (const [policy, document] of model.policies) {
    const namespace = namespaceOf(policy);
    for (const [node, { failover }] of Object.entries(document.spec.nodes)) {
      if (failover === undefined) continue;
      const name = `${policy}/${node}`;
      const isUp = (tier: number): boolean =>
        (failover.tiers[tier - 1]?.branches ?? []).some((branch) =>
          leadsUp(branch, document, namespace, down),
        );
      const tiers = failover.tiers.map((_tier, index) => index + 1);
      const tier = latched.get(name) ?? tiers.find(isUp) ?? 1;
      if (tier > 1)
        yield {
          event: "failover",
          subject: `node/${name}`,
          namespace,
          summary: `Failover node ${name} uses tier ${tier} of ${tiers.length}`,
        };
    }
  }
}

type Branch = { readonly pool?: string | undefined; readonly node?: string | undefined };

/** Whether a branch leads to a pool that is not down, or to a name outside; a policy has no cycles. */
function leadsUp(
  { pool, node }: Branch,
  policy: TrafficPolicyDocument,
  namespace: string,
  down: ReadonlySet<string>,
): boolean {
  if (pool !== undefined) return !down.has(indexKey(namespace, pool));
  const next = node === undefined ? undefined : policy.spec.nodes[node];
  if (next === undefined) return true;
  return branchesOf(next).some(({ branch }) => leadsUp(branch, policy, namespace, down));
}

function namespaceOf(name: string): string {
  return name.slice(0, name.indexOf("/"));
}

function more(count: number): string {
  return count > 1 ? `, and ${count - 1} more` : "";
}

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
