// SPDX-License-Identifier: Apache-2.0

// Drives the runs of recovery plans, at the control that leads. Each turn takes the run as the store has it, steps it (`advance`), and commits
// what came of that before anything follows from it:
//
//   stored run ─► advance ─► commit ─► work of the steps that are running now ─► outcome ─► the next turn
//
// A control that leads anew finds in the store which steps are running, and does their work again under the same keys.

import { randomBytes, randomUUID } from "node:crypto";
import { MeridianError, parseDuration, reasonOf } from "@meridian/core";
import { stepKindOf } from "@meridian/model";
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
import { controlsOf } from "../routing/routing-documents.ts";
import { storeWrites, type StateDocuments, type StateWrite } from "../state/state-documents.ts";
import { doStep, stepKey, type OutsideWork } from "./outside-steps.ts";
import type { PlanFinding } from "./plan-evaluation.ts";
import { allPlans, plansOf } from "./recovery-documents.ts";
import { advance, type Advance, type Outcome } from "./run-advance.ts";
import type { StoredDocument } from "../store/store.ts";
import { orderRun, skipsApproval, type Order } from "./run-orders.ts";
import { isOver, parseRun, runName, type RecoveryRun, type RunMode } from "./run-state.ts";
import { stepsOfPlan } from "./run-steps.ts";
import type { ServedTraffic } from "./served-traffic.ts";
import { StoreSteps, type ShiftPlace } from "./store-steps.ts";
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
/** How long after a run it is looked whether all is healthy. */
const GREEN_MS_MAX = 3_600_000;

export interface RecoveryRunsOptions {
  readonly state: StateDocuments;
  readonly routing: RoutingControls;
  readonly shifts: ShiftPlace;
  readonly traffic: ServedTraffic;
  readonly work: OutsideWork;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** Of this control. */
  readonly name: string;
  /** Resolves when all edges of this control answer what the store says now. */
  readonly propagated: (signal: AbortSignal) => Promise<void>;
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

/** The work of a step that is under way here. */
interface Doing {
  readonly run: string;
  readonly index: number;
  readonly ended: AbortController;
  outcome: Outcome | undefined;
}

export class RecoveryRuns {
  readonly #options: RecoveryRunsOptions;
  readonly #storeSteps: StoreSteps;
  /** By run, step and when that began. */
  readonly #doing = new Map<string, Doing>();
  readonly #marking = new Set<string>();
  readonly #closing = new AbortController();
  readonly #parsed = new WeakMap<object, RecoveryRun | undefined>();
  #turn: Promise<void> | undefined;
  #isAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RecoveryRunsOptions) {
    this.#options = options;
    this.#storeSteps = new StoreSteps(options.routing, options.shifts);
  }

  start(): void {
    this.look();
  }

  /** Ends work that is under way; who leads next does it again. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    this.#forget(() => true);
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

  /** When each control that has said so had a move at its edges, Unix milliseconds. */
  propagatedAtMs(run: RecoveryRun): number | undefined {
    const prefix = `${runName(run)}/`;
    const marks = [...this.#options.state.all("RecoveryMark")].flatMap(({ name, text }) => {
      const mark = name.startsWith(prefix) ? markIn(text) : undefined;
      return mark !== undefined && mark.movedAtMs === run.movedAtMs ? [mark.atMs] : [];
    });
    return marks.length === 0 ? undefined : Math.max(...marks);
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
      const run = this.#newRun(request, caller);
      const conflict = this.#conflictOf(run);
      if (conflict !== undefined) {
        const message = `Cannot run RecoveryPlan/${namespace}/${plan}: ${conflict}`;
        const about = { plan: `${namespace}/${plan}`, message };
        if (request.isAgain !== true) await this.#audit("run-refused", caller.subject, about);
        throw new RequestRefusal("RECOVERY_REFUSED", message);
      }
      const act = actOf(run, this.#options.state.documents);
      const approved = request.trigger === undefined ? await gate?.(act, caller, request) : [];
      const writes = [...this.#pruned(run), ...(approved ?? [])];
      await this.#commit(run, 0, writes, { verb: "run", who: whoOf(caller) });
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
      const conflict = "run" in result && isOver(before) ? this.#conflictOf(result.run) : undefined;
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
      await this.#commit(result.run, this.#revisionOf(before), [], {
        ...{ verb: order.order, who: whoOf(caller), reason: order.reason },
        ...(order.step === undefined ? {} : { step: order.step }),
      });
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
    return { ...run, touches: this.#touchesOf(run) };
  }

  /** What a run moves, endpoint by endpoint. */
  #touchesOf({ namespace, plan, steps }: RecoveryRun): readonly string[] {
    const controls = controlsOf(this.#options.state.documents).filter(
      ({ document }) => document.metadata.namespace === namespace,
    );
    const touches = new Set([`RecoveryPlan/${namespace}/${plan}`]);
    const target = (text: string): void => {
      touches.add(text);
      for (const endpoint of this.#options.traffic.endpoints(text)) touches.add(endpoint);
    };
    for (const { what } of steps) {
      if (what.shift !== undefined) target(what.shift.target);
      if (what.endShift !== undefined) target(what.endShift.target);
      for (const name of Object.keys(what.controls?.states ?? {})) {
        touches.add(`RoutingControl/${namespace}/${name}`);
        const known = controls.find(({ document }) => document.metadata.name === name);
        for (const each of known?.document.spec.targets ?? []) target(each);
      }
      if (what.kubernetes !== undefined) {
        const { namespace: inside, resource, name } = what.kubernetes;
        touches.add(`kubernetes/${inside}/${resource}/${name}`);
      }
    }
    return [...touches];
  }

  /** Why a run may not be under way beside those that are. */
  #conflictOf(run: RecoveryRun): string | undefined {
    const own = new Set(run.touches);
    for (const other of this.runs()) {
      if (isOver(other) || other.id === run.id) continue;
      const both = other.touches.find((each) => own.has(each));
      if (both !== undefined)
        return `run ${other.id} of RecoveryPlan/${other.namespace}/${other.plan} is under way and moves ${both}, too`;
    }
    return undefined;
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
      this.#mark();
      const leading = this.#options.leading();
      if (leading === undefined) {
        this.#forget(() => true);
        return IDLE_MS;
      }
      const runs = this.runs();
      this.#forget(({ run }) => !runs.some((each) => runName(each) === run && !isOver(each)));
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
    const isLate = this.#options.nowMs() > (run.endedAtMs ?? 0) + GREEN_MS_MAX;
    return !isOver(run) || !(run.movedAtMs === undefined || run.isMeasured || isLate);
  }

  /** `revision` is that of `before`: what was committed meanwhile is not undone. */
  async #drive(
    before: RecoveryRun,
    revision: number,
    leading: NonNullable<Leading>,
  ): Promise<number> {
    const nowMs = this.#options.nowMs();
    const name = runName(before);
    const told = [...this.#doing].filter(
      ([, { run, outcome }]) => run === name && outcome !== undefined,
    );
    const outcomes = new Map(
      told.flatMap(([, { index, outcome }]) =>
        outcome === undefined ? [] : [[index, outcome] as const],
      ),
    );
    let next = advance(before, outcomes, nowMs);
    let writes: readonly StateWrite[] = [];
    // One at a time: two of them may write the same.
    const inStore = next.work.find((at) => isStoreStep(next, at));
    const step = inStore === undefined ? undefined : next.run.steps[inStore];
    if (inStore !== undefined && step !== undefined) {
      const effect = this.#storeSteps.effect(next.run, step);
      await effect.before?.();
      writes = effect.writes;
      next = advance(next.run, new Map([[inStore, effect.outcome]]), this.#options.nowMs());
    }
    const run = this.#measured(next.run, nowMs);
    if (run !== before) {
      const about = {
        verb: "recovery",
        who: { subject: run.actor },
        steps: changedSteps(before, run),
      };
      await this.#commit(run, revision, writes, about, leading.lease);
    }
    for (const [key] of told) this.#doing.delete(key);
    this.#work(run, next.work);
    const isMore = next.work.some((at) => isStoreStep(next, at));
    const leftMs = (next.wakeAtMs ?? Infinity) - this.#options.nowMs();
    return isMore ? 0 : Math.max(0, Math.min(BUSY_MS, leftMs));
  }

  /** What is known by now of when clients had moved, and when all was healthy. */
  #measured(run: RecoveryRun, nowMs: number): RecoveryRun {
    const { movedAtMs, names } = run;
    if (movedAtMs === undefined || run.isMeasured) return run;
    const { traffic } = this.#options;
    const drainMs = run.drainMs ?? traffic.ttlMs(names) ?? 0;
    const greenAtMs = traffic.isGreen(names)
      ? (run.greenAtMs ?? Math.max(nowMs, movedAtMs))
      : undefined;
    const propagatedMs = this.propagatedAtMs(run);
    const isDrained = propagatedMs !== undefined && nowMs >= propagatedMs + drainMs;
    const isMeasured = isDrained && isOver(run) && greenAtMs !== undefined;
    const isSame = drainMs === run.drainMs && greenAtMs === run.greenAtMs && !isMeasured;
    return isSame ? run : { ...run, drainMs, greenAtMs, isMeasured };
  }

  /** Begins the work of steps that the store has as running, unless it is under way here. */
  #work(run: RecoveryRun, work: readonly number[]): void {
    const name = runName(run);
    const wanted = new Set<string>();
    for (const index of work) {
      const step = run.steps[index];
      if (step === undefined || this.#options.work[stepKindOf(step.what)] === undefined) continue;
      const key = `${name} ${index} ${step.state} ${step.startedAtMs ?? 0}`;
      wanted.add(key);
      if (this.#doing.has(key)) continue;
      const ended = new AbortController();
      const doing: Doing = { run: name, index, ended, outcome: undefined };
      this.#doing.set(key, doing);
      const report = (detail: string): void => {
        if (detail === step.detail || doing.outcome !== undefined) return;
        this.#told(run, index, detail);
      };
      const { signal } = ended;
      void doStep(this.#options.work, { run, step, key: stepKey(run, step), signal, report }).then(
        (outcome) => {
          doing.outcome = outcome;
          if (!signal.aborted) this.look();
        },
      );
    }
    for (const [key, doing] of this.#doing) {
      if (doing.run !== name || wanted.has(key)) continue;
      doing.ended.abort();
      this.#doing.delete(key);
    }
  }

  /** How a step goes that waits: for who looks now; the store has it with the next change. */
  readonly #details = new Map<string, string>();

  #told({ id }: RecoveryRun, index: number, detail: string): void {
    this.#details.set(`${id} ${index}`, detail);
  }

  /** How a step goes, as far as it is known here. */
  detailOf(run: RecoveryRun, index: number): string {
    const step = run.steps[index];
    const isOn = step?.state === "running" || step?.state === "undoing";
    const told = this.#details.get(`${run.id} ${index}`);
    return (isOn ? told : undefined) ?? step?.detail ?? "";
  }

  #forget(isOld: (doing: Doing) => boolean): void {
    for (const [key, doing] of this.#doing) {
      if (!isOld(doing)) continue;
      doing.ended.abort();
      this.#doing.delete(key);
    }
    if (this.#doing.size === 0) this.#details.clear();
  }

  /** Each control says when its own edges had what a run has moved. */
  #mark(): void {
    const nowMs = this.#options.nowMs();
    for (const run of this.runs()) {
      const { movedAtMs } = run;
      if (movedAtMs === undefined || nowMs > movedAtMs + GREEN_MS_MAX) continue;
      const name = `${runName(run)}/${this.#options.name}`;
      const wanted = `${name} ${movedAtMs}`;
      const stored = this.#options.state.get("RecoveryMark", name);
      const mark = stored === undefined ? undefined : markIn(stored.text);
      if (this.#marking.has(wanted) || mark?.movedAtMs === movedAtMs) continue;
      this.#marking.add(wanted);
      this.#propagated(name, movedAtMs)
        .catch((error: unknown) => {
          if (!this.#closing.signal.aborted)
            this.#options.logger.warn({ reason: reasonOf(error) }, "Cannot say what edges have");
        })
        .finally(() => this.#marking.delete(wanted));
    }
  }

  async #propagated(name: string, movedAtMs: number): Promise<void> {
    const { propagated, nowMs, state } = this.#options;
    await propagated(this.#closing.signal);
    const text = JSON.stringify({ movedAtMs, atMs: Math.max(movedAtMs, nowMs()) });
    await state.write([{ kind: "RecoveryMark", name, text }], "recovery", { edgesOf: name });
    this.look();
  }

  #revisionOf(run: RecoveryRun): number {
    return this.#options.state.get("RecoveryRun", runName(run))?.revision ?? 0;
  }

  /** Durable when it resolves; rejects with STORE_CONFLICT where anything that it was decided by has changed. */
  async #commit(
    run: RecoveryRun,
    ifRevision: number,
    writes: readonly StateWrite[],
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
    const isNew = ifRevision === 0;
    await state.store.commit({
      id: randomUUID(),
      writes: storeWrites([own, ...writes]),
      cause: JSON.stringify({ ...about, run: runName(run), state: run.state }),
      ...(writes.length > 0 || isNew ? { ifHead: state.documents.revision } : {}),
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

function markIn(text: string): { readonly movedAtMs: number; readonly atMs: number } | undefined {
  const raw: unknown = JSON.parse(text);
  if (typeof raw !== "object" || raw === null) return undefined;
  const [movedAtMs, atMs] = [Reflect.get(raw, "movedAtMs"), Reflect.get(raw, "atMs")].map(Number);
  return movedAtMs === undefined || atMs === undefined ? undefined : { movedAtMs, atMs };
}
