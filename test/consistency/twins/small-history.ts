// SPDX-License-Identifier: Apache-2.0

// Small random histories, right and wrong ones in like numbers: a store is played in which each operation takes effect at a moment between its call and
// its answer, and now and then an answer shows a state of the past, or a write takes effect at another moment than it may.

import fc from "fast-check";
import type { History, Operation, Value, Values } from "../operation.ts";

interface Draft {
  readonly process: number;
  readonly gap: number;
  readonly length: number;
  readonly isRead: boolean;
  readonly keys: readonly string[];
  readonly cell: string;
  /** Where between call and answer it takes effect, in percent; outside of 0 to 100 is wrong. */
  readonly moment: number;
  /** How many revisions ago the state is that a read shows. */
  readonly lag: number;
  readonly condition: "none" | "met" | "broken";
  readonly answer: "given" | "lost, done" | "lost, not done";
  readonly value: "text" | "deletion";
}

export interface SmallHistoryOptions {
  readonly operationsMax: number;
  readonly cells: readonly string[];
  readonly keys: readonly string[];
  readonly processes: number;
  readonly level: "strong" | "session";
}

export function smallHistory(options: SmallHistoryOptions): fc.Arbitrary<History> {
  const { operationsMax, cells, keys, level } = options;
  const draft: fc.Arbitrary<Draft> = fc.record({
    process: fc.nat(options.processes - 1),
    gap: fc.nat(4),
    length: fc.nat(12),
    isRead: fc.boolean(),
    keys: fc.subarray([...keys], { minLength: 1 }),
    cell: fc.constantFrom(...cells),
    moment: fc.oneof(
      { weight: 3, arbitrary: fc.nat(100) },
      { weight: 1, arbitrary: fc.integer({ min: -500, max: 600 }) },
    ),
    lag: fc.oneof(
      { weight: 2, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }) },
    ),
    condition: fc.constantFrom("none", "none", "met", "broken"),
    answer: fc.constantFrom("given", "given", "given", "lost, done", "lost, not done"),
    value: fc.constantFrom("text", "text", "text", "deletion"),
  });
  return fc
    .array(draft, {
      minLength: Math.floor(operationsMax / 2),
      maxLength: operationsMax,
      size: "max",
    })
    .map((drafts) => play(drafts, level));
}

interface Timed {
  readonly draft: Draft;
  readonly process: number;
  readonly invoked: number;
  readonly completed: number;
  readonly moment: number;
}

type State = ReadonlyMap<string, { readonly value: Value; readonly revision: number }>;

function play(drafts: readonly Draft[], level: "strong" | "session"): History {
  const states = new Map<string, State[]>();
  const written = { count: 0 };
  return timed(drafts)
    .toSorted((a, b) => a.moment - b.moment)
    .flatMap((each) => {
      let past = states.get(each.draft.cell);
      if (past === undefined) states.set(each.draft.cell, (past = [new Map()]));
      return each.draft.isRead ? readOf(each, past, level) : writeOf(each, past, written);
    });
}

function timed(drafts: readonly Draft[]): Timed[] {
  const clocks = new Map<number, number>();
  const ended = new Map<number, number>();
  return drafts.map((draft) => {
    const invoked = (clocks.get(draft.process) ?? 0) + 1 + draft.gap;
    const completed = invoked + 1 + draft.length;
    clocks.set(draft.process, completed);
    // After a write without an answer a client goes on as another process.
    const process = draft.process + (ended.get(draft.process) ?? 0) * 10;
    if (!draft.isRead && draft.answer !== "given")
      ended.set(draft.process, (ended.get(draft.process) ?? 0) + 1);
    const moment = invoked + ((completed - invoked) * draft.moment) / 100;
    return { draft, process, invoked, completed, moment };
  });
}

function readOf(each: Timed, past: readonly State[], level: "strong" | "session"): Operation[] {
  const { draft, process, invoked, completed } = each;
  if (draft.answer === "lost, not done") return [];
  const state = past[Math.max(0, past.length - 1 - draft.lag)]!;
  const values = draft.keys.map((key) => [key, state.get(key)?.value ?? null] as const);
  const versions = draft.keys.map((key) => state.get(key)?.revision ?? null);
  const { cell } = draft;
  return [{ kind: "read", process, invoked, completed, cell, values, versions, level }];
}

function writeOf(each: Timed, past: State[], written: { count: number }): Operation[] {
  const { draft, process, invoked, completed } = each;
  const { cell, keys } = draft;
  const state = past.at(-1)!;
  const values: Values = keys.map((key) => {
    written.count++;
    return [key, draft.value === "text" ? `v${written.count}` : null] as const;
  });
  const key = keys[0]!;
  const present = state.get(key)?.value ?? null;
  const expected: Values =
    draft.condition === "none"
      ? []
      : [[key, draft.condition === "met" ? present : `not ${present ?? ""}`]];
  const base = { kind: "write", process, invoked, completed, cell, values, expected } as const;
  const isLost = draft.answer !== "given";
  const isTaken = draft.condition !== "broken" && draft.answer !== "lost, not done";
  if (isTaken) {
    const revision = past.length;
    const next = new Map(state);
    for (const [name, value] of values) next.set(name, { value, revision });
    past.push(next);
    if (!isLost) return [{ ...base, outcome: "ok", revision }];
  }
  if (isLost) return [{ ...base, outcome: "unknown", completed: Infinity }];
  return [{ ...base, outcome: "refused" }];
}
