// SPDX-License-Identifier: Apache-2.0

// Drives rollouts. Where each is lies in the store, beside the weights that it gives, both changed by one commit: so a leader that dies is
// followed by one that goes on where the store says, and of two that believe to lead the store takes the newer one's word alone.

import { isDeepStrictEqual } from "node:util";
import { reasonOf } from "@meridian/core";
import type { Caller } from "../access/caller.ts";
import { denied } from "../documents/change-plan.ts";
import { accessTargetOf } from "../documents/document-access.ts";
import type { Approvals } from "../approvals/approvals.ts";
import type { Leading } from "../cells/cell-keeper.ts";
import type { Logger } from "../embedded-options.ts";
import type { AlertBoard } from "../notifications/alert.ts";
import { askNumber } from "../prometheus/ask-prometheus.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { SecretPlace } from "../secrets/probe-secrets.ts";
import { Secrets } from "../secrets/secrets.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import type { WeightOverrides } from "../weights/weight-overrides.ts";
import type { WeightsReach } from "../weights/weights-reach.ts";
import {
  CONTROL,
  aborted,
  advance,
  begun,
  canaryPercent,
  dues,
  isActive,
  isMoving,
  measured,
  nextMs,
  ordered,
  served as begins,
  type Due,
  type Measurement,
  type Order,
  type RolloutRun,
} from "./rollout-run.ts";
import { orphansOf, rolloutsOf, type KnownRollout } from "./rollout-state.ts";
import {
  isWritten,
  targetOf,
  weightsProblem,
  type RolloutTarget,
  type ServedTargets,
} from "./rollout-target.ts";

/** Longest pause between two looks. */
const LOOK_MS_MAX = 1000;
/** How often it is looked whether edges answer with weights. */
const EDGES_MS = 50;
/** Times an order is tried anew because the leader was first. */
const ATTEMPTS_MAX = 20;

export interface RolloutKeeperOptions {
  readonly state: StateDocuments;
  readonly weights: WeightOverrides;
  /** undefined as long as nothing is served. */
  readonly served: () => ServedTargets | undefined;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** Whom weights have not reached that were in the store as of this revision of it. */
  readonly reach: (asOf: number) => Promise<WeightsReach>;
  /** Where secrets of Prometheus servers are. */
  readonly secrets: SecretPlace;
  /** Whether what somebody wants may go ahead now. */
  readonly approvals: Pick<Approvals, "admit">;
  readonly board: AlertBoard;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

/** What somebody wants of a rollout. */
export interface RolloutOrder extends Omit<Order, "verb" | "actor"> {
  readonly verb: Order["verb"] | "start";
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  /** Without the approval that it would need, and outside of windows. */
  readonly breakGlass?: boolean;
}

interface Change {
  readonly known: KnownRollout;
  readonly run: RolloutRun;
  /** undefined: no weights are given any more. */
  readonly target: RolloutTarget | undefined;
}

export class RolloutKeeper {
  readonly #options: RolloutKeeperOptions;
  readonly #secrets: Secrets;
  readonly #closing = new AbortController();
  readonly #driven = new Map<string, Promise<void>>();
  #alerted: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RolloutKeeperOptions) {
    this.#options = options;
    this.#secrets = new Secrets(options.secrets.folder, options.secrets.environment);
  }

  start(): void {
    this.look();
  }

  /** What is asked for is not waited for. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await Promise.all(this.#driven.values());
  }

  /** Every rollout, as the store was last seen. */
  all(): readonly KnownRollout[] {
    return rolloutsOf(this.#options.state.documents);
  }

  /** To be called when the store may have changed; it comes back by itself when something is due. Never throws. */
  look(): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#timer);
    const rollouts = this.all();
    this.#alert(rollouts);
    const nowMs = this.#options.nowMs();
    const isLeading = this.#options.leading() !== undefined;
    const orphans = isLeading ? orphansOf(this.#options.state.documents) : [];
    for (const name of orphans) this.#once(name, () => this.#clear(name));
    let next = nowMs + LOOK_MS_MAX;
    for (const known of rollouts) {
      const { name, run, document } = known;
      if (run === undefined || !isLeading) continue;
      const dueMs = nextMs(document.spec, run) ?? Infinity;
      if (isMoving(run)) next = Math.min(next, nowMs + EDGES_MS);
      if (!this.#driven.has(name)) next = Math.min(next, dueMs);
      this.#once(name, () => this.#drive(known));
    }
    this.#timer = setTimeout(() => this.look(), Math.max(1, next - nowMs)).unref();
  }

  #once(name: string, work: () => Promise<void>): void {
    if (this.#driven.has(name)) return;
    const { state } = this.#options;
    const before = state.get("RolloutRun", name)?.revision;
    let hasMoved = false;
    const done = work()
      .then(() => {
        hasMoved = state.get("RolloutRun", name)?.revision !== before;
      })
      .catch((error: unknown) => {
        if (this.#closing.signal.aborted) return;
        this.#options.logger.warn(
          { rollout: name, reason: reasonOf(error) },
          "Cannot go on with a rollout",
        );
      })
      .finally(() => {
        this.#driven.delete(name);
        // It was passed over when the store said that it has gone on; what follows may be due.
        if (hasMoved) this.look();
      });
    this.#driven.set(name, done);
  }

  /** One look at a rollout that was started: measures what is due, and does what follows. */
  async #drive(known: KnownRollout): Promise<void> {
    const { served, nowMs, logger } = this.#options;
    const { document, name, run: before } = known;
    const { spec } = document;
    const now = served();
    if (now === undefined || before === undefined) return;
    const due = dues(spec, before).filter(({ atMs }) => atMs <= nowMs());
    const [reach, found] = await Promise.all([
      this.reachOf(known),
      Promise.all(
        due.map(async (each) => [each, await this.#measure(known, before, each)] as const),
      ),
    ]);
    if (this.#closing.signal.aborted) return;
    // Somebody may have paused or ended it meanwhile.
    const current = this.all().find((each) => each.name === name) ?? known;
    if (current.run === undefined || current.uid !== known.uid) return;
    const wanted = new Set(dues(spec, current.run).map(({ key }) => key));
    let run = current.run;
    if (reach?.waiting.length === 0 && run.movedAtMs === before.movedAtMs)
      run = begins(run, nowMs());
    for (const [each, measurement] of found)
      if (wanted.has(each.key)) run = measured(run, each, measurement, nowMs());
    const target = targetOf(document.metadata.namespace, spec, served() ?? now);
    if (typeof target === "string" && isActive(run)) run = aborted(run, target, nowMs());
    run = advance(spec, run, nowMs());
    const isOver = typeof target === "string" || (run.phase === "succeeded" && isWritten(target));
    const change = { known: current, run, target: isOver ? undefined : target };
    const writes = this.#writes(change);
    if (writes === undefined) {
      const reason = "another rollout or plan gives these branches weights";
      const lost = { known: current, run: aborted(run, reason, nowMs()), target: undefined };
      await this.#commit(lost, this.#writes(lost) ?? []);
    } else if (writes.length > 0) await this.#commit(change, writes);
    if (run.phase !== before.phase)
      logger.info({ rollout: name, phase: run.phase, reason: run.reason }, "A rollout goes on");
  }

  /** Whom the weights of a rollout have not reached; undefined where it does not wait for edges. */
  async reachOf({ name, run }: KnownRollout): Promise<WeightsReach | undefined> {
    if (run === undefined || !isMoving(run)) return undefined;
    const { weights, state, reach } = this.#options;
    const revisions = weights
      .all()
      .filter(({ owner }) => owner === ownerOf(name))
      .map(({ policy, node }) => state.get("WeightOverride", `${policy}/${node}`)?.revision ?? 0);
    return reach(Math.max(0, ...revisions));
  }

  async #measure(
    { document: { metadata, spec } }: KnownRollout,
    run: RolloutRun,
    { analysis }: Due,
  ): Promise<Measurement> {
    const { prometheus } = spec;
    if (prometheus === undefined) return { kind: "error", reason: "no Prometheus server is named" };
    const context = {
      secrets: this.#secrets,
      namespace: metadata.namespace,
      signal: this.#closing.signal,
    };
    const ask = (query: string): Promise<Measurement> =>
      askNumber(prometheus, expanded(query, spec, run), context);
    const { minSamples } = analysis;
    if (minSamples !== undefined) {
      const samples = await ask(minSamples.query);
      if (samples.kind !== "value") return { ...samples, reason: `samples: ${samples.reason}` };
      if (samples.value < minSamples.count)
        return {
          kind: "noData",
          reason: `${samples.value} samples, expected ${minSamples.count} or more`,
        };
    }
    return ask(analysis.query);
  }

  /** What of the store is another after a change; undefined where somebody else gives the weights. */
  #writes({ known, run, target }: Change): StateWrite[] | undefined {
    const { weights } = this.#options;
    const { name, document, revision } = known;
    const owner = ownerOf(name);
    const writes: StateWrite[] = [];
    if (run !== known.run)
      writes.push({ kind: "RolloutRun", name, text: JSON.stringify(run), ifRevision: revision });
    const given = new Map<string, StateWrite>();
    for (const [index, wave] of (target?.waves ?? []).entries()) {
      const percent = canaryPercent(run, index);
      if (target === undefined || percent === undefined) continue;
      const { policy } = target;
      const wanted = {
        weights: { [wave.stable]: 100 - percent, [wave.canary]: percent },
        cause: causeOf(name, document.spec, run),
        sinceMs: run.changedAtMs,
      };
      const held = weights.of(policy, wave.node);
      const write = weights.write({ policy, node: wave.node, owner }, wanted);
      if (write === undefined) return undefined;
      given.set(`${policy}/${wave.node}`, write);
      const isSame =
        held?.cause === wanted.cause && isDeepStrictEqual(held.weights, wanted.weights);
      if (!isSame) writes.push(write);
    }
    return [...writes, ...this.#withdrawals(owner, new Set(given.keys()))];
  }

  /** Who else gives a node of it weights. */
  #holderText({ known, target }: Change): string {
    const { weights } = this.#options;
    const held = target?.waves.map(({ node }) => weights.of(target.policy, node));
    const other = held?.find((each) => each !== undefined && each.owner !== ownerOf(known.name));
    const why = "another rollout or plan gives the branches of its policy weights";
    return other === undefined ? why : `${why}: ${other.cause}`;
  }

  /** What gives the nodes of an owner, but for some, their own weights again. */
  #withdrawals(owner: string, kept: ReadonlySet<string>): StateWrite[] {
    const { weights } = this.#options;
    return weights
      .all()
      .filter((each) => each.owner === owner && !kept.has(`${each.policy}/${each.node}`))
      .flatMap((each) => weights.write(each, undefined) ?? []);
  }

  /** The rollout is gone, or another one has its name: nothing of it is left. */
  async #clear(name: string): Promise<void> {
    const { state, leading } = this.#options;
    const stored = state.get("RolloutRun", name);
    const run: StateWrite = {
      kind: "RolloutRun",
      name,
      text: undefined,
      ifRevision: stored?.revision ?? 0,
    };
    const reason = "the Rollout is gone";
    await state.write(
      [run, ...this.#withdrawals(ownerOf(name), new Set())],
      "rollout",
      { rollout: name, reason },
      leading()?.lease,
    );
  }

  /** false where somebody else was first: it is looked at again. */
  async #commit({ known, run }: Change, writes: readonly StateWrite[]): Promise<boolean> {
    const { state, leading } = this.#options;
    const lead = leading();
    if (lead === undefined) return false;
    return state.write(writes, "rollout", aboutOf(known.name, run), lead.lease);
  }

  /** Does what somebody wants, durable and followed here when it resolves; throws why it cannot be. */
  async order(order: RolloutOrder, caller: Caller): Promise<KnownRollout> {
    const { state, weights } = this.#options;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      await state.refresh();
      const known = this.#found(order.name, caller);
      const change = this.#ordered(known, order, caller);
      const writes = this.#writes(change);
      if (writes === undefined) throw refused(order, this.#holderText(change));
      const approved = await this.#approved(known, order, caller);
      const { subject, token } = caller;
      const who = { subject, ...(token === undefined ? {} : { token }) };
      const about = { ...aboutOf(order.name, change.run), who, order: order.verb };
      if (!(await state.write([...writes, ...approved], "rollout", about))) continue;
      await weights.look();
      this.look();
      return this.#found(order.name, caller);
    }
    throw refused(order, "it is being changed again and again; try again");
  }

  /** What moves traffic to the canary may need approval; what holds it or takes it back does not. */
  #approved(
    { document, run }: KnownRollout,
    { verb, name, isFull, reason, breakGlass }: RolloutOrder,
    caller: Caller,
  ): Promise<readonly StateWrite[]> {
    if (verb === "pause" || verb === "abort") return Promise.resolve([]);
    const { namespace } = document.metadata;
    const key = { kind: "Rollout", namespace, name: document.metadata.name };
    const target = accessTargetOf(key, document);
    // What goes for one step goes neither for the next one nor for the same one of another run.
    const at = run && { startedAtMs: run.startedAtMs, wave: run.wave + 1, step: run.step + 1 };
    return this.#options.approvals.admit(
      {
        verb: `${verb} a rollout`,
        targets: [{ ...target, verbs: ["rollout"], name: `Rollout/${name}` }],
        content: { verb, name, isFull, at, spec: document.spec },
        changes: [{ verb, isFull, ...at }],
      },
      caller,
      { reason, breakGlass },
    );
  }

  #ordered(known: KnownRollout, order: RolloutOrder, { subject: actor }: Caller): Change {
    const { nowMs, served } = this.#options;
    const { document, run } = known;
    const { namespace } = document.metadata;
    const { verb } = order;
    const now = served();
    const target =
      now === undefined ? "nothing is served yet" : targetOf(namespace, document.spec, now);
    if (verb !== "start") {
      if (run === undefined) throw refused(order, "it was not started");
      // Without its target it would take all weights back, which abort alone means.
      if (verb !== "abort" && typeof target === "string") throw refused(order, target);
      const next = ordered(document.spec, run, { ...order, verb, actor }, nowMs());
      if (typeof next === "string") throw refused(order, next);
      return { known, run: next, target: typeof target === "string" ? undefined : target };
    }
    if (run !== undefined && isActive(run)) throw refused(order, `it is under way (${run.phase})`);
    if (typeof target === "string") throw refused(order, target);
    const problem = weightsProblem(target);
    if (problem !== undefined) throw refused(order, problem);
    if (this.#options.weights.all().some(({ owner }) => owner === ownerOf(known.name)))
      throw refused(
        order,
        "it has succeeded, and its policy does not say so: give the canary all the weight there, or meridian rollout abort goes back",
      );
    return { known, run: begun(known.uid, { actor, reason: order.reason }, nowMs()), target };
  }

  #found(name: string, caller: Caller): KnownRollout {
    const known = this.all().find((each) => each.name === name);
    if (known === undefined)
      throw new RequestRefusal("DOCUMENT_NOT_FOUND", `There is no Rollout/${name}`);
    const { metadata } = known.document;
    const key = { kind: "Rollout", namespace: metadata.namespace, name: metadata.name };
    if (!caller.may("rollout", accessTargetOf(key, known.document)))
      throw denied(caller, "rollout", key);
    return known;
  }

  #alert(rollouts: readonly KnownRollout[]): void {
    const { board } = this.#options;
    const alerted = new Set<string>();
    for (const { name, run, document } of rollouts) {
      if (run === undefined) continue;
      const isRolledBack = run.phase === "aborted" && run.actor === CONTROL;
      if (!isRolledBack && run.phase !== "waiting") continue;
      const subject = `rollout/${name}`;
      const what = isRolledBack ? "was rolled back" : "waits for meridian rollout promote";
      const summary = `Rollout ${name} ${what}: ${run.reason}`;
      board.raise({ event: "rollout", subject, namespace: document.metadata.namespace, summary });
      alerted.add(subject);
    }
    for (const subject of this.#alerted) if (!alerted.has(subject)) board.clear("rollout", subject);
    this.#alerted = alerted;
  }
}

function ownerOf(name: string): string {
  return `rollout/${name}`;
}

/** `rollout default/shop, step 2 of 5`, with the wave where there are several. */
function causeOf(
  name: string,
  { steps, waves }: KnownRollout["document"]["spec"],
  run: RolloutRun,
): string {
  if (run.phase === "succeeded") return `rollout ${name}, succeeded`;
  const site = waves[run.wave]?.site;
  const about = site === undefined ? "" : ` (${site})`;
  const wave = waves.length < 2 ? "" : `, wave ${run.wave + 1} of ${waves.length}${about}`;
  return `rollout ${name}${wave}, step ${Math.min(run.step + 1, steps.length)} of ${steps.length}`;
}

function aboutOf(rollout: string, { phase, wave, step, weight, reason }: RolloutRun): object {
  return { rollout, phase, wave: wave + 1, step: step + 1, weight, reason };
}

function expanded(
  query: string,
  { waves }: KnownRollout["document"]["spec"],
  run: RolloutRun,
): string {
  return query
    .replaceAll("{weight}", `${run.weight}`)
    .replaceAll("{wave}", `${run.wave + 1}`)
    .replaceAll("{site}", waves[run.wave]?.site ?? "");
}

function refused({ verb, name }: RolloutOrder, why: string): RequestRefusal {
  return new RequestRefusal("ROLLOUT_REFUSED", `Cannot ${verb} Rollout/${name}: ${why}`);
}
