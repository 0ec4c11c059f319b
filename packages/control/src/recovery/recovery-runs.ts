// SPDX-License-Identifier: Apache-2.0

// Drives the runs of recovery plans, at the control that leads. Each turn takes the run as the store has it, steps it (`advance`), and commits
// what came of that before anything follows from it:
//
//   stored run ─► advance ─► commit ─► work of the steps that are running now ─► outcome ─► the next turn
//
// A control that leads anew finds in the store which steps are running, and does their work again under the same keys.

import { randomBytes, randomUUID } from "node:crypto";
import { MeridianError, parseDuration, reasonOf } from "@meridian/core";
import type { Act } from "../approvals/act.ts";
import type { Caller } from "../access/caller.ts";
import type { Leading } from "../cells/cell-keeper.ts";
import { denied } from "../documents/change-plan.ts";
import { accessTargetOf } from "../documents/document-access.ts";
import { formatKey } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { ChangeGate } from "../documents/document-service.ts";
import type { Logger } from "../embedded-options.ts";
import { RequestRefusal } from "../request-refusal.ts";
import { storeWrites, type StateDocuments, type StateWrite } from "../state/state-documents.ts";
import type { OutsideWork } from "./outside-steps.ts";
import type { PlanFinding } from "./plan-evaluation.ts";
import { allPlans, plansOf } from "./recovery-documents.ts";
import { advance, type Advance } from "./run-advance.ts";
import type { StoredDocument } from "../store/store.ts";
import { orderRun, skipsApproval, type Order } from "./run-orders.ts";
import { MEASURE_MS_MAX, RunMeasures, type RunMeasuresOptions } from "./run-measures.ts";
import { isOver, parseRun, runName, type RecoveryRun, type RunMode } from "./run-state.ts";
import { stepsOfPlan } from "./run-steps.ts";
import { conflictOf, touchesOf } from "./run-touches.ts";
import type { ServedTraffic } from "./served-traffic.ts";
import { StepsUnderWay } from "./steps-under-way.ts";
import { StoreSteps, type ShiftPlace, type StoreEffect } from "./store-steps.ts";
import type { WeightOverrides } from "../weights/weight-overrides.ts";
import { weightsHolder } from "./weights-step.ts";
import type { RoutingControls } from "../routing/routing-controls.ts";

/** Times a change is decided anew because another writer was first. */
const ATTEMPTS_MAX = 20;
/** The longest pause between two turns while something runs, and while nothing does. */
const BUSY_MS = 250;
const IDLE_MS = 1000;
/** A turn that failed is taken again after this. */
const AGAIN_MS = 500;
/** Runs that are kept of a plan. */
const RUNS_MAX = 20;

export interface RecoveryRunsOptions {
  readonly state: StateDocuments;
  readonly routing: RoutingControls;
  readonly shifts: ShiftPlace;
  readonly weights: WeightOverrides;
  readonly traffic: ServedTraffic;
  readonly work: OutsideWork;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** Of this control. */
  readonly name: string;
  readonly propagated: RunMeasuresOptions["propagated"];
  readonly expected: RunMeasuresOptions["expected"];
  /** What is known to be wrong with `NAMESPACE/PLAN`. */
  readonly findings?: (plan: string) => readonly PlanFinding[] | undefined;
  /** What asks change policies before a run begins that people begin. */
  readonly gate?: ChangeGate;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

/** A run as it is asked for. */
export interface RunRequest {
  readonly namespace: string;
  readonly plan: string;
  readonly mode: RunMode;
  readonly reason: string;
  /** When what it recovers from began; now unless given. Unix milliseconds. */
  readonly sinceMs?: number | undefined;
  readonly breakGlass?: boolean | undefined;
  readonly trigger?: string | undefined;
  readonly detectedAtMs?: number | undefined;
  /** It was refused before, and that is audited. */
  readonly isAgain?: boolean | undefined;
}

/** A plan as it is listed. */
export interface PlanView {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly description: string;
  readonly steps: number;
  readonly triggers: number;
  /** What was found when it was last evaluated. */
  readonly findings: readonly PlanFinding[];
  readonly objectiveMs: number | undefined;
  readonly lastRun?: string;
  readonly lastState?: string;
  readonly lastAtMs?: number;
}

export class RecoveryRuns {
  readonly #options: RecoveryRunsOptions;
  readonly #storeSteps: StoreSteps;
  readonly #steps: StepsUnderWay;
  readonly #measures: RunMeasures;
  readonly #closing = new AbortController();
  readonly #parsed = new WeakMap<object, RecoveryRun | undefined>();
  #turn: Promise<void> | undefined;
  #isAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RecoveryRunsOptions) {
    this.#options = options;
    this.#storeSteps = new StoreSteps(options.routing, options.shifts, options);
    this.#steps = new StepsUnderWay(options.work, () => this.look());
    this.#measures = new RunMeasures({ ...options, onMark: () => this.look() });
  }

  start(): void {
    this.look();
  }

  /** Ends work that is under way; who leads next does it again. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#measures.close();
    clearTimeout(this.#timer);
    this.#steps.keep(() => false);
    await this.#turn;
  }

  /** To be called when the store may have changed, and when this control begins or ceases to lead. */
  look(): void {
    if (this.#closing.signal.aborted) return;
    if (this.#turn !== undefined) {
      this.#isAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#turn = this.#takeTurn().then((pauseMs) => {
      this.#turn = undefined;
      const nextMs = this.#isAgain ? 0 : pauseMs;
      this.#isAgain = false;
      if (this.#closing.signal.aborted) return;
      this.#timer = setTimeout(() => this.look(), nextMs).unref();
    });
  }

  /** All that the store has, the newest first. */
  runs(): readonly RecoveryRun[] {
    const { documents } = this.#options.state;
    return [...documents.ofKind("RecoveryRun")]
      .flatMap((stored) => this.#read(stored) ?? [])
      .toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1));
  }

  #read(stored: Pick<StoredDocument, "text">): RecoveryRun | undefined {
    if (!this.#parsed.has(stored)) this.#parsed.set(stored, parseRun(stored.text));
    return this.#parsed.get(stored);
  }

  /** Every plan, with its newest run. */
  plans(): readonly PlanView[] {
    const runs = this.runs();
    return allPlans(this.#options.state.documents)
      .map(({ metadata, spec }) => {
        const { namespace, name } = metadata;
        const last = runs.find((run) => run.namespace === namespace && run.plan === name);
        return {
          name: `${namespace}/${name}`,
          description: spec.description ?? "",
          steps: Object.keys(spec.steps).length,
          triggers: Object.keys(spec.triggers).length,
          findings: this.#options.findings?.(`${namespace}/${name}`) ?? [],
          objectiveMs: parseDuration(spec.objective?.recoveryTime ?? ""),
          ...(last === undefined
            ? {}
            : { lastRun: last.id, lastState: last.state, lastAtMs: last.createdAtMs }),
        };
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** As `StepsUnderWay.detailOf()`. */
  detailOf(run: RecoveryRun, index: number): string {
    return this.#steps.detailOf(run, index);
  }

  /** As `RunMeasures.propagatedAtMs()`. */
  propagatedAtMs(run: RecoveryRun): number | undefined {
    return this.#measures.propagatedAtMs(run);
  }

  /** The run that `RUN`, or the newest of `NAMESPACE/PLAN`, means. Throws where there is none. */
  find(namespace: string, planOrId: string): RecoveryRun {
    const inside = this.runs().filter((run) => run.namespace === namespace);
    const found =
      inside.find(({ id }) => id === planOrId) ?? inside.find(({ plan }) => plan === planOrId);
    if (found !== undefined) return found;
    throw new RequestRefusal(
      "DOCUMENT_NOT_FOUND",
      `There is no run of RecoveryPlan/${namespace}/${planOrId}`,
    );
  }

  /** Begins a run, durable when it resolves. Throws why it is refused; that is audited, too. */
  async begin(request: RunRequest, caller: Caller): Promise<RecoveryRun> {
    const { namespace, plan } = request;
    const key = { kind: "RecoveryPlan", namespace, name: plan };
    if (!caller.may("run", { kind: "RecoveryPlan", namespace })) throw denied(caller, "run", key);
    const { gate } = this.#options;
    return this.#decided(async () => {
      // What is decided by now; what asks change policies takes its time.
      const head = this.#head;
      const run = this.#newRun(request, caller);
      const conflict = conflictOf(run, this.runs()) ?? this.#heldWeights(run);
      if (conflict !== undefined) {
        const message = `Cannot run RecoveryPlan/${namespace}/${plan}: ${conflict}`;
        const about = { plan: `${namespace}/${plan}`, message };
        if (request.isAgain !== true) await this.#audit("run-refused", caller.subject, about);
        throw new RequestRefusal("RECOVERY_REFUSED", message);
      }
      const act = actOf(run, this.#options.state.documents);
      const approved = request.trigger === undefined ? await gate?.(act, caller, request) : [];
      const writes = [...this.#pruned(run), ...(approved ?? [])];
      await this.#commit(run, 0, { writes, head }, { verb: "run", who: whoOf(caller) });
      return run;
    });
  }

  /** Does something to a run that is under way, durable when it resolves. Throws why it is not done. */
  async order(
    namespace: string,
    planOrId: string,
    order: Order,
    caller: Caller,
  ): Promise<RecoveryRun> {
    const key = { kind: "RecoveryPlan", namespace, name: planOrId };
    const verb = order.order === "approve" || order.order === "decline" ? "approve" : "run";
    if (!caller.may(verb, { kind: "RecoveryPlan", namespace })) throw denied(caller, verb, key);
    return this.#decided(async () => {
      const before = this.find(namespace, planOrId);
      const result = orderRun(before, order, this.#options.nowMs());
      const isAnew = "run" in result && isOver(before);
      const conflict = isAnew ? conflictOf(result.run, this.runs()) : undefined;
      const refusal = "refusal" in result ? result.refusal : conflict;
      if (refusal !== undefined || "refusal" in result)
        throw new RequestRefusal(
          "RECOVERY_REFUSED",
          `Cannot ${order.order} the run ${before.id} of RecoveryPlan/${namespace}/${before.plan}: ${refusal ?? ""}`,
        );
      // To go on without asking is to say yes.
      const isAnswer = order.order === "skip" && skipsApproval(before, result.run);
      if (isAnswer && !caller.may("approve", { kind: "RecoveryPlan", namespace }))
        throw denied(caller, "approve", { ...key, name: before.plan });
      await this.#commit(
        result.run,
        this.#revisionOf(before),
        {},
        {
          ...{ verb: order.order, who: whoOf(caller), reason: order.reason },
          ...(order.step === undefined ? {} : { step: order.step }),
        },
      );
      return result.run;
    });
  }

  /** Decides by what the store says now, and anew where another writer was first. */
  async #decided(decide: () => Promise<RecoveryRun>): Promise<RecoveryRun> {
    for (let attempt = 1; ; attempt++) {
      await this.#options.state.refresh();
      try {
        const run = await decide();
        this.look();
        return run;
      } catch (error) {
        if (!isConflict(error) || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  #newRun(request: RunRequest, caller: Caller): RecoveryRun {
    const { namespace, plan, mode, reason, trigger } = request;
    const { documents } = this.#options.state;
    const plans = plansOf(documents, namespace);
    const { spec } = plans.get(plan) ?? {};
    if (spec === undefined)
      throw new RequestRefusal(
        "DOCUMENT_NOT_FOUND",
        `There is no RecoveryPlan/${namespace}/${plan}`,
      );
    const found = stepsOfPlan(plan, plans);
    if ("problem" in found)
      throw new RequestRefusal(
        "RECOVERY_REFUSED",
        `Cannot run RecoveryPlan/${namespace}/${plan}: ${found.problem}`,
      );
    const nowMs = this.#options.nowMs();
    const run: RecoveryRun = {
      ...{ id: randomBytes(4).toString("hex"), namespace, plan, mode, state: "running" },
      ...{ isRollingBack: false, actor: caller.subject, reason, trigger, createdAtMs: nowMs },
      sinceMs: Math.min(request.sinceMs ?? nowMs, nowMs),
      detectedAtMs: Math.min(request.detectedAtMs ?? nowMs, nowMs),
      objectiveMs: parseDuration(spec.objective?.recoveryTime ?? ""),
      ...{ names: spec.names, isMeasured: false, touches: [], steps: found.steps, events: [] },
    };
    return { ...run, touches: touchesOf(run, documents, this.#options.traffic) };
  }

  /** Who else holds weights that a step is to change. */
  #heldWeights({ namespace, steps }: RecoveryRun): string | undefined {
    return steps
      .map(({ what }) => weightsHolder(what, namespace, this.#options.weights))
      .find((holder) => holder !== undefined);
  }

  /** Older runs of the plan than are kept, and their marks. */
  #pruned(run: RecoveryRun): StateWrite[] {
    const old = this.runs()
      .filter(({ namespace, plan }) => namespace === run.namespace && plan === run.plan)
      .filter(isOver)
      .slice(RUNS_MAX - 1)
      .map(runName);
    const marks = [...this.#options.state.all("RecoveryMark")].filter(({ name }) =>
      old.some((each) => name.startsWith(`${each}/`)),
    );
    return [
      ...old.map((name): StateWrite => ({ kind: "RecoveryRun", name, text: undefined })),
      ...marks.map(({ name }): StateWrite => ({ kind: "RecoveryMark", name, text: undefined })),
    ];
  }

  /** One turn of every run; gives the pause until the next, milliseconds. */
  async #takeTurn(): Promise<number> {
    try {
      const runs = this.runs();
      const isMeasuring = this.#measures.look(runs);
      const leading = this.#options.leading();
      if (leading === undefined) {
        this.#steps.keep(() => false);
        return isMeasuring ? BUSY_MS : IDLE_MS;
      }
      const wanted = new Set(runs.filter((run) => !isOver(run)).map(runName));
      this.#steps.keep((run) => wanted.has(run));
      let pauseMs = IDLE_MS;
      for (const run of runs) pauseMs = Math.min(pauseMs, await this.#goOn(runName(run), leading));
      return pauseMs;
    } catch (error) {
      return this.#failed(error, "Cannot go on with recovery plans");
    }
  }

  /** Of one run as the store has it now, which may be another than when the turn began. What fails holds no other one up. */
  async #goOn(name: string, leading: NonNullable<Leading>): Promise<number> {
    const stored = this.#options.state.get("RecoveryRun", name);
    const run = stored === undefined ? undefined : this.#read(stored);
    if (stored === undefined || run === undefined || !this.#isUnderWay(run)) return IDLE_MS;
    try {
      return await this.#drive(run, stored.revision, leading);
    } catch (error) {
      return this.#failed(error, `Cannot go on with the recovery run ${name}`);
    }
  }

  /** Gives the pause until it is tried again, milliseconds. */
  async #failed(why: unknown, what: string): Promise<number> {
    if (this.#closing.signal.aborted) return IDLE_MS;
    if (!isConflict(why)) this.#options.logger.warn({ reason: reasonOf(why) }, what);
    await this.#options.state.refresh().catch(() => undefined);
    return isConflict(why) ? 0 : AGAIN_MS;
  }

  /** Also one that is over, as long as it is to be seen when all is healthy. */
  #isUnderWay(run: RecoveryRun): boolean {
    const isLate = this.#options.nowMs() > (run.endedAtMs ?? 0) + MEASURE_MS_MAX;
    return !isOver(run) || !(run.movedAtMs === undefined || run.isMeasured || isLate);
  }

  /** `revision` is that of `before`: what was committed meanwhile is not undone. */
  async #drive(
    before: RecoveryRun,
    revision: number,
    leading: NonNullable<Leading>,
  ): Promise<number> {
    const nowMs = this.#options.nowMs();
    const head = this.#head;
    const told = this.#steps.outcomesOf(runName(before));
    let next = advance(before, told.outcomes, nowMs);
    let writes: readonly StateWrite[] = [];
    const { effect, dueAtMs } = this.#storeEffect(next, nowMs);
    if (effect !== undefined) {
      await effect.before?.();
      writes = effect.writes;
      next = advance(next.run, new Map([[effect.at, effect.outcome]]), this.#options.nowMs());
    }
    const run = this.#measures.measured(next.run, nowMs);
    if (run !== before) {
      const about = {
        verb: "recovery",
        who: { subject: run.actor },
        steps: changedSteps(before, run),
      };
      const decided = writes.length > 0 ? { writes, head } : {};
      await this.#commit(run, revision, decided, about, leading.lease);
    }
    told.taken();
    this.#steps.follow(run, next.work);
    const isMore = effect !== undefined && next.work.some((at) => isStoreStep(next, at));
    const leftMs = Math.min(next.wakeAtMs ?? Infinity, dueAtMs) - this.#options.nowMs();
    return isMore ? 0 : Math.max(0, Math.min(BUSY_MS, leftMs));
  }

  /** What the first step does to the store that has something to do there now: one at a time, as two of them may write the same. */
  #storeEffect(
    { run, work }: Advance,
    nowMs: number,
  ): { readonly effect?: StoreEffect & { readonly at: number }; readonly dueAtMs: number } {
    let dueAtMs = Infinity;
    for (const at of work) {
      const step = run.steps[at];
      if (step === undefined || !StoreSteps.has(step)) continue;
      const effect = this.#storeSteps.effect(run, step, nowMs);
      if (effect.dueAtMs === undefined) return { effect: { ...effect, at }, dueAtMs };
      dueAtMs = Math.min(dueAtMs, effect.dueAtMs);
    }
    return { dueAtMs };
  }

  #revisionOf(run: RecoveryRun): number {
    return this.#options.state.get("RecoveryRun", runName(run))?.revision ?? 0;
  }

  /** Of what is decided by. */
  get #head(): number {
    return this.#options.state.documents.revision;
  }

  /** Durable when it resolves; rejects with STORE_CONFLICT where the run is another by now or, with a `head`, anything else has changed since. */
  async #commit(
    run: RecoveryRun,
    ifRevision: number,
    { writes = [], head }: { readonly writes?: readonly StateWrite[]; readonly head?: number },
    about: object,
    lease?: NonNullable<Leading>["lease"],
  ): Promise<void> {
    const { state } = this.#options;
    const own: StateWrite = {
      kind: "RecoveryRun",
      name: runName(run),
      text: JSON.stringify(run),
      ifRevision,
    };
    await state.store.commit({
      id: randomUUID(),
      writes: storeWrites([own, ...writes]),
      cause: JSON.stringify({ ...about, run: runName(run), state: run.state }),
      ...(head === undefined ? {} : { ifHead: head }),
      ...(lease === undefined ? {} : { lease }),
    });
    await state.refresh();
  }

  async #audit(verb: string, subject: string, about: object): Promise<void> {
    const cause = JSON.stringify({ verb, who: { subject }, ...about });
    await this.#options.state.store.commit({ id: randomUUID(), writes: [], cause });
  }
}

/** As change policies look at it. */
function actOf({ namespace, plan, mode, steps }: RecoveryRun, documents: DocumentSet): Act {
  const key = { kind: "RecoveryPlan", namespace, name: plan };
  const raw: unknown = JSON.parse(documents.get(key)?.text ?? "{}");
  const target = { ...accessTargetOf(key, raw), verbs: ["run" as const], name: formatKey(key) };
  const content = { namespace, plan, mode, steps: steps.map(({ what }) => what) };
  return { verb: "run", targets: [target], content, changes: [{ mode }] };
}

function isStoreStep({ run }: Advance, index: number): boolean {
  const step = run.steps[index];
  return step !== undefined && StoreSteps.has(step);
}

function isConflict(error: unknown): boolean {
  return error instanceof MeridianError && error.code === "STORE_CONFLICT";
}

function whoOf({ subject, token, address }: Caller): object {
  return {
    subject,
    ...(token === undefined ? {} : { token }),
    ...(address === "" ? {} : { address }),
  };
}

/** `NAME STATE` of the steps that are another now, for the audit log. */
function changedSteps(before: RecoveryRun, after: RecoveryRun): readonly string[] {
  return after.steps.flatMap(({ name, state }, index) =>
    before.steps[index]?.state === state ? [] : [`${name} ${state}`],
  );
}
