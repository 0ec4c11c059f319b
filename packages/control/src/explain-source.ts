// SPDX-License-Identifier: Apache-2.0

// What explain looks at in a process that holds the documents.

import { targetBudget } from "@meridian/model";
import { worldOf, type World } from "@meridian/snapshot";
import type {
  ExplainShard,
  ExplainSource,
  ExplainView,
  Moment,
  TimedView,
} from "@meridian/snapshot/surface";
import type { ApiOptions } from "./api.ts";
import { precedenceOf, rankedShifts } from "./shift-precedence.ts";
import type { ServedModel } from "./served-model.ts";
import { shiftOf, shiftReaches, switchedOffBy, type Shift } from "./shift-effects.ts";

export function explainSource(options: ApiOptions): ExplainSource {
  return { now: () => viewNow(options), at: (moment) => viewAt(options, moment) };
}

function viewNow({
  embedded,
  transitions,
  gateway,
  routing,
  weights,
  publisher,
  signingOf,
}: ApiOptions): TimedView | string {
  const { world } = embedded;
  if (world === undefined) return "Nothing is served yet";
  const moment = embedded.overlay.moment();
  return {
    world,
    ...moment,
    ...(signingOf === undefined
      ? {}
      : {
          signingOf: (question, zones) =>
            signingOf({ world, slots: moment.slots }, question, zones),
        }),
    budgetOf: budgetOf(embedded.model),
    shardOf: (origin) => shardOf(gateway?.(), origin),
    publishedOf: (name) => publisher?.textOf(name),
    revision: embedded.revision,
    nowSeconds: Math.floor(Date.now() / 1000),
    failbackOf: (name) => failbackText(embedded, name),
    causeOf: (endpoint) => causeText(transitions, endpoint, Date.now()),
    weightCauseOf: (policy, node) => weights.of(policy, node)?.cause,
    switchedOffBy: (endpoint) =>
      embedded.model === undefined
        ? undefined
        : switchedOffBy(embedded.model, world, routing.off(), endpoint),
    shiftedBy: (endpoint) => shiftText(embedded, world, endpoint),
    announcedBy: (endpoint) =>
      announcedText({ model: embedded.model, shifts: embedded.shifts() }, world, endpoint),
  };
}

function shiftText(
  embedded: ApiOptions["embedded"],
  world: World,
  endpoint: number,
): string | undefined {
  const { model } = embedded;
  const ranked = rankedShifts(embedded.shifts(), Date.now());
  const shift = model === undefined ? undefined : shiftOf(model, world, ranked, endpoint);
  if (shift === undefined) return undefined;
  return `the ${precedenceOf(shift)} shift ${shift.id} of ${shift.target} (${shift.reason})`;
}

function announcedText(
  { model, shifts }: { readonly model: ServedModel | undefined; readonly shifts: readonly Shift[] },
  world: World,
  endpoint: number,
): string | undefined {
  const nowMs = Date.now();
  const [next] = shifts
    .filter(({ startsAtMs = 0 }) => startsAtMs > nowMs)
    .filter(({ target }) => model !== undefined && shiftReaches(model, world, target, endpoint))
    .toSorted((a, b) => (a.startsAtMs ?? 0) - (b.startsAtMs ?? 0));
  if (next === undefined) return undefined;
  const start = new Date(next.startsAtMs ?? 0).toISOString().replace(/\.\d+Z$/, "Z");
  return `the ${precedenceOf(next)} shift ${next.id} of ${next.target}, which starts at ${start} (${next.reason})`;
}

function shardOf(
  gateway: ReturnType<NonNullable<ApiOptions["gateway"]>>,
  origin: string,
): ExplainShard | undefined {
  const [found] = gateway?.shards(origin.toLowerCase().replace(/\.$/, "")) ?? [];
  if (found === undefined) return undefined;
  const { cell, unit, edges, leaving } = found;
  return { cell, unit, edges, leaving };
}

/** The newest change of a verdict until then, in words: `since 2026-11-22T19:00:00Z: 2 of 3 vantages: connection refused (eu-1, us-1)`. */
function causeText(
  transitions: ApiOptions["transitions"],
  endpoint: string,
  atMs: number,
): string | undefined {
  const last = transitions.newest(endpoint, atMs);
  if (last === undefined) return undefined;
  const since = new Date(last.atMs).toISOString().replace(/\.\d+Z$/, "Z");
  return `since ${since}: ${last.reason} (${last.vantage})`;
}

/** When a failover with `failback: hold` goes back, in words. */
function failbackText({ model }: ApiOptions["embedded"], name: string): string | undefined {
  const at = name.lastIndexOf("/");
  const failover = model?.policies.get(name.slice(0, at))?.spec.nodes[name.slice(at + 1)]?.failover;
  return failover?.failback === "hold"
    ? `an earlier one was healthy for ${failover.holdFor ?? "0s"} (failback: hold)`
    : undefined;
}

function viewAt(options: ApiOptions, moment: Moment): TimedView | string {
  const past = options.journal.at(moment);
  if (typeof past === "string") return past;
  const revision =
    "revision" in moment ? moment.revision : (past.last?.revision ?? options.embedded.revision);
  const world =
    revision === options.embedded.revision ? options.embedded.world : oldWorld(options, revision);
  if (world === undefined) return "Nothing is served yet";
  if (typeof world === "string") return world;
  const slots = world.initialSlots();
  for (const [key, value] of past.slots) {
    const slot = world.slotOfKey(key);
    if (slot >= 0 && world.outlives(slot, value)) slots[slot] = value;
  }
  const atMs = "atMs" in moment ? moment.atMs : (past.last?.atMs ?? Date.now());
  return {
    world,
    slots,
    budgetOf: revision === options.embedded.revision ? budgetOf(options.embedded.model) : undefined,
    revision,
    sequence: past.last?.sequence ?? 0,
    nowSeconds: Math.floor(atMs / 1000),
    causeOf: (endpoint) => causeText(options.transitions, endpoint, atMs),
  };
}

function oldWorld({ store }: ApiOptions, revision: number): World | string {
  const stored = store.loadOld(revision);
  return typeof stored === "string" ? stored : worldOf(stored.sections, stored.seed);
}

/** Failover budgets by the documents. */
export function budgetOf(
  model: Parameters<typeof targetBudget>[0] | undefined,
): ExplainView["budgetOf"] {
  if (model === undefined) return undefined;
  return (target, ttlMs) => {
    const [kind, namespace = "", name = ""] = target.split("/");
    const leads = kind === "pool" ? { namespace, pool: name } : { namespace, policy: name };
    return targetBudget(model, leads, ttlMs);
  };
}
