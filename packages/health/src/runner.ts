// SPDX-License-Identifier: Apache-2.0

// The driver of the health machinery: it decides nothing. EntryTimers say what is due, ProbeLauncher probes, results go through
// the verdict machine (verdict.ts), and changed verdicts leave in batches.
//
//   EntryTimers ──► ProbeLauncher ──► result ──► step() ──► TransitionOutbox ──► onTransitions
//                                                 └► calculated checks, suspicion
//
// Work is constant: an endpoint that fails costs one probe an interval and one step, as one that answers does.

import { CalculatedChecks } from "./calculated-checks.ts";
import type { ProbeTarget, Verdict } from "./check.ts";
import { SocketDialer } from "./dial/socket-dialer.ts";
import { Entry, type EndpointState } from "./entry.ts";
import { EntryTimer, EntryTimers } from "./entry-timers.ts";
import { CALCULATED_DEPTH_MAX, EARLIEST_CHANGE_MAX_MS, PROBES_IN_FLIGHT_MAX } from "./limits.ts";
import { ProbeLauncher } from "./probe-launcher.ts";
import type { Probe, ProbeOutcome, ProbeResult } from "./probe.ts";
import { createProbe, type ProbeEnvironment } from "./probes/create-probe.ts";
import { HttpExchanges } from "./probes/http/http-exchange.ts";
import { emptyCounters, type HealthCounters, type HealthRunnerOptions } from "./runner-options.ts";
import { firstProbeMs, nextProbeMs } from "./schedule.ts";
import { SuspicionWatch } from "./suspicion-watch.ts";
import { defaultSuspicionPolicy, type SuspicionState } from "./suspicion.ts";
import { TransitionOutbox } from "./transition-outbox.ts";
import {
  FirstStates,
  earliestChangeMs,
  step,
  type QuorumOpinion,
  type VerdictInput,
  type VerdictState,
} from "./verdict.ts";

/** Probes targets and keeps their verdicts. */
export class HealthRunner {
  readonly counters: HealthCounters = emptyCounters();
  readonly #options: HealthRunnerOptions;
  readonly #environment: ProbeEnvironment;
  readonly #timers: EntryTimers;
  readonly #launcher: ProbeLauncher;
  readonly #outbox: TransitionOutbox;
  readonly #suspicion: SuspicionWatch;
  readonly #byKey = new Map<string, Entry>();
  readonly #calculated = new CalculatedChecks();
  readonly #unseen = new Set<Entry>();
  readonly #firstRound = Promise.withResolvers<void>();
  readonly #baseMs: number;
  /** Targets that began with the newest ones. */
  #beginning = 0;
  /** A result is taken in: what follows from it is told when that has ended. */
  #isTaking = false;
  #state: "made" | "running" | "closed" = "made";

  constructor(options: HealthRunnerOptions) {
    this.#options = options;
    this.#baseMs = options.clock.monotonicMs();
    this.#environment = {
      ...options,
      dialer: options.dialer ?? new SocketDialer(),
      exchanges: new HttpExchanges(),
    };
    this.#outbox = new TransitionOutbox(options);
    this.#timers = new EntryTimers({
      clock: options.clock,
      isManual: options.timers === "manual",
      onTick: () => this.advance(),
      onStall: (lateMs) => this.#launcher.forgiveStall(this.#byKey.values(), lateMs),
      onDue: (entry, timer, nowMs) => this.#due(entry, timer, nowMs),
    });
    this.#launcher = new ProbeLauncher({
      clock: options.clock,
      timers: this.#timers,
      counters: this.counters,
      inFlightMax: options.probesInFlightMax ?? PROBES_IN_FLIGHT_MAX,
      onDone: (entry, result) => {
        this.#isTaking = true;
        this.#launcher.finished(entry, result);
        this.#isTaking = false;
        this.#changed("spaced");
      },
      onResult: (entry, result, nowMs) => this.#take(entry, result, nowMs),
    });
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
    // Else a verdict of an endpoint that is gone would be told after what is known of the one in its place.
    this.tellWaiting();
    const nowMs = this.#options.clock.monotonicMs();
    this.#beginning = changed.length;
    const first = new FirstStates(nowMs);
    for (const key of gone) {
      const entry = this.#byKey.get(key);
      if (entry !== undefined) this.#remove(entry);
    }
    for (const target of changed) {
      const known = this.#byKey.get(target.key);
      if (known === undefined)
        this.#add(target, first.of(target.check, restored(target.key)), nowMs);
      else if (!known.equals(target)) this.#replace(known, target, first, nowMs);
    }
    this.#calculated.link(this.#byKey.values());
    this.#launcher.launchQueued(nowMs);
    this.#changed();
  }

  /** Starts probing. */
  start(): void {
    if (this.#state !== "made") return;
    this.#state = "running";
    const nowMs = this.#options.clock.monotonicMs();
    this.#beginning = this.#byKey.size;
    for (const entry of this.#byKey.values()) this.#schedule(entry, nowMs);
    this.#checkFirstRound();
    this.#changed();
  }

  /** Stops probing and frees every socket and process. May be called twice. */
  close(): Promise<void> {
    this.#state = "closed";
    this.#timers.close();
    this.#outbox.close();
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
    this.#timers.set(entry, EntryTimer.probe, atMs + check.staleAfterMs);
    entry.lastAtMs = this.#options.clock.wallMs();
    this.#step(entry, { kind: "decided", verdict: status.status, reason: status.reason, atMs });
    this.#changed();
    return true;
  }

  /** What several vantages say together, in place of what this one does; undefined where it judges alone. */
  judged(key: string, quorum: QuorumOpinion | undefined): void {
    const entry = this.#byKey.get(key);
    if (entry === undefined) return;
    this.#step(entry, { kind: "quorum", quorum, atMs: this.#options.clock.monotonicMs() });
    if (!this.#isTaking) this.#changed();
  }

  /** What this vantage says of an endpoint, and what the verdict follows: before inversion, both. */
  opinions(key: string): { readonly own: Verdict; readonly followed: Verdict } | undefined {
    const state = this.#byKey.get(key)?.state;
    return state && { own: state.opinion, followed: state.quorum?.opinion ?? state.opinion };
  }

  /** Tells of changed verdicts that wait to be told with others. */
  tellWaiting(): void {
    this.#outbox.tellWaiting();
  }

  /** Resolves when every target known at the start has had its first result (push has none to wait for), or on close. */
  whenFirstRound(): Promise<void> {
    return this.#firstRound.promise;
  }

  /** Does what is due by the clock. Called by the runner's own timer, or by the caller under manual timers. */
  advance(): void {
    if (this.#state !== "running") return;
    this.#timers.advance();
    this.#changed("spaced");
  }

  #due(entry: Entry, timer: EntryTimer, nowMs: number): void {
    switch (timer) {
      case EntryTimer.probe:
        this.#dueProbe(entry, nowMs);
        return;
      case EntryTimer.deadline:
        this.#launcher.overdue(entry);
        return;
      case EntryTimer.wake:
        this.#step(entry, { kind: "time", atMs: nowMs });
        return;
    }
  }

  #dueProbe(entry: Entry, nowMs: number): void {
    const check = entry.target.check;
    if (check.kind === "push") {
      const reason = `nothing pushed for ${check.staleAfterMs} ms`;
      const verdict = check.onStale;
      this.#step(entry, { kind: "decided", verdict, reason, stale: true, atMs: nowMs });
      return;
    }
    this.#scheduleNext(entry, nowMs);
    this.#launcher.due(entry, nowMs);
  }

  #take(entry: Entry, result: ProbeResult, nowMs: number): void {
    const isFirst = entry.lastAtMs === undefined;
    const { opinion } = entry.state;
    this.#record(entry, result, nowMs);
    const input = { kind: "result", outcome: result.outcome, reason: result.reason } as const;
    this.#doubt(entry, result.outcome, nowMs);
    this.#step(entry, { ...input, atMs: nowMs });
    // One that was assumed is said from now on.
    if (isFirst && entry.state.opinion === opinion) this.#tellOpinion(entry);
    this.#unseen.delete(entry);
    this.#checkFirstRound();
    if (this.#wantsRetry(entry, result.outcome)) {
      this.#timers.set(entry, EntryTimer.probe, nowMs);
    }
  }

  /** Only an endpoint on its way from healthy is retried at once, so that a dead one costs no more than a live one. */
  #wantsRetry(entry: Entry, outcome: ProbeOutcome): boolean {
    const failing = outcome === "fail" && entry.state.failures > 0;
    return failing && entry.target.check.failFast && entry.state.opinion === "healthy";
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
    this.#options.onSuspicion?.(now);
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
    const before = entry.state.opinion;
    const result = step(rule, entry.state, input);
    entry.state = result.state;
    if (result.wakeAtMs === undefined) this.#timers.cancel(entry, EntryTimer.wake);
    else this.#timers.set(entry, EntryTimer.wake, result.wakeAtMs);
    const changeMs = this.#earliestChangeMs(entry, input.atMs);
    const bucket = Math.floor(Math.log2(Math.max(1, changeMs / 1000)));
    if (result.change !== undefined) {
      entry.sinceMs = this.#options.clock.wallMs();
      this.#outbox.add({
        endpoint: entry.index,
        key: entry.target.key,
        ...result.change,
        vantage: entry.state.quorum?.vantages ?? this.#options.vantage,
        atMs: entry.sinceMs,
        earliestChangeMs: changeMs,
      });
      this.counters.transitions++;
      this.#calculated.childChanged(entry.target.key);
    } else if (bucket !== entry.outlookBucket) {
      this.#outbox.addOutlook({
        endpoint: entry.index,
        key: entry.target.key,
        earliestChangeMs: changeMs,
      });
    }
    entry.outlookBucket = bucket;
    if (entry.state.opinion !== before) this.#tellOpinion(entry);
  }

  #tellOpinion({ target: { key }, state }: Entry): void {
    const sinceMs = this.#options.clock.wallMs();
    this.#options.onOpinion?.({ key, opinion: state.opinion, reason: state.lastReason, sinceMs });
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

  #add(target: ProbeTarget, state: VerdictState, nowMs: number): void {
    const entry = this.#timers.admit((index) => new Entry(target, index, this.#options, state));
    this.#byKey.set(target.key, entry);
    entry.probe = this.#createProbe(target);
    if (entry.isProbed && this.#state === "made") this.#unseen.add(entry);
    if (this.#state === "running") this.#schedule(entry, nowMs);
  }

  #remove(entry: Entry): void {
    this.#timers.release(entry);
    this.#launcher.stop(entry);
    this.#suspicion.forget(entry);
    this.#unseen.delete(entry);
    this.#calculated.forget(entry);
    this.#byKey.delete(entry.target.key);
    this.#calculated.childChanged(entry.target.key);
    this.#checkFirstRound();
  }

  #replace(entry: Entry, target: ProbeTarget, first: FirstStates, nowMs: number): void {
    if (!entry.isSamePlace(target)) {
      const restored = undefined;
      this.#remove(entry);
      this.#add(target, first.of(target.check, restored), nowMs);
      return;
    }
    this.#launcher.stop(entry);
    if (!target.check.disabled && entry.target.check.disabled) this.#suspicion.forget(entry);
    entry.target = target;
    entry.probe = this.#createProbe(target);
    this.#timers.cancel(entry, EntryTimer.probe);
    this.#timers.cancel(entry, EntryTimer.deadline);
    this.#step(entry, { kind: "rule", atMs: nowMs });
    if (this.#state === "running") this.#schedule(entry, nowMs);
  }

  #createProbe(target: ProbeTarget): Probe | undefined {
    const make = this.#options.createProbe;
    if (make === undefined) return createProbe(target, this.#environment);
    return target.check.disabled ? undefined : make(target);
  }

  #schedule(entry: Entry, nowMs: number): void {
    const check = entry.target.check;
    if (check.disabled || check.kind === "calculated") return;
    const dueMs =
      check.kind === "push"
        ? nowMs + check.staleAfterMs
        : firstProbeMs(check, entry.phase, nowMs, this.#beginning);
    this.#timers.set(entry, EntryTimer.probe, dueMs);
  }

  #scheduleNext(entry: Entry, nowMs: number): void {
    const { check } = entry.target;
    const { random } = this.#options;
    const dueMs = nextProbeMs(check, entry.phase, this.#baseMs, nowMs, random);
    this.#timers.set(entry, EntryTimer.probe, dueMs);
  }

  #checkFirstRound(): void {
    if (this.#state === "running" && this.#unseen.size === 0) this.#firstRound.resolve();
  }

  /** After anything happened: calculated checks, one batch for the listener, the timer. */
  #changed(pace: "at once" | "spaced" = "at once"): void {
    this.#calculated.evaluate(this.#byKey, (entry, calculation) => {
      const atMs = this.#options.clock.monotonicMs();
      this.#step(entry, { kind: "decided", ...calculation, atMs });
    });
    this.#outbox.flush(pace);
    if (this.#state === "running") this.#timers.arm();
  }
}
