// SPDX-License-Identifier: Apache-2.0

// Adds up what the edge's workers count in their shared buffers, for the API, which may not know the edge.
//
//   worker ──"buffers"──► fixed words, top names, log        since the worker began
//   worker ──"serving"──► words by zone, policy, pool, endpoint, node…   of one revision
//
// Words wrap, so they are read every second. Totals outlive a worker that is replaced: its words are read once more when its
// successor reports. Those of a revision go on under the next one by name.

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
import { NodeWord, SelectionLayout, type KeyRun, type World } from "@meridian/snapshot";

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
} as const;

/** What one worker handed over when it began. */
interface WorkerBuffers {
  readonly fixed: CounterSum;
  readonly topNames: SharedArrayBuffer;
  readonly log: QueryLogReader | undefined;
  served: { readonly revision: number; readonly sum: CounterSum } | undefined;
}

export class EdgeGatherer implements EdgeFiguresSource {
  readonly #fixedTotals = new Float64Array(FixedCounter.firstRcode + RCODES);
  readonly #workers = new Map<number, WorkerBuffers>();
  /** Totals by revision; the newest is what is shown, an older one is there while a worker still serves it. */
  readonly #totals = new Map<number, Float64Array>();
  #edge: Edge | undefined;
  #newest: { readonly revision: number; readonly world: World } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `edge` is undefined where none runs in this process. */
  start(edge: Edge | undefined): void {
    this.#edge = edge;
    this.#timer = setInterval(() => this.#gather(), GATHER_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Called in the turn in which a revision is posted to the workers. */
  published(revision: number, world: World): void {
    this.#gather();
    const totals = new Float64Array(new SnapshotCounters(shapeOf(world)).bytes / 4);
    const before = this.#newest;
    const old = before === undefined ? undefined : this.#totals.get(before.revision);
    if (before !== undefined && old !== undefined) carry(before.world, old, world, totals);
    this.#newest = { revision, world };
    this.#totals.set(revision, totals);
    for (const known of this.#totals.keys()) {
      const isServed = [...this.#workers.values()].some(({ served }) => served?.revision === known);
      if (known !== revision && !isServed) this.#totals.delete(known);
    }
  }

  /** Takes what a worker posted. */
  take(report: HandlerReport): void {
    if (report.kind === "buffers") {
      this.#gatherWorker(this.#workers.get(report.worker));
      this.#workers.set(report.worker, {
        fixed: new CounterSum(report.counters, this.#fixedTotals),
        topNames: report.topNames,
        log: report.log === undefined ? undefined : new QueryLogReader(report.log),
        served: undefined,
      });
    } else if (report.kind === "serving") {
      const worker = this.#workers.get(report.worker);
      const totals = this.#totals.get(report.revision);
      if (worker === undefined || totals === undefined) return;
      this.#gatherWorker(worker);
      worker.served = {
        revision: report.revision,
        sum: new CounterSum(report.counters, totals),
      };
    }
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

  topNames(count: number): { name: string; queries: number }[] {
    const buffers = [...this.#workers.values()].map(({ topNames: buffer }) => buffer);
    return topNames(buffers, count).map(({ name, count: queries }) => ({
      name: formatName(name),
      queries,
    }));
  }

  #gather(): void {
    for (const worker of this.#workers.values()) this.#gatherWorker(worker);
  }

  #gatherWorker(worker: WorkerBuffers | undefined): void {
    worker?.fixed.gather();
    worker?.served?.sum.gather();
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

function shapeOf(world: World): CounterShape {
  return counterShape(world, new SelectionLayout(world));
}

/** Starts the totals of a revision with those that what it has had before: what has the same key goes on, mostly in long runs. */
function carry(oldWorld: World, old: Float64Array, world: World, totals: Float64Array): void {
  if (old.every((count) => count === 0)) return;
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
  const zones = new Map(
    oldWorld.zones.zones.map(({ index, origin }) => [formatName(origin), index]),
  );
  for (const { index, origin } of world.zones.zones)
    totals[index] = old[zones.get(formatName(origin)) ?? -1] ?? 0;
  for (const { from: oldNode, to: node, length } of runs.nodes) {
    for (let at = 0; at < length; at++) {
      const start = oldWorld.audienceStarts[oldNode + at] ?? 0;
      const end = oldWorld.audienceStarts[oldNode + at + 1] ?? 0;
      const isSame =
        end > start && classifierOf(oldWorld, oldNode + at) === classifierOf(world, node + at);
      if (!isSame) continue;
      const words = old.subarray(from.audienceBase + start, from.audienceBase + end);
      const target = to.audienceBase + (world.audienceStarts[node + at] ?? 0);
      const room =
        (world.audienceStarts[node + at + 1] ?? 0) - (world.audienceStarts[node + at] ?? 0);
      totals.set(words.subarray(0, room), target);
    }
  }
}

/** Key of the classifier of a node: audiences are the same as long as it is. */
function classifierOf(world: World, node: number): bigint | undefined {
  const link = world.policies.nodeWord(node, NodeWord.classifier);
  return world.classifiers[world.classifierOfLink[link] ?? -1]?.key;
}
