// SPDX-License-Identifier: Apache-2.0

// Linearizability (Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990) of a map, and of a register, which is a
// map of one key: every operation takes effect at one moment between its call and its answer.
//
// 1. Independent parts are checked apart, which is exact (locality, Herlihy and Wing §3.3; "P-compositionality", Horn and Kroening, 2015): cells, and
//    within a cell the groups of keys that no operation connects.
// 2. The order of revisions is tried as the explanation (revision-witness.ts): one pass.
// 3. Only where that fails is an order searched for (linearization-search.ts), first in small parts of the history that may already show that there is
//    none. Each part is a consequence of the whole, so none there means none at all:
//    - what happened until the contradiction showed; calls that were open then are writes without an answer;
//    - since a moment at which nothing was open: whatever stood there before;
//    - one key of several: the conditions on the others are forgotten, and a refusal that had others goes.
// 4. What is found is made smaller, as long as it stays impossible: reads, refusals and writes that nobody looked at are left out.

import { describe, type History, type Value, type Verdict, type Write } from "./operation.ts";
import { contradictionOf, type Contradiction } from "./revision-witness.ts";
import {
  keysOf,
  searchLinearization,
  type SearchOptions,
  type SearchResult,
  type Step,
} from "./linearization-search.ts";

const CONFIGURATIONS_MAX = 1_000_000;
const PART_CONFIGURATIONS_MAX = 50_000;
/** Operations before the contradiction that a part holds at least. */
const windows: readonly number[] = [10, 40, 160, 640, 2560];
/** A counter-example above it is shown as it was found. */
const SHRUNK_STEPS_MAX = 300;

/** Part of a history that is checked by itself. */
interface Part {
  readonly steps: readonly Step[];
  readonly start: SearchOptions["start"];
}

/** As `checkLinearizableMap`, of a history in which each operation is about one key. */
export function checkLinearizableRegister(history: History): Verdict {
  for (const step of stepsOf(history))
    if (new Set(keysOf(step)).size > 1)
      throw new Error(`Cannot check a register: ${describe(step)} is about several keys`);
  return checkLinearizableMap(history);
}

/** Of strong reads and all writes, from an empty store on. */
export function checkLinearizableMap(history: History): Verdict {
  let checked = 0;
  for (const steps of independentParts(stepsOf(history))) {
    const contradiction = contradictionOf(steps);
    if (contradiction !== undefined) {
      const verdict = decide(steps, contradiction);
      if (verdict.kind !== "ok") return verdict;
    }
    checked += steps.length;
  }
  return { kind: "ok", checked };
}

/** By search alone: slow, and equal to `checkLinearizableMap`. */
export function searchLinearizable(history: History): boolean {
  return independentParts(stepsOf(history)).every((steps) => {
    const result = search({ steps, start: "empty" }, CONFIGURATIONS_MAX);
    if (result.kind === "undecided") throw new Error("Cannot decide: too many orders");
    return result.kind === "order";
  });
}

function stepsOf(history: History): Step[] {
  const steps: Step[] = [];
  for (const operation of history)
    if (operation.kind === "write" || (operation.kind === "read" && operation.level === "strong"))
      steps.push(operation);
  return steps;
}

function independentParts(steps: readonly Step[]): readonly Step[][] {
  const parents = new Map<string, string>();
  const rootOf = (key: string): string => {
    let root = key;
    for (
      let next = parents.get(root);
      next !== undefined && next !== root;
      next = parents.get(root)
    )
      root = next;
    if (root !== key) parents.set(key, root);
    return root;
  };
  const firstKey = (step: Step): string | undefined => keysOf(step)[0];
  for (const step of steps) {
    const [first, ...others] = keysOf(step).map((key) => `${step.cell}\n${key}`);
    for (const other of others) parents.set(rootOf(other), rootOf(first!));
  }
  const parts = new Map<string, Step[]>();
  for (const step of steps) {
    const key = firstKey(step);
    // An empty change set, or a read of nothing, says nothing about values.
    if (key === undefined) continue;
    const root = rootOf(`${step.cell}\n${key}`);
    const part = parts.get(root);
    if (part === undefined) parts.set(root, [step]);
    else part.push(step);
  }
  return [...parts.values()];
}

function decide(steps: readonly Step[], contradiction: Contradiction): Verdict {
  for (const part of telling(steps, contradiction)) {
    const result = search(part, PART_CONFIGURATIONS_MAX);
    if (result.kind === "none") return violation(shrink(part));
  }
  const whole: Part = { steps, start: "empty" };
  const result = search(whole, CONFIGURATIONS_MAX);
  if (result.kind === "none") return violation(shrink(whole));
  if (result.kind === "order") return { kind: "ok", checked: steps.length };
  const text = `The order of revisions does not explain this, and the search for another order was given up:\n  ${describe(contradiction.step)}`;
  return { kind: "undecided", text };
}

/** Parts around a contradiction, small ones first. */
function* telling(steps: readonly Step[], { step, atTime }: Contradiction): Generator<Part> {
  const past = until(steps, atTime);
  const keys = [...new Set(keysOf(step))];
  for (const window of windows) {
    const recent = since(past, window);
    for (const key of keys) yield { ...recent, steps: aboutKey(recent.steps, key) };
    yield recent;
    if (recent.start === "empty") return;
  }
}

function until(steps: readonly Step[], time: number): Step[] {
  return steps.flatMap((step): Step[] => {
    if (step.invoked > time) return [];
    if (step.completed <= time) return [step];
    if (step.kind === "read" || step.outcome === "refused") return [];
    return [{ ...step, outcome: "unknown", completed: Infinity }];
  });
}

/** The last `count` operations and those before them back to a moment at which no call was open, but for writes without an answer. */
function since(steps: readonly Step[], count: number): Part {
  const calls = steps.toSorted((a, b) => a.invoked - b.invoked);
  const latest: number[] = [];
  let end = -Infinity;
  for (const { completed } of calls) {
    latest.push(end);
    if (completed !== Infinity) end = Math.max(end, completed);
  }
  for (let at = calls.length - count; at > 0; at--)
    if (latest[at]! < calls[at]!.invoked) {
      const open = calls.slice(0, at).filter(({ completed }) => completed === Infinity);
      return { steps: [...open, ...calls.slice(at)], start: "any" };
    }
  return { steps: calls, start: "empty" };
}

function aboutKey(steps: readonly Step[], wanted: string): Step[] {
  return steps.flatMap((step): Step[] => {
    const values = step.values.filter(([key]) => key === wanted);
    if (step.kind === "read") return values.length === 0 ? [] : [{ ...step, values }];
    const expected = step.expected.filter(([key]) => key === wanted);
    if (step.outcome === "refused") {
      const isOnlyCause = expected.length > 0 && expected.length === step.expected.length;
      return isOnlyCause ? [{ ...step, values }] : [];
    }
    return values.length + expected.length === 0 ? [] : [{ ...step, values, expected }];
  });
}

function search(part: Part, configurationsMax: number): SearchResult {
  const steps = withoutUnseen(part.steps);
  return searchLinearization(steps, { start: part.start, configurationsMax });
}

/** A write without an answer that nobody saw need not have happened, where no refusal asks for a cause. */
function withoutUnseen(steps: readonly Step[]): readonly Step[] {
  const seen = new Set<string>();
  const refused = new Set<string>();
  for (const step of steps) {
    const looked = step.kind === "read" ? step.values : step.expected;
    for (const [key, value] of looked) seen.add(nameOf(key, value));
    if (step.kind === "write" && step.outcome === "refused")
      for (const [key] of step.expected) refused.add(key);
  }
  return steps.filter(
    (step) =>
      step.completed !== Infinity ||
      step.values.some(([key, value]) => refused.has(key) || seen.has(nameOf(key, value))),
  );
}

const nameOf = (key: string, value: Value): string => `${key}\n${value}`;

/** As small as it gets by leaving out, one by one, what takes no explanation away from the rest. */
function shrink(part: Part): Part {
  if (part.steps.length > SHRUNK_STEPS_MAX) return part;
  let { steps } = part;
  // Once a read is left out, the write that it saw may be, too.
  for (let count = Infinity; steps.length < count;) {
    count = steps.length;
    for (const step of steps.toReversed()) {
      const others = steps.filter((other) => other !== step);
      if (step.kind === "write" && step.outcome !== "refused" && explains(step, others)) continue;
      const result = search({ ...part, steps: others }, PART_CONFIGURATIONS_MAX);
      if (result.kind === "none") steps = others;
    }
  }
  return { ...part, steps };
}

/** Whether without `write` others could become impossible: they saw what it wrote, or a refusal may be because of it. */
function explains(write: Write, others: readonly Step[]): boolean {
  return write.values.some(([key, value]) =>
    others.some((other) => {
      const looked = other.kind === "read" ? other.values : other.expected;
      const isRefused = other.kind === "write" && other.outcome === "refused";
      return looked.some(([name, seen]) => name === key && (seen === value || isRefused));
    }),
  );
}

function violation(part: Part): Verdict {
  const steps = part.steps.toSorted((a, b) => a.invoked - b.invoked);
  const lines = ["No order of these operations explains what they saw:"];
  lines.push(...steps.map((step) => `  ${describe(step)}`));
  if (part.start === "any") lines.push("whatever stood there before. The longest order that fits:");
  else lines.push("from an empty store on. The longest order that fits:");
  const result = search(part, CONFIGURATIONS_MAX);
  if (result.kind === "none") {
    lines.push(...result.order.map((step, index) => `  ${index + 1}. ${describe(step)}`));
    const state = [...result.state].map(([key, value]) => `${key}=${value ?? "nothing"}`).join(" ");
    lines.push(`then ${state} stands, and none of these fits:`);
    lines.push(...result.stuck.map((step) => `  - ${describe(step)}`));
  }
  return { kind: "violation", operations: steps, text: lines.join("\n") };
}
