// SPDX-License-Identifier: Apache-2.0

// What clients did and saw, in the words of the checkers.
//
// A *history* is a set of operations. Each is an interval: it was called at `invoked` and answered at `completed`; one precedes another where its answer
// came before the other's call, else they overlap and may have taken effect in either order. A write without an answer (`completed` is Infinity) may
// have taken effect at any moment after its call, or never. What certainly had no effect, and a read without an answer, says nothing and is not part
// of a history.
//
// A *process* does one thing after the other. It ends with a write without an answer: the client goes on as another process, since that write may
// still take effect between its later ones.
//
// No text is written twice, so that a value tells whose write was seen.

/** Text of a document; null where there is none. */
export type Value = string | null;

/** Keys and what stands there. */
export type Values = readonly (readonly [key: string, value: Value])[];

interface Interval {
  /** A client's name for a stretch in which it does one thing after another. */
  readonly process: number;
  /** Times of one clock for the whole history, in any unit. */
  readonly invoked: number;
  readonly completed: number;
  /** The store (a cell) that was asked; each has revisions of its own. */
  readonly cell: string;
}

/** One state of these keys, as the store showed it. */
export interface Read extends Interval {
  readonly kind: "read";
  readonly values: Values;
  /**
   * The revision that wrote each of the values, where the store said it; null where it did not. The guarantees of sessions are judged by it where a value
   * is that of a write without an answer.
   */
  readonly versions?: readonly (number | null)[] | undefined;
  /** `strong` reads count for linearizability, `session` ones only for the guarantees of a session. */
  readonly level: "strong" | "session";
  /** Least revision of each cell that the answer had to have seen: the token that the client showed. */
  readonly token?: Token | undefined;
}

/** Revisions by cell. */
export type Token = Readonly<Record<string, number>>;

/** A change set: every value at once, or nothing. */
export interface Write extends Interval {
  readonly kind: "write";
  readonly values: Values;
  /** What had to stand there for the change set to be taken. */
  readonly expected: Values;
  /** `refused`: something expected did not stand there. */
  readonly outcome: "ok" | "refused" | "unknown";
  /** Of an `ok` write: what the store said. Of an `unknown` one: what a watch told of its id. */
  readonly revision?: number | undefined;
  /** Names the change set where no answer did. */
  readonly id?: string | undefined;
  /** The lease that had to be held. */
  readonly lease?: LeaseTerm | undefined;
}

export interface LeaseTerm {
  readonly name: string;
  readonly term: number;
}

/** A lease was given. */
export interface Acquire extends Interval, LeaseTerm {
  readonly kind: "acquire";
}

/** A change set arrived in a watch. A process that watches does nothing else; another watch is another process. */
export interface Change extends Interval {
  readonly kind: "change";
  readonly revision: number;
  readonly id?: string | undefined;
  readonly values: Values;
  /** The revision after which the watch began. */
  readonly from: number;
}

export type Operation = Read | Write | Acquire | Change;
export type History = readonly Operation[];

/** What a checker found. `violation` holds the smallest part of the history that it could find that breaks the model, and `text` tells it to people. */
export type Verdict =
  | { readonly kind: "ok"; readonly checked: number }
  | { readonly kind: "violation"; readonly operations: History; readonly text: string }
  /** The search was given up: more orders than it may try. */
  | { readonly kind: "undecided"; readonly text: string };

/** One line for people: who, what, and when. */
export function describe(operation: Operation): string {
  const { process, invoked, completed, cell } = operation;
  const when = `[${invoked}, ${completed === Infinity ? "no answer" : completed}]`;
  const where = cell === "" ? "" : ` at ${cell}`;
  return `process ${process}${where} ${what(operation)} ${when}`;
}

function what(operation: Operation): string {
  switch (operation.kind) {
    case "read":
      return `reads (${operation.level}) ${texts(operation.values)}`;
    case "write": {
      const { values, expected, outcome, revision, lease } = operation;
      const condition = expected.length === 0 ? "" : ` if ${texts(expected)}`;
      const holder = lease === undefined ? "" : ` as holder of ${lease.name} in term ${lease.term}`;
      const end = outcome === "ok" ? `done as revision ${revision ?? "?"}` : outcome;
      return `writes ${texts(values)}${condition}${holder}: ${end}`;
    }
    case "acquire":
      return `is given the lease ${operation.name} in term ${operation.term}`;
    case "change":
      return `is told of revision ${operation.revision}: ${texts(operation.values)}`;
  }
}

function texts(values: Values): string {
  return values
    .map(([key, value]) => `${key}=${value === null ? "nothing" : JSON.stringify(value)}`)
    .join(" ");
}

export const byInvocation = (a: Operation, b: Operation): number => a.invoked - b.invoked;
