// SPDX-License-Identifier: Apache-2.0

// What an edge served, now and of old, for explain and for asking a logged query again: snapshots are in its state folder for a week, slots
// in the journal beside them.

import { worldOf, type World } from "@meridian/snapshot";
import type { ExplainSource, Moment, TimedView } from "@meridian/snapshot/surface";
import type { LocalEdge } from "./local-edge.ts";
import { localCause } from "./local-views.ts";

/** States of one name that a logged query is tried with. */
export interface PastOfEdge extends ExplainSource {
  world(revision: number): World | string;
  /** Every state that had this revision and sequence, the newest of those up to `atMs` first; a text where none is kept. */
  states(world: World, revision: number, sequence: number, atMs: number): Uint32Array[] | string;
}

export function pastOf(edge: LocalEdge): PastOfEdge {
  const world = (revision: number): World | string => {
    const { served, position, state } = edge;
    if (served !== undefined && revision === position.revision) return served.world;
    const stored = state.store.loadOld(revision);
    return typeof stored === "string" ? stored : worldOf(stored.sections, stored.seed);
  };
  return {
    world,
    now: () => viewNow(edge),
    at: (moment) => viewAt(edge, moment, world),
    states: ({ slotCount }, revision, sequence, atMs) => {
      const found = edge.state.journal
        .at({ revision, sequence }, true)
        .filter(({ slots }) => slots.length === slotCount);
      const later = found.filter((past) => past.atMs > atMs).toReversed();
      const states = [...found.filter((past) => past.atMs <= atMs), ...later];
      return states.length === 0
        ? `The journal holds no overlay ${sequence} of revision ${revision}`
        : states.map(({ slots }) => slots);
    },
  };
}

function viewNow(edge: LocalEdge): TimedView | string {
  const { served, position, transitions } = edge;
  if (served === undefined) return "Nothing is served yet";
  const nowMs = Date.now();
  const { world } = served;
  const slots = served.slots.slice();
  return {
    ...{ world, slots },
    signingOf: (question, zones) => edge.signingOf({ world, slots }, question, zones),
    revision: position.revision,
    sequence: position.sequence,
    nowSeconds: Math.floor(nowMs / 1000),
    causeOf: (endpoint) => localCause(transitions.newest(endpoint, nowMs)),
  };
}

function viewAt(
  { state, transitions }: LocalEdge,
  moment: Moment,
  worldAt: (revision: number) => World | string,
): TimedView | string {
  const [past] = state.journal.at(moment);
  if (past === undefined) return "The journal holds nothing from before that moment";
  const world = worldAt(past.revision);
  if (typeof world === "string") return world;
  if (past.slots.length !== world.slotCount)
    return `The overlay of that moment has ${past.slots.length} slots, expected ${world.slotCount}`;
  const atMs = "atMs" in moment ? moment.atMs : past.atMs;
  return {
    world,
    slots: past.slots,
    revision: past.revision,
    sequence: past.sequence,
    nowSeconds: Math.floor(atMs / 1000),
    causeOf: (endpoint) => localCause(transitions.newest(endpoint, atMs)),
  };
}
