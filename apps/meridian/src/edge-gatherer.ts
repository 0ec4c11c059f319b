// SPDX-License-Identifier: Apache-2.0

// Adds up what the edge's workers count in their shared buffers, for the API, which may not know the edge.
//
//   worker ──"buffers"──► fixed words, top names, log        since the worker began
//   worker ──"serving"──► words by zone, policy, pool, endpoint, node…   of one revision
//
// Words wrap, so they are read every second. Totals outlive a worker that is replaced: its words are read once more when its
// successor reports. Those of a revision go on under the next one by name.

import { SpareMemory } from "@meridian/core";
import type { EdgeFigures, EdgeFiguresSource } from "@meridian/control";
import { formatName, rcodeToText } from "@meridian/dns";
import {
  CounterSum,
  FixedCounter,
  QueryLogReader,
  RCODES,
  SnapshotCounters,
  counterShape,
  formatEdgeAddress,
  topNames,
  type CounterShape,
  type Edge,
  type HandlerReport,
} from "@meridian/edge";
import {
  NodeWord,
  SelectionLayout,
  type KeyRun,
  type TrafficCounts,
  type World,
} from "@meridian/snapshot";
import { ToldCounts, type SlotOf } from "./told-counts.ts";

const GATHER_MS = 1000;
/** Words of the fixed buffers that `totals` shows, by their names there. */
const fixedNames = {
  udp_queries: FixedCounter.udpQueries,
  tcp_queries: FixedCounter.tcpQueries,
  ipv6_queries: FixedCounter.ipv6Queries,
  silent: FixedCounter.silent,
  truncated: FixedCounter.truncated,
  ecs_used: FixedCounter.ecsUsed,
  withheld: FixedCounter.withheld,
  query_bytes: FixedCounter.queryBytes,
  answer_bytes: FixedCounter.answerBytes,
  edns: FixedCounter.edns,
  logged: FixedCounter.logged,
  empty: FixedCounter.empty,
  left_out: FixedCounter.leftOut,
  notify_sent: FixedCounter.notifySent,
  notify_acknowledged: FixedCounter.notifyAcknowledged,
  notify_failed: FixedCounter.notifyFailed,
  notify_received: FixedCounter.notifyReceived,
  limit_truncated: FixedCounter.limitTruncated,
  limit_dropped: FixedCounter.limitDropped,
  cookie_good: FixedCounter.cookieGood,
  signature_hits: FixedCounter.signatureHits,
  signatures_made: FixedCounter.signaturesMade,
  signatures_refused: FixedCounter.signaturesRefused,
} as const;

/** What one worker handed over when it began. */
interface WorkerBuffers {
  readonly fixed: CounterSum;
  readonly topNames: SharedArrayBuffer;
  readonly log: QueryLogReader | undefined;
  /** Between the last two times that its counters were read. */
  wasAsked: boolean;
  served: { readonly revision: number; readonly sum: CounterSum } | undefined;
}

export class EdgeGatherer implements EdgeFiguresSource {
  readonly #fixedTotals = new Float64Array(FixedCounter.firstRcode + RCODES);
  readonly #workers = new Map<number, WorkerBuffers>();
  /** Totals by revision; the newest is what is shown, an older one is there while a worker still serves it. */
  readonly #totals = new Map<number, Float64Array<ArrayBuffer>>();
  #edge: Edge | undefined;
  #newest: { readonly revision: number; readonly world: World } | undefined;
  /** What has come and is not looked at yet, in order: when a revision comes, workers have better to do than to wait for the processor. */
  readonly #later: (() => void)[] = [];
  /** Of totals that nobody counts in any more, and of those that were told. */
  readonly #spare = new SpareMemory();
  readonly #toldSpare = new SpareMemory();
  readonly #told = new ToldCounts((oldWorld, old, world) => {
    const told = carry(oldWorld, old, world, totalsFor(world, this.#toldSpare));
    this.#toldSpare.give(old.buffer);
    return told;
  }, performance.now());
  #timer: NodeJS.Timeout | undefined;
  #nextTurn: NodeJS.Immediate | undefined;

  /** `edge` is undefined where none runs in this process. */
  start(edge: Edge | undefined): void {
    this.#edge = edge;
    this.#timer = setInterval(() => this.#gatherInTurns(), GATHER_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#nextTurn);
  }

  /** Called in the turn in which a revision is posted to the workers. */
  published(revision: number, world: World): void {
    if (this.#newest === undefined) this.#follow(revision, world);
    else this.#later.push(() => this.#follow(revision, world));
  }

  #follow(revision: number, world: World): void {
    this.#gatherAll();
    const before = this.#newest;
    const old = before === undefined ? undefined : this.#totals.get(before.revision);
    this.#newest = { revision, world };
    if (before !== undefined && old !== undefined)
      this.#totals.set(revision, carry(before.world, old, world, totalsFor(world, this.#spare)));
    for (const known of this.#totals.keys()) {
      const isServed = [...this.#workers.values()].some(({ served }) => served?.revision === known);
      if (known === revision || isServed) continue;
      const totals = this.#totals.get(known);
      if (totals !== undefined) this.#spare.give(totals.buffer);
      this.#totals.delete(known);
    }
  }

  /** Takes what a worker posted. */
  take(report: HandlerReport): void {
    if (report.kind === "buffers") {
      // What its predecessor served comes before.
      this.#gather();
      this.#gatherWorker(this.#workers.get(report.worker));
      this.#workers.set(report.worker, {
        fixed: new CounterSum(report.counters, this.#fixedTotals),
        topNames: report.topNames,
        log: report.log === undefined ? undefined : new QueryLogReader(report.log),
        wasAsked: true,
        served: undefined,
      });
    } else if (report.kind === "serving") this.#later.push(() => this.#serves(report));
  }

  #serves(report: HandlerReport & { readonly kind: "serving" }): void {
    const worker = this.#workers.get(report.worker);
    const { revision, world } = this.#newest ?? {};
    if (revision === report.revision && world !== undefined && !this.#totals.has(revision))
      this.#totals.set(revision, totalsFor(world, this.#spare));
    const totals = this.#totals.get(report.revision);
    if (worker === undefined || totals === undefined) return;
    this.#gatherWorker(worker);
    worker.wasAsked = true;
    worker.served = {
      revision: report.revision,
      sum: new CounterSum(report.counters, totals, worker.served?.sum),
    };
  }

  /** Ends of the query logs of all workers. */
  logs(): QueryLogReader[] {
    return [...this.#workers.values()].flatMap(({ log }) => log ?? []);
  }

  figures(): EdgeFigures {
    this.#gather();
    const edge = this.#edge;
    const status = edge?.status();
    const fixed = this.#fixedTotals;
    const shape = this.#newest === undefined ? undefined : shapeOf(this.#newest.world);
    const words = this.#totals.get(this.#newest?.revision ?? -1) ?? new Float64Array(0);
    const { policyBase, poolBase, endpointBase, nodeBase, branchBase, audienceBase } =
      new SnapshotCounters(shape ?? { zones: 0, policies: 0, pools: 0, endpoints: 0 });
    return {
      totals: {
        ...Object.fromEntries(
          Object.entries(fixedNames).map(([name, word]) => [name, fixed[word] ?? 0]),
        ),
        log_dropped: this.logs().reduce((sum, { dropped }) => sum + dropped, 0),
        kernel_drops: status?.kernelDrops ?? 0,
        turns: status?.counts.turns ?? 0,
        connections_accepted: status?.counts.connectionsAccepted ?? 0,
        connections_refused: status?.counts.connectionsRefused ?? 0,
        handshakes: status?.counts.handshakes ?? 0,
        handshakes_failed: status?.counts.handshakesFailed ?? 0,
        doh_queries: status?.counts.dohQueries ?? 0,
        doh_refused: status?.counts.dohRefused ?? 0,
      },
      rcodes: rcodeCounts(fixed),
      zones: words.subarray(0, policyBase),
      policies: words.subarray(policyBase, poolBase),
      pools: words.subarray(poolBase, endpointBase),
      endpoints: words.subarray(endpointBase, nodeBase),
      nodes: words.subarray(nodeBase, branchBase),
      branches: words.subarray(branchBase, audienceBase),
      audiences: words.subarray(audienceBase),
      transport: status?.transport ?? "",
      workers: status?.workers ?? [],
      addresses: edge?.addresses().map(formatEdgeAddress) ?? [],
    };
  }

  /** Where clients were sent since the last call; undefined while nothing is served. For one who asks each second. */
  traffic(slotOf: SlotOf): Omit<TrafficCounts, "epoch"> | undefined {
    const newest = this.#newest;
    const totals = newest && this.#totals.get(newest.revision);
    if (newest === undefined || totals === undefined) return undefined;
    this.#gatherAll();
    return this.#told.since({ ...newest, totals }, slotOf, performance.now());
  }

  topNames(count: number): { name: string; queries: number }[] {
    const buffers = [...this.#workers.values()].map(({ topNames: buffer }) => buffer);
    return topNames(buffers, count).map(({ name, count: queries }) => ({
      name: formatName(name),
      queries,
    }));
  }

  /** One thing a turn: of a million names each takes a millisecond or two, and another revision may be there to be taken. */
  #gatherInTurns(): void {
    clearImmediate(this.#nextTurn);
    const look = this.#later.shift();
    if (look === undefined) this.#gatherAll();
    else {
      look();
      this.#nextTurn = setImmediate(() => this.#gatherInTurns());
    }
  }

  #gather(): void {
    for (const look of this.#later.splice(0)) look();
    this.#gatherAll();
  }

  #gatherAll(): void {
    for (const worker of this.#workers.values()) this.#gatherWorker(worker);
  }

  #gatherWorker(worker: WorkerBuffers | undefined): void {
    if (worker === undefined) return;
    const isAsked = worker.fixed.gather();
    // A worker counts a query first and its answer later; one that has been idle since the last time has nothing to be looked for in a megabyte.
    if (isAsked || worker.wasAsked) worker.served?.sum.gather();
    worker.wasAsked = isAsked;
  }
}

function rcodeCounts(fixed: Float64Array): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let rcode = 0; rcode < RCODES; rcode++) {
    const count = fixed[FixedCounter.firstRcode + rcode] ?? 0;
    if (count > 0) counts[rcodeToText(rcode)] = count;
  }
  return counts;
}

/** Totals of nothing yet, in memory that nobody needs any more: megabytes of garbage a revision have V8 look through all of its heap. */
function totalsFor(world: World, spare: SpareMemory): Float64Array<ArrayBuffer> {
  const size = new SnapshotCounters(shapeOf(world)).bytes / 4;
  return new Float64Array(spare.take(size * 8), 0, size).fill(0);
}

function shapeOf(world: World): CounterShape {
  return counterShape(world, new SelectionLayout(world));
}

/** Starts the totals of a revision with those that what it has had before: what has the same key goes on, mostly in long runs. */
function carry(
  oldWorld: World,
  old: Float64Array,
  world: World,
  totals: Float64Array<ArrayBuffer>,
): Float64Array<ArrayBuffer> {
  if (old.every((count) => count === 0)) return totals;
  const from = new SnapshotCounters(shapeOf(oldWorld));
  const to = new SnapshotCounters(shapeOf(world));
  const runs = world.runsFrom(oldWorld);
  const copy = (oldBase: number, base: number, parts: readonly KeyRun[]): void => {
    for (const run of parts) {
      const start = oldBase + run.from;
      totals.set(old.subarray(start, start + run.length), base + run.to);
    }
  };
  copy(from.policyBase, to.policyBase, runs.policies);
  copy(from.poolBase, to.poolBase, runs.pools);
  copy(from.endpointBase, to.endpointBase, runs.endpoints);
  copy(from.branchBase, to.branchBase, runs.branches);
  copy(from.nodeBase, to.nodeBase, runs.nodes);
  const zones = new Map(oldWorld.zones.zones.map(({ index, key }) => [key, index]));
  for (const { index, key } of world.zones.zones) totals[index] = old[zones.get(key) ?? -1] ?? 0;
  for (const run of audienceRuns(oldWorld, world, runs.nodes))
    copy(from.audienceBase, to.audienceBase, [run]);
  return totals;
}

/** Audiences of nodes that are classified as before, by where their counters begin. */
function audienceRuns(oldWorld: World, world: World, nodes: readonly KeyRun[]): KeyRun[] {
  const runs: KeyRun[] = [];
  const sameClassifier = oldWorld.classifiers.map(({ key }) =>
    world.classifiers.findIndex((each) => each.key === key),
  );
  for (const { from: oldNode, to: node, length } of nodes) {
    for (let at = 0; at < length; at++) {
      const start = oldWorld.audienceStarts[oldNode + at] ?? 0;
      const count = (oldWorld.audienceStarts[oldNode + at + 1] ?? 0) - start;
      if (count === 0) continue;
      const target = world.audienceStarts[node + at] ?? 0;
      const room = (world.audienceStarts[node + at + 1] ?? 0) - target;
      const classifier = classifierOf(oldWorld, oldNode + at);
      if ((sameClassifier[classifier] ?? -1) !== classifierOf(world, node + at)) continue;
      const last = runs.at(-1);
      const isNext =
        last !== undefined &&
        last.from + last.length === start &&
        last.to + last.length === target &&
        room >= count;
      if (isNext) runs[runs.length - 1] = { ...last, length: last.length + count };
      else runs.push({ from: start, to: target, length: Math.min(count, room) });
    }
  }
  return runs;
}

/** The classifier of a node, by index: audiences are the same as long as it is. */
function classifierOf(world: World, node: number): number {
  return world.classifierOfLink[world.policies.nodeWord(node, NodeWord.classifier)] ?? -1;
}
