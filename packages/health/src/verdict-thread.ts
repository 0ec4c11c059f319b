// SPDX-License-Identifier: Apache-2.0

// The verdict thread as its owner has it. Files, compilers, HTTP, journals and logs of the owner's thread are never between a probe's
// answer and the published bank. A thread that dies is started anew and goes on with the overlay as it is: what was published stays,
// verdicts are those of its slots, what was asked for is asked again.

import { Worker } from "node:worker_threads";
import { MeridianError, assert, key64 } from "@meridian/core";
import {
  OverlayObserver,
  type StoredSlots,
  type VantagePlace,
  type World,
} from "@meridian/snapshot";
import { CHILD_MARK, type ProbeTarget, type Verdict } from "./check.ts";
import type { EndpointState } from "./entry.ts";
import type { DeclaredLatch } from "./latch-driver.ts";
import { unpackChangeSets, type ChangeSet } from "./change-set.ts";
import { HeartbeatWatch, heartbeatWords } from "./heartbeat.ts";
import {
  BEAT_MS,
  CLOSE_MS_MAX,
  FIRST_ANSWERS_MS,
  RESTART_DELAY_MS,
  RESTART_DELAY_MS_MAX,
  YOUNG_MB_MAX,
} from "./limits.ts";
import { adoptionChangeSet, beginOverlay, type BegunOverlay } from "./overlay-driver.ts";
import { packTargets } from "./packed-plan.ts";
import { PlanKeeper, type PlanChange, type ProbePlan } from "./probe-plan.ts";
import type { Roster } from "./quorum/quorum.ts";
import { emptyCounters } from "./runner-options.ts";
import { SharedOverlay } from "./shared-overlay.ts";
import {
  TransitionReader,
  type PackedTransitions,
  type TransitionBatch,
} from "./transition-batch.ts";
import type { QuorumSettings } from "./verdict-driver.ts";
import type {
  PackedPlanChange,
  PushedStatus,
  SnapshotToJudge,
  VerdictAnswers,
  VerdictCommand,
  VerdictFigures,
  VerdictQuestion,
  VerdictReport,
} from "./verdict-messages.ts";
import type { VerdictWorkerStart } from "./verdict-worker.ts";

/** A snapshot that verdicts go to from now on, besides its world. */
export interface AdoptionRequest extends Omit<SnapshotToJudge, "world" | "resumed"> {
  /** Slots from before a restart, for the first one. */
  readonly stored?: StoredSlots;
  /** The overlay that the first one is answered with already. */
  readonly begun?: BegunOverlay;
}

export interface VerdictThreadOptions {
  readonly vantage: string;
  readonly wallMs: () => number;
  /** Every change set, in order. */
  readonly onChangeSet: (changeSet: ChangeSet) => void;
  readonly onTransitions: (batch: TransitionBatch) => void;
  /** What the journal holds: a new snapshot records only what differs from it. */
  readonly recorded: () => StoredSlots | undefined;
  /** Other vantages report to it; alone where absent. Asked for whenever the thread is started. */
  readonly quorum?: () => QuorumSettings;
  readonly onRoster?: (roster: Roster) => void;
  /** What this process says as a vantage, for others that judge. */
  readonly onReport?: (payload: Uint8Array) => void;
  /** What the thread runs, and how often it gives a sign of life, for tests of what it may do wrong. */
  readonly program?: URL;
  readonly beatMs?: number;
  /** The thread has died, or hung; another one is on its way. */
  readonly onDeath: (reason: string) => void;
}

/** A question that has no answer yet. */
interface Open {
  readonly question: VerdictQuestion;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: Error) => void;
  /** `adopt`: the snapshot as the owner has it. */
  readonly world: World | undefined;
  /** `states`: what has come of them. */
  readonly states: EndpointState[];
  /** Threads that died while it was open. */
  deaths: number;
}

/** The snapshot that the newest overlay belongs to. */
interface Judged {
  readonly snapshot: SnapshotToJudge;
  readonly world: World;
  readonly overlay: SharedOverlay;
}

const verdictProgram = new URL("./verdict-worker.ts", import.meta.url);
const WORDS: readonly Verdict[] = ["unknown", "healthy", "unhealthy", "unknown"];

/** Commands the verdict thread and keeps it alive. */
export class VerdictThread {
  readonly #options: VerdictThreadOptions;
  readonly #plan = new PlanKeeper();
  readonly #open = new Map<number, Open>();
  readonly #firstRound = Promise.withResolvers<void>();
  readonly #reader = new TransitionReader();
  /** Verdicts of targets that have no slot: the children of calculated checks. */
  readonly #verdicts = new Map<string, Verdict>();
  #latches: ReadonlyMap<string, DeclaredLatch> = new Map();
  #judged: Judged | undefined;
  /** What recorded all changes since the snapshot that is judged; another one may lack some. */
  #recorded: StoredSlots | undefined;
  #worker: Worker | undefined;
  #restartTimer: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #delayMs = 0;
  #lastId = 0;
  #isProbing = false;
  #isClosed = false;
  /** Times that the thread was started anew. */
  restarts = 0;

  constructor(options: VerdictThreadOptions) {
    this.#options = options;
  }

  /**
   * Starts an overlay for a snapshot, which carries over what the one before holds by key. The first one is adopted here, at once:
   * nobody else writes yet, and answers need not wait until the thread is up.
   */
  async adopt(
    world: World,
    { stored, begun, ...request }: AdoptionRequest,
  ): Promise<SharedOverlay> {
    const snapshot = { ...request, world: world.share() };
    if (this.#judged === undefined && !this.#isClosed) {
      const { revision, lastSequence } = request;
      const { wallMs } = this.#options;
      return this.#begin(
        snapshot,
        world,
        begun ?? beginOverlay(world, { revision, stored, lastSequence, wallMs }),
      );
    }
    await this.#ask({ kind: "adopt", snapshot }, { world });
    assert(this.#judged?.world === world, "snapshots are adopted one at a time");
    return this.#judged.overlay;
  }

  /** What is probed from now on. Only what differs from the plan before is sent. */
  setPlan(plan: ProbePlan): void {
    const change = this.#plan.take(plan);
    if (change === undefined) return;
    for (const key of change.gone) this.#verdicts.delete(key);
    this.#send({ kind: "plan", change: packed(change) });
  }

  /** The failover nodes that hold latches from now on, by `NAMESPACE/POLICY/NODE`. */
  setLatches(latches: ReadonlyMap<string, DeclaredLatch>): void {
    this.#latches = latches;
    this.#send({ kind: "latches", latches });
  }

  /** Starts probing. */
  start(): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    this.#send({ kind: "start" });
  }

  /** Resolves when every target known at the start has had its first result, or on close. */
  whenFirstRound(): Promise<void> {
    return this.#firstRound.promise;
  }

  /** A status from outside; false where no push check of that name judges that endpoint. */
  push(status: PushedStatus): Promise<boolean> {
    return this.#ask({ kind: "push", status });
  }

  /** A report of another vantage, as it came. */
  hear(from: VantagePlace, payload: Uint8Array): void {
    this.#send({ kind: "hear", from, payload });
  }

  /** Loads that were read elsewhere than in answers of probes, by endpoint key; those of endpoints without a rule have no effect. */
  read(loads: readonly (readonly [string, number])[]): void {
    this.#send({ kind: "loads", loads });
  }

  /** Goes back to the first tier by command; false where the node holds no latch. */
  failback(node: string): Promise<boolean> {
    return this.#ask({ kind: "failback", node });
  }

  /** Targets by key. */
  get targets(): ReadonlyMap<string, ProbeTarget> {
    return this.#plan.targets;
  }

  /** States of targets; those that are none are left out. */
  async states(keys: readonly string[]): Promise<readonly EndpointState[]> {
    const states: EndpointState[] = [];
    await this.#ask({ kind: "states", keys }, { states });
    return states;
  }

  /** Totals since the thread began; zeros while there is none. */
  figures(): Promise<VerdictFigures> {
    return this.#worker === undefined
      ? Promise.resolve({
          counters: emptyCounters(),
          targetCount: this.#plan.targets.size,
          vantages: [],
        })
      : this.#ask({ kind: "figures" });
  }

  /** Has the thread come up meanwhile, where nothing else sees to it: something to probe is on its way. */
  prepare(): void {
    if (this.#isClosed || this.#restartTimer !== undefined) return;
    this.#running();
  }

  /** The verdict of every target by its check: those of slots as they are now, others as they were told. */
  *verdicts(): Generator<{ key: string; checkName: string; verdict: Verdict }> {
    const { world, overlay } = this.#judged ?? {};
    for (const { key, checkName } of this.#plan.targets.values()) {
      const slot = world?.pools.endpointIndexOf(key64(key)) ?? -1;
      const verdict =
        slot < 0 || overlay === undefined
          ? (this.#verdicts.get(key) ?? "unknown")
          : (WORDS[overlay.read(slot) & 3] ?? "unknown");
      yield { key, checkName, verdict };
    }
  }

  /** Ends probing; what was published before is told. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const worker = this.#worker;
    const ended = worker === undefined ? undefined : this.#ask({ kind: "close" });
    this.#isClosed = true;
    clearTimeout(this.#restartTimer);
    this.#firstRound.resolve();
    const timer = setTimeout(() => void worker?.terminate(), CLOSE_MS_MAX);
    await ended?.catch(() => undefined);
    clearTimeout(timer);
    await worker?.terminate();
    this.#rejectAll();
  }

  #ask<Question extends VerdictQuestion>(
    question: Question,
    { world, states = [] }: { readonly world?: World; readonly states?: EndpointState[] } = {},
  ): Promise<VerdictAnswers[Question["kind"]]> {
    if (this.#isClosed) return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<VerdictAnswers[Question["kind"]]>();
    const id = ++this.#lastId;
    this.#open.set(id, { question, resolve, reject, world, states, deaths: 0 });
    this.#send({ kind: "question", id, question });
    return promise;
  }

  /** Before the first thread and between two nothing is sent: the next one is told everything. */
  #send(command: VerdictCommand): void {
    if (this.#isClosed || this.#restartTimer !== undefined) return;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    this.#running().postMessage(command);
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const { vantage, quorum, program = verdictProgram, beatMs = BEAT_MS } = this.#options;
    const start: VerdictWorkerStart = {
      vantage,
      ...(quorum === undefined ? {} : { quorum: quorum() }),
      beatMs,
      heartbeat: heartbeatWords(),
    };
    const worker = new Worker(program, {
      name: "verdicts",
      workerData: start,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB_MAX },
    });
    let reason = "it was stopped";
    const watch = new HeartbeatWatch(start.heartbeat, beatMs, () => {
      reason = "it hung, and was ended";
      // What hangs in the kernel cannot be ended there; where it comes back it does not get further.
      setTimeout(() => this.#ended(worker, reason), CLOSE_MS_MAX).unref();
      void worker.terminate();
    });
    worker.on("message", (report: VerdictReport<never>) => this.#take(report));
    worker.on("error", (error) => {
      reason = error instanceof Error ? error.message : String(error);
    });
    worker.on("exit", () => {
      watch.close();
      this.#ended(worker, reason);
    });
    this.#worker = worker;
    this.#startedAtMs = performance.now();
    return worker;
  }

  #take(report: VerdictReport<never>): void {
    switch (report.kind) {
      case "answer":
        this.#answered(report.id, report.value);
        return;
      case "changed":
        for (const set of unpackChangeSets(report.changes)) this.#options.onChangeSet(set);
        for (const batch of report.transitions) this.#changed(batch);
        return;
      case "states":
        this.#open.get(report.id)?.states.push(...report.part);
        return;
      case "roster":
        this.#options.onRoster?.(report.roster);
        return;
      case "own report":
        this.#options.onReport?.(report.payload);
        return;
      case "first round":
        this.#firstRound.resolve();
        return;
    }
  }

  #changed(packed: PackedTransitions): void {
    const batch = this.#reader.read(packed);
    // What has a slot is read there.
    if (this.#judged === undefined || batch.mayHaveChildren)
      for (let index = 0; index < batch.length; index++) {
        const key = batch.keyAt(index);
        if (this.#judged === undefined || key.includes(CHILD_MARK))
          this.#verdicts.set(key, batch.verdictAt(index));
      }
    this.#options.onTransitions(batch);
  }

  #answered(id: number, value: never): void {
    const open = this.#open.get(id);
    this.#open.delete(id);
    if (open?.question.kind === "adopt" && open.world !== undefined)
      this.#adopted(open.question.snapshot, open.world, value);
    open?.resolve(value);
  }

  #begin(snapshot: SnapshotToJudge, world: World, begun: BegunOverlay): SharedOverlay {
    this.#adopted(snapshot, world, begun);
    assert(this.#judged !== undefined, "an overlay that begins is told of");
    if (this.#worker !== undefined) this.#resume(this.#judged);
    // A process that begins with what is on disk answers first: threads that come up at once take the processor from one another.
    else this.#restartTimer ??= setTimeout(() => this.#restart(), FIRST_ANSWERS_MS);
    return this.#judged.overlay;
  }

  /** Kept before anything of the new overlay is told or read. */
  #adopted(snapshot: SnapshotToJudge, world: World, answer: VerdictAnswers["adopt"]): void {
    const isResumed = snapshot.resumed !== undefined;
    const cause = isResumed
      ? { kind: "restore", text: "the verdict thread began anew" }
      : { kind: "snapshot", text: `revision ${snapshot.revision}` };
    const recorded = this.#options.recorded();
    const before = isResumed || recorded !== this.#recorded ? undefined : this.#judged;
    this.#recorded = recorded;
    const changeSet = adoptionChangeSet(
      world,
      answer,
      cause,
      recorded,
      before && { world: before.world, slots: before.overlay.moment().slots },
    );
    // What a thread published and did not live to tell is made up for here.
    if (!isResumed || changeSet.keys.length > 0) this.#options.onChangeSet(changeSet);
    const { revision } = snapshot;
    const observer = new OverlayObserver(answer.buffer, world.slotCount);
    const overlay = new SharedOverlay(revision, observer, (changes, why) =>
      this.#ask({ kind: "apply", revision, changes, cause: why }),
    );
    if (!isResumed) this.#judged = { snapshot, world, overlay };
  }

  #ended(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    if (this.#isClosed) {
      this.#rejectAll();
      return;
    }
    this.restarts++;
    for (const open of this.#open.values()) open.deaths++;
    const livedMs = performance.now() - this.#startedAtMs;
    this.#delayMs =
      livedMs > RESTART_DELAY_MS_MAX
        ? RESTART_DELAY_MS
        : Math.min(RESTART_DELAY_MS_MAX, Math.max(RESTART_DELAY_MS, this.#delayMs * 2));
    this.#restartTimer = setTimeout(() => this.#restart(), this.#delayMs);
    this.#options.onDeath(reason);
  }

  #restart(): void {
    this.#restartTimer = undefined;
    this.#verdicts.clear();
    const waiting = this.#stillOpen();
    if (this.#judged !== undefined) this.#resume(this.#judged);
    this.#send({ kind: "plan", change: packed(this.#plan.whole()) });
    this.#send({ kind: "latches", latches: this.#latches });
    if (this.#isProbing) this.#send({ kind: "start" });
    for (const [id, { question, states }] of waiting) {
      states.length = 0;
      this.#send({ kind: "question", id, question });
    }
  }

  /** What is asked again. What was open when two threads died may be why they did. */
  #stillOpen(): [number, Open][] {
    for (const [id, open] of this.#open) {
      if (open.deaths < 2 && !isResumption(open.question)) continue;
      this.#open.delete(id);
      open.reject(died());
    }
    return [...this.#open];
  }

  #resume({ snapshot, world, overlay }: Judged): void {
    const resumed = { ...snapshot, resumed: overlay.buffer };
    // It dies with its thread, and the next one is resumed anew.
    this.#ask({ kind: "adopt", snapshot: resumed }, { world }).catch(() => undefined);
  }

  #rejectAll(): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const { reject } of open) reject(closed());
  }
}

function packed(change: PlanChange): PackedPlanChange {
  return { ...change, changed: packTargets(change.changed) };
}

function isResumption(question: VerdictQuestion): boolean {
  return question.kind === "adopt" && question.snapshot.resumed !== undefined;
}

function died(): MeridianError {
  return new MeridianError(
    "VERDICTS_DIED",
    "system",
    "Cannot ask the verdict thread: it died twice of it or meanwhile, expected an answer",
  );
}

function closed(): MeridianError {
  return new MeridianError(
    "VERDICTS_CLOSED",
    "system",
    "Cannot ask the verdict thread: it is closed, expected a running server",
  );
}
