// SPDX-License-Identifier: Apache-2.0

// Is there an order of these operations that explains what they saw? The search of Wing and Gong ("Testing and verifying concurrent objects", 1993)
// with the memory of Lowe ("Testing for linearizability", 2017): depth first over *configurations*, (which operations are placed, state after them),
// of which none is looked at twice.
//
//   next may be placed what was called before the first of the others was answered:
//
//        |--- a ---|                       placed: nothing       next: a or b, not c (a was answered before)
//            |------- b -------|
//                     |-- c --|
//
// - A configuration is short, however long the history: by far the most of what is placed is a prefix by call, so it is named by the first operation
//   that is not placed and the few after it that are. Writes without an answer stay open for ever, and are listed apart.
// - What changes nothing and fits the state is placed at once, without trying anything else: from any order that places it later it can be moved
//   here. So only the order of writes branches.
// - What is true when all have been placed that had an answer; writes without one may be left out.
//
// The state is that of a map: one value a key, `undefined` for "nobody has looked yet" (a part of a history, whose first state is not known). A register
// is a map of one key.

import type { Read, Value, Write } from "./operation.ts";

export type Step = Read | Write;
type State = readonly (Value | undefined)[];

interface Configuration {
  /** All before it are placed, of those with an answer. */
  readonly first: number;
  /** Placed ones after it. */
  readonly beyond: readonly number[];
  /** Placed ones without an answer. */
  readonly open: readonly number[];
  readonly state: State;
  readonly before: Configuration | undefined;
  readonly last: Step | undefined;
  readonly depth: number;
}

export interface SearchOptions {
  /** State before the first operation: every key absent, or not known. */
  readonly start: "empty" | "any";
  /** Most configurations; about 200 bytes each. */
  readonly configurationsMax: number;
}

export type SearchResult =
  | { readonly kind: "order"; readonly order: readonly Step[] }
  /** None; with the longest that fits, the state after it, and what could not be placed next. */
  | {
      readonly kind: "none";
      readonly order: readonly Step[];
      readonly state: ReadonlyMap<string, Value | undefined>;
      readonly stuck: readonly Step[];
    }
  | { readonly kind: "undecided" };

export function searchLinearization(steps: readonly Step[], options: SearchOptions): SearchResult {
  return new Search(steps, options).run();
}

class Search {
  readonly #answered: readonly Step[];
  readonly #unanswered: readonly Step[];
  readonly #keys: ReadonlyMap<string, number>;
  readonly #options: SearchOptions;
  readonly #seen = new Set<string>();

  constructor(steps: readonly Step[], options: SearchOptions) {
    const sorted = steps.toSorted((a, b) => a.invoked - b.invoked);
    this.#answered = sorted.filter(({ completed }) => completed !== Infinity);
    this.#unanswered = sorted.filter(({ completed }) => completed === Infinity);
    const keys = new Set(steps.flatMap((step) => keysOf(step)));
    this.#keys = new Map([...keys].map((key, index) => [key, index]));
    this.#options = options;
  }

  run(): SearchResult {
    const nothing = this.#options.start === "empty" ? null : undefined;
    const state = Array.from(this.#keys, () => nothing);
    let deepest: Configuration = {
      first: 0,
      beyond: [],
      open: [],
      state,
      before: undefined,
      last: undefined,
      depth: 0,
    };
    const stack = [deepest];
    for (let configuration = stack.pop(); configuration; configuration = stack.pop()) {
      if (configuration.depth > deepest.depth) deepest = configuration;
      if (configuration.first === this.#answered.length)
        return { kind: "order", order: orderOf(configuration) };
      for (const next of this.#successors(configuration)) {
        const name = nameOf(next);
        if (this.#seen.has(name)) continue;
        if (this.#seen.size === this.#options.configurationsMax) return { kind: "undecided" };
        this.#seen.add(name);
        stack.push(next);
      }
    }
    const left = [...this.#keys].map(([key, index]) => [key, deepest.state[index]] as const);
    const stuck = this.#candidates(deepest).answered.map((at) => this.#answered[at]!);
    return { kind: "none", order: orderOf(deepest), state: new Map(left), stuck };
  }

  /** Those to be tried last come first: the stack gives the newest. */
  #successors(from: Configuration): Configuration[] {
    const next: Configuration[] = [];
    const { answered, unanswered } = this.#candidates(from);
    for (const at of unanswered) {
      const step = this.#unanswered[at]!;
      const state = this.#apply(from.state, step);
      if (state === undefined) continue;
      const open = [...from.open, at].toSorted((a, b) => a - b);
      next.push({ ...from, open, state, before: from, last: step, depth: from.depth + 1 });
    }
    for (const at of answered.toReversed()) {
      const step = this.#answered[at]!;
      const state = this.#apply(from.state, step);
      if (state === undefined) continue;
      const placed = { ...place(from, at), state, before: from, last: step, depth: from.depth + 1 };
      if (state === from.state) return [placed];
      next.push(placed);
    }
    return next;
  }

  #candidates({ first, beyond, open }: Configuration): {
    answered: number[];
    unanswered: number[];
  } {
    const answered: number[] = [];
    let end = Infinity;
    for (let at = first; at < this.#answered.length; at++) {
      const step = this.#answered[at]!;
      if (step.invoked > end) break;
      if (beyond.includes(at)) continue;
      answered.push(at);
      end = Math.min(end, step.completed);
    }
    const unanswered: number[] = [];
    for (const [at, step] of this.#unanswered.entries()) {
      if (step.invoked > end) break;
      if (!open.includes(at)) unanswered.push(at);
    }
    const inTime = answered.filter((at) => this.#answered[at]!.invoked <= end);
    return { answered: inTime, unanswered };
  }

  /** The state after `step`, the same object where it changes nothing, undefined where it does not fit. */
  #apply(state: State, step: Step): State | undefined {
    if (step.kind === "read") return this.#bind(state, step.values);
    if (step.outcome === "refused")
      return step.expected.some(([key, value]) => {
        const found = state[this.#keys.get(key)!];
        return found === undefined || found !== value;
      })
        ? state
        : undefined;
    const met = this.#bind(state, step.expected);
    if (met === undefined) return undefined;
    const after = [...met];
    for (const [key, value] of step.values) after[this.#keys.get(key)!] = value;
    return after;
  }

  /** The state in which these values stand; what nobody has looked at yet becomes what is seen here. */
  #bind(state: State, values: Read["values"]): State | undefined {
    let bound: (Value | undefined)[] | undefined;
    for (const [key, value] of values) {
      const index = this.#keys.get(key)!;
      const found = (bound ?? state)[index];
      if (found === value) continue;
      if (found !== undefined) return undefined;
      bound ??= [...state];
      bound[index] = value;
    }
    return bound ?? state;
  }
}

function place(from: Configuration, at: number): Pick<Configuration, "first" | "beyond" | "open"> {
  const beyond = new Set([...from.beyond, at]);
  let { first } = from;
  while (beyond.delete(first)) first++;
  return { first, beyond: [...beyond].toSorted((a, b) => a - b), open: from.open };
}

function nameOf({ first, beyond, open, state }: Configuration): string {
  return JSON.stringify([
    first,
    beyond,
    open,
    state.map((value) => value ?? (value === null ? 0 : 1)),
  ]);
}

function orderOf(configuration: Configuration): Step[] {
  const order: Step[] = [];
  for (let at: Configuration | undefined = configuration; at?.last; at = at.before)
    order.push(at.last);
  return order.reverse();
}

export function keysOf(step: Step): readonly string[] {
  const own = step.values.map(([key]) => key);
  return step.kind === "read" ? own : [...own, ...step.expected.map(([key]) => key)];
}
