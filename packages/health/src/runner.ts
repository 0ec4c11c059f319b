// SPDX-License-Identifier: Apache-2.0

// The driver of the health machinery: it owns sockets and time, and decides nothing. One timer wheel starts probes and ends
// those that take too long; results go through the verdict machine (verdict.ts), changed verdicts leave in batches.
//
//   wheel ──► due ──► launch ──► probe ──► finished ──► step() ──► transitions ──► onTransitions
//              │ too many on their way         ▲ deadline           └► calculated checks, suspicion
//              └──► queue ─────────────────────┘
//
// Work is constant: an endpoint that fails costs one probe an interval and one step, as one that answers does.

import { CalculatedChecks } from "./calculated-checks.ts";
import type { ProbeTarget, Verdict } from "./check.ts";
import { Entry, type EndpointState } from "./entry.ts";
import {
  CALCULATED_DEPTH_MAX,
  EARLIEST_CHANGE_MAX_MS,
  PROBES_IN_FLIGHT_MAX,
  STALL_MS,
  TRANSITIONS_REMEMBERED_MAX,
} from "./limits.ts";
import type { Probe, ProbeOutcome, ProbeResult } from "./probe.ts";
import { createProbe } from "./probes/create-probe.ts";
import { insufficientOutcome } from "./probes/prometheus/prometheus-probe.ts";
import {
  emptyCounters,
  type HealthCounters,
  type HealthRunnerOptions,
  type Outlook,
} from "./runner-options.ts";
import { firstProbeMs, nextProbeMs } from "./schedule.ts";
import { SuspicionWatch } from "./suspicion-watch.ts";
import { defaultSuspicionPolicy, type SuspicionState } from "./suspicion.ts";
import { TimerWheel } from "./timer-wheel.ts";
import { TransitionHistory, type Transition } from "./transition.ts";
import { earliestChangeMs, step, type VerdictInput } from "./verdict.ts";

const wheelTickMs = 10;
const timersPerEntry = 3;
const timerProbe = 0;
const timerDeadline = 1;
const timerWake = 2;

/** Probes targets and keeps their verdicts. */
export class HealthRunner {
  readonly counters: HealthCounters = emptyCounters();
  readonly #options: HealthRunnerOptions;
  readonly #inFlightMax: number;
  readonly #wheel: TimerWheel;
  readonly #suspicion: SuspicionWatch;
  readonly #byKey = new Map<string, Entry>();
  readonly #byIndex: (Entry | undefined)[] = [];
  readonly #freeIndices: number[] = [];
  readonly #calculated = new CalculatedChecks();
  readonly #queue = new Set<Entry>();
  readonly #unseen = new Set<Entry>();
  readonly #firstRound = Promise.withResolvers<void>();
  readonly #baseMs: number;
  #state: "made" | "running" | "closed" = "made";
  #timer: NodeJS.Timeout | undefined;
  #armedForMs = 0;
  #inFlightCount = 0;
  #sequence = 0;
  readonly #history = new TransitionHistory(TRANSITIONS_REMEMBERED_MAX);
  #transitions: Transition[] = [];
  #outlooks: Outlook[] = [];
  #flushQueued = false;

  constructor(options: HealthRunnerOptions) {
    this.#options = options;
    this.#inFlightMax = options.probesInFlightMax ?? PROBES_IN_FLIGHT_MAX;
    this.#baseMs = options.clock.monotonicMs();
    this.#wheel = new TimerWheel(wheelTickMs, this.#baseMs);
    this.#suspicion = new SuspicionWatch(options.suspicion ?? defaultSuspicionPolicy);
  }

  /**
   * The whole set of targets. Equal ones keep everything; a known key at another place starts anew; a known key under changed
   * thresholds keeps its verdict. `restored` gives verdicts from before a restart to keys not yet known.
   */
  setTargets(targets: readonly ProbeTarget[], restored?: ReadonlyMap<string, Verdict>): void {
    const keep = new Set(targets.map((target) => target.key));
    const gone = [...this.#byKey.keys()].filter((key) => !keep.has(key));
    this.changeTargets(targets, gone, (key) => restored?.get(key));
  }

  /** As `setTargets`, by what is different: targets that are new or changed, and keys that are gone. */
  changeTargets(
    changed: readonly ProbeTarget[],
    gone: readonly string[],
    restored: (key: string) => Verdict | undefined,
  ): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const key of gone) {
      const entry = this.#byKey.get(key);
      if (entry !== undefined) this.#remove(entry);
    }
    for (const target of changed) {
      const known = this.#byKey.get(target.key);
      if (known === undefined) this.#add(target, restored(target.key), nowMs);
      else if (!known.equals(target)) this.#replace(known, target, nowMs);
    }
    this.#calculated.link(this.#byKey.values());
    this.#launchQueued(nowMs);
    this.#changed();
  }

  /** Starts probing. */
  start(): void {
    if (this.#state !== "made") return;
    this.#state = "running";
    const nowMs = this.#options.clock.monotonicMs();
    for (const entry of this.#byKey.values()) this.#schedule(entry, nowMs);
    this.#checkFirstRound();
    this.#changed();
  }

  /** Stops probing and frees every socket and process. May be called twice. */
  close(): Promise<void> {
    this.#state = "closed";
    clearTimeout(this.#timer);
    for (const entry of [...this.#byKey.values()]) this.#remove(entry);
    this.#firstRound.resolve();
    return Promise.resolve();
  }

  /** State of one endpoint, or undefined where it is no target. */
  state(key: string): EndpointState | undefined {
    const entry = this.#byKey.get(key);
    if (entry === undefined) return undefined;
    const nowMs = this.#options.clock.monotonicMs();
    return entry.view(this.#earliestChangeMs(entry, nowMs));
  }

  /** States of all targets. */
  *states(): Iterable<EndpointState> {
    const nowMs = this.#options.clock.monotonicMs();
    for (const entry of this.#byKey.values())
      yield entry.view(this.#earliestChangeMs(entry, nowMs));
  }

  /** The last transitions, oldest first; of one target where a key is given. At most 10,000 are kept, in memory. */
  history(key?: string): readonly Transition[] {
    return this.#history.list(key);
  }

  /** Number of targets. */
  get targetCount(): number {
    return this.#byKey.size;
  }

  /** Whether this process doubts its own network. */
  get suspicion(): SuspicionState {
    return this.#suspicion.state;
  }

  /** Tells that the control plane is out of reach (or back): self-suspicion then needs fewer targets. */
  setIsolated(isolated: boolean): void {
    this.#suspicion.isolated = isolated;
  }

  /** A status from outside for a target under push check `checkName`; false, and nothing happens, where there is none. */
  push(
    checkName: string,
    key: string,
    status: { readonly status: "healthy" | "unhealthy"; readonly reason: string },
  ): boolean {
    const entry = this.#byKey.get(key);
    const check = entry?.target.check;
    if (entry === undefined || check?.kind !== "push" || entry.target.checkName !== checkName) {
      this.counters.pushesRefused++;
      return false;
    }
    this.counters.pushesAccepted++;
    const atMs = this.#options.clock.monotonicMs();
    this.#wheel.set(entry.index * timersPerEntry + timerProbe, atMs + check.staleAfterMs);
    entry.lastAtMs = this.#options.clock.wallMs();
    this.#step(entry, { kind: "decided", verdict: status.status, reason: status.reason, atMs });
    this.#changed();
    return true;
  }

  /** Resolves when every target known at the start has had its first result (push has none to wait for), or on close. */
  whenFirstRound(): Promise<void> {
    return this.#firstRound.promise;
  }

  /** Does what is due by the clock. Called by the runner's own timer, or by the caller under manual timers. */
  advance(): void {
    if (this.#state !== "running") return;
    this.#wheel.advance(this.#options.clock.monotonicMs(), this.#fire);
    this.#changed();
  }

  readonly #fire = (id: number): void => {
    const entry = this.#byIndex[Math.floor(id / timersPerEntry)];
    if (entry === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    switch (id % timersPerEntry) {
      case timerProbe:
        this.#due(entry, nowMs);
        return;
      case timerDeadline:
        this.#overdue(entry);
        return;
      case timerWake:
        this.#step(entry, { kind: "time", atMs: nowMs });
        return;
    }
  };

  #due(entry: Entry, nowMs: number): void {
    const check = entry.target.check;
    if (check.kind === "push") {
      const reason = `nothing pushed for ${check.staleAfterMs} ms`;
      const verdict = check.onStale;
      this.#step(entry, { kind: "decided", verdict, reason, stale: true, atMs: nowMs });
      return;
    }
    this.#scheduleNext(entry, nowMs);
    if (entry.inFlight) {
      // Never left out, or a timeout as long as the interval would cost every other round and break the detection bound.
      this.counters.probesDelayed++;
      entry.isDueAgain = true;
    } else if (this.#inFlightCount >= this.#inFlightMax) {
      this.counters.probesQueued++;
      this.#queue.add(entry);
    } else {
      this.#launch(entry, nowMs);
    }
  }

  #launch(entry: Entry, nowMs: number): void {
    this.#queue.delete(entry);
    const probe = entry.probe;
    if (probe === undefined) return;
    entry.inFlight = true;
    entry.startedAtMs = nowMs;
    this.#inFlightCount++;
    this.counters.probesStarted++;
    const deadlineMs = nowMs + entry.target.check.timeoutMs;
    this.#wheel.set(entry.index * timersPerEntry + timerDeadline, deadlineMs);
    probe.run(entry.done);
  }

  #overdue(entry: Entry): void {
    if (!entry.inFlight) return;
    entry.probe?.cancel();
    this.counters.probesTimedOut++;
    const { check } = entry.target;
    const reason = `no answer in ${check.timeoutMs} ms`;
    const outcome = check.kind === "prometheus" ? insufficientOutcome(check) : "fail";
    this.#finished(entry, { outcome, reason });
  }

  #finished(entry: Entry, result: ProbeResult): void {
    if (!entry.inFlight) return;
    const nowMs = this.#options.clock.monotonicMs();
    entry.inFlight = false;
    this.#inFlightCount--;
    this.#wheel.cancel(entry.index * timersPerEntry + timerDeadline);
    this.#record(entry, result, nowMs);
    const input = { kind: "result", outcome: result.outcome, reason: result.reason } as const;
    this.#doubt(entry, result.outcome, nowMs);
    this.#step(entry, { ...input, atMs: nowMs });
    this.#unseen.delete(entry);
    this.#checkFirstRound();
    if (this.#wantsRetry(entry, result.outcome)) {
      this.#wheel.set(entry.index * timersPerEntry + timerProbe, nowMs);
    }
    if (entry.isDueAgain) {
      entry.isDueAgain = false;
      this.#queue.add(entry);
    }
    this.#launchQueued(nowMs);
    this.#changed();
  }

  /** Only an endpoint on its way from healthy is retried at once, so that a dead one costs no more than a live one. */
  #wantsRetry(entry: Entry, outcome: ProbeOutcome): boolean {
    const failing = outcome === "fail" && entry.state.failures > 0;
    return failing && entry.target.check.failFast && entry.state.opinion === "healthy";
  }

  #launchQueued(nowMs: number): void {
    for (const entry of this.#queue) {
      if (this.#inFlightCount >= this.#inFlightMax) return;
      this.#launch(entry, nowMs);
    }
  }

  #record(entry: Entry, result: ProbeResult, nowMs: number): void {
    entry.lastDurationMs = nowMs - entry.startedAtMs;
    entry.lastAtMs = this.#options.clock.wallMs();
    if (result.outcome === "pass") this.counters.probesPassed++;
    else if (result.outcome === "fail") this.counters.probesFailed++;
    else this.counters.probesHeld++;
    this.#options.onReport?.({
      key: entry.target.key,
      outcome: result.outcome,
      reason: result.reason,
      durationMs: entry.lastDurationMs,
      ...(result.load === undefined ? {} : { load: result.load }),
      atMs: entry.lastAtMs,
    });
  }

  #doubt(entry: Entry, outcome: ProbeOutcome, nowMs: number): void {
    const before = this.#suspicion.state.kind;
    this.#suspicion.result(entry, outcome, this.#byKey.values(), nowMs);
    const now = this.#suspicion.state;
    if (now.kind === before) return;
    if (now.kind === "frozen") {
      this.counters.freezes++;
      const { untilMs, reason } = now;
      for (const each of this.#byKey.values()) {
        if (each.isDirect) this.#step(each, { kind: "freeze", untilMs, reason, atMs: nowMs });
      }
    } else if (before === "frozen" && now.kind === "trusting") {
      for (const each of this.#byKey.values()) {
        if (each.isDirect) this.#step(each, { kind: "thaw", atMs: nowMs });
      }
    }
  }

  #step(entry: Entry, input: VerdictInput): void {
    const rule = entry.target.check;
    const result = step(rule, entry.state, input);
    entry.state = result.state;
    const wakeTimer = entry.index * timersPerEntry + timerWake;
    if (result.wakeAtMs === undefined) this.#wheel.cancel(wakeTimer);
    else this.#wheel.set(wakeTimer, result.wakeAtMs);
    const changeMs = this.#earliestChangeMs(entry, input.atMs);
    const bucket = Math.floor(Math.log2(Math.max(1, changeMs / 1000)));
    if (result.change !== undefined) {
      entry.sinceMs = this.#options.clock.wallMs();
      const transition: Transition = {
        key: entry.target.key,
        ...result.change,
        vantage: this.#options.vantage,
        atMs: entry.sinceMs,
        earliestChangeMs: changeMs,
        sequence: ++this.#sequence,
      };
      this.#transitions.push(transition);
      this.#history.add(transition);
      this.counters.transitions++;
      this.#calculated.childChanged(entry.target.key);
    } else if (bucket !== entry.outlookBucket && this.#options.onOutlook !== undefined) {
      this.#outlooks.push({ key: entry.target.key, earliestChangeMs: changeMs });
    }
    entry.outlookBucket = bucket;
  }

  /** A push may come at any moment; a calculated check changes no sooner than one of its children. */
  #earliestChangeMs(entry: Entry, nowMs: number, depth = 0): number {
    const { check } = entry.target;
    if (check.disabled || entry.isProbed) return earliestChangeMs(check, entry.state, nowMs);
    if (check.kind !== "calculated" || depth === CALCULATED_DEPTH_MAX) return 0;
    let earliestMs = EARLIEST_CHANGE_MAX_MS;
    for (const key of check.children) {
      const child = this.#byKey.get(key);
      if (child === undefined) continue;
      earliestMs = Math.min(earliestMs, this.#earliestChangeMs(child, nowMs, depth + 1));
    }
    return earliestMs;
  }

  #add(target: ProbeTarget, restored: Verdict | undefined, nowMs: number): void {
    const index = this.#freeIndices.pop() ?? this.#byIndex.length;
    const entry = new Entry(target, index, this.#options, restored, nowMs, (result) => {
      this.#finished(entry, result);
    });
    this.#byIndex[index] = entry;
    this.#byKey.set(target.key, entry);
    entry.probe = this.#createProbe(target);
    if (entry.isProbed && this.#state === "made") this.#unseen.add(entry);
    if (this.#state === "running") this.#schedule(entry, nowMs);
  }

  #remove(entry: Entry): void {
    for (let timer = 0; timer < timersPerEntry; timer++) {
      this.#wheel.cancel(entry.index * timersPerEntry + timer);
    }
    this.#stop(entry);
    this.#suspicion.forget(entry);
    this.#unseen.delete(entry);
    this.#calculated.forget(entry);
    this.#byKey.delete(entry.target.key);
    this.#byIndex[entry.index] = undefined;
    this.#freeIndices.push(entry.index);
    this.#calculated.childChanged(entry.target.key);
    this.#checkFirstRound();
  }

  #stop(entry: Entry): void {
    this.#queue.delete(entry);
    if (entry.inFlight) {
      entry.inFlight = false;
      entry.isDueAgain = false;
      this.#inFlightCount--;
      entry.probe?.cancel();
    }
    entry.probe?.close();
    entry.probe = undefined;
  }

  #replace(entry: Entry, target: ProbeTarget, nowMs: number): void {
    if (!entry.isSamePlace(target)) {
      const restored = undefined;
      this.#remove(entry);
      this.#add(target, restored, nowMs);
      return;
    }
    this.#stop(entry);
    if (!target.check.disabled && entry.target.check.disabled) this.#suspicion.forget(entry);
    entry.target = target;
    entry.probe = this.#createProbe(target);
    this.#wheel.cancel(entry.index * timersPerEntry + timerProbe);
    this.#wheel.cancel(entry.index * timersPerEntry + timerDeadline);
    this.#step(entry, { kind: "rule", atMs: nowMs });
    if (this.#state === "running") this.#schedule(entry, nowMs);
  }

  #createProbe(target: ProbeTarget): Probe | undefined {
    const make = this.#options.createProbe;
    if (make === undefined) return createProbe(target, this.#options);
    return target.check.disabled ? undefined : make(target);
  }

  #schedule(entry: Entry, nowMs: number): void {
    const check = entry.target.check;
    const timer = entry.index * timersPerEntry + timerProbe;
    if (check.disabled || check.kind === "calculated") return;
    if (check.kind === "push") this.#wheel.set(timer, nowMs + check.staleAfterMs);
    else this.#wheel.set(timer, firstProbeMs(check, entry.phase, nowMs));
  }

  #scheduleNext(entry: Entry, nowMs: number): void {
    const { check } = entry.target;
    const { random } = this.#options;
    const dueMs = nextProbeMs(check, entry.phase, this.#baseMs, nowMs, random);
    this.#wheel.set(entry.index * timersPerEntry + timerProbe, dueMs);
  }

  #checkFirstRound(): void {
    if (this.#state === "running" && this.#unseen.size === 0) this.#firstRound.resolve();
  }

  /** After anything happened: calculated checks, one batch for the listener, the timer. */
  #changed(): void {
    this.#calculated.evaluate(this.#byKey, (entry, calculation) => {
      const atMs = this.#options.clock.monotonicMs();
      this.#step(entry, { kind: "decided", ...calculation, atMs });
    });
    const waiting = this.#transitions.length > 0 || this.#outlooks.length > 0;
    if (waiting && !this.#flushQueued && this.#state !== "closed") {
      this.#flushQueued = true;
      queueMicrotask(this.#flush);
    }
    if (this.#options.timers !== "manual") this.#arm();
  }

  readonly #flush = (): void => {
    this.#flushQueued = false;
    if (this.#state === "closed") return;
    const transitions = this.#transitions;
    const outlooks = this.#outlooks;
    this.#transitions = [];
    this.#outlooks = [];
    if (transitions.length > 0) this.#options.onTransitions(transitions);
    if (outlooks.length > 0) this.#options.onOutlook?.(outlooks);
  };

  #arm(): void {
    if (this.#state !== "running") return;
    const nextMs = this.#wheel.nextSlotMs();
    if (nextMs === undefined) return;
    if (this.#timer !== undefined && this.#armedForMs <= nextMs) return;
    clearTimeout(this.#timer);
    this.#armedForMs = nextMs;
    const delayMs = Math.max(0, nextMs - this.#options.clock.monotonicMs());
    this.#timer = setTimeout(this.#onTimer, delayMs);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    const lateMs = this.#options.clock.monotonicMs() - this.#armedForMs;
    if (lateMs > STALL_MS) this.#forgiveStall(lateMs);
    this.advance();
  };

  /**
   * Nothing was read while this process stood still (a long compile, a suspended machine), so answers may lie unread: deadlines of
   * probes in flight move by as long as it lasted, at most by their whole timeout. A stall of ours is no failure of theirs.
   */
  #forgiveStall(lateMs: number): void {
    this.counters.stalls++;
    const nowMs = this.#options.clock.monotonicMs();
    for (const entry of this.#byKey.values()) {
      if (!entry.inFlight) continue;
      const { timeoutMs } = entry.target.check;
      const deadlineMs = entry.startedAtMs + timeoutMs + Math.min(lateMs, timeoutMs);
      const timer = entry.index * timersPerEntry + timerDeadline;
      this.#wheel.set(timer, Math.max(deadlineMs, nowMs + STALL_MS));
    }
  }
}
