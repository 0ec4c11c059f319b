// SPDX-License-Identifier: Apache-2.0

// Short histories to think with: for each model one that keeps it and one that breaks it, and what is said of the latter.

import type { Acquire, Change, History, Read, Token, Value, Write } from "./operation.ts";

type When = readonly [invoked: number, completed: number];
type Named = Readonly<Record<string, Value>>;

const at = (process: number, [invoked, completed]: When, cell = "") => ({
  process,
  invoked,
  completed,
  cell,
});

/** `values` as they were written by `revision` (undefined: no answer came). */
function write(
  process: number,
  when: When,
  values: Named,
  revision: number | undefined,
  more: { readonly cell?: string; readonly expected?: Named } & Pick<Write, "lease"> = {},
): Write {
  return {
    ...at(process, when, more.cell),
    kind: "write",
    values: Object.entries(values),
    expected: Object.entries(more.expected ?? {}),
    outcome: revision === undefined ? "unknown" : "ok",
    ...(revision === undefined ? {} : { revision }),
    ...(more.lease === undefined ? {} : { lease: more.lease }),
  };
}

function refused(process: number, when: When, values: Named, expected: Named): Write {
  const { lease: _lease, revision: _revision, ...rest } = write(process, when, values, 0);
  return { ...rest, expected: Object.entries(expected), outcome: "refused" };
}

function read(
  process: number,
  when: When,
  values: Named,
  more: { readonly cell?: string; readonly token?: Token } = {},
): Read {
  const { token } = more;
  return {
    ...at(process, when, more.cell),
    kind: "read",
    values: Object.entries(values),
    level: "strong",
    ...(token === undefined ? {} : { token }),
  };
}

/** A read that any replica may answer. */
const sessionRead = (...all: Parameters<typeof read>): Read => ({
  ...read(...all),
  level: "session",
});

function change(process: number, when: When, revision: number, values: Named, from = 0): Change {
  return { ...at(process, when), kind: "change", revision, values: Object.entries(values), from };
}

function acquire(process: number, when: When, name: string, term: number): Acquire {
  return { ...at(process, when), kind: "acquire", name, term };
}

const NEVER = Infinity;

export interface Fixture {
  /** A name of `checkers`. */
  readonly model: string;
  readonly about: string;
  readonly right: History;
  readonly wrong: History;
  /** What is said of `wrong`. */
  readonly text: string;
}

export const fixtures: readonly Fixture[] = [
  {
    model: "linearizable",
    about: "register: a value that was overwritten before the read began",
    right: [
      write(1, [1, 2], { a: "1" }, 1),
      write(1, [3, 6], { a: "2" }, 2),
      read(2, [4, 5], { a: "1" }),
      read(2, [7, 8], { a: "2" }),
    ],
    wrong: [
      write(1, [1, 2], { a: "1" }, 1),
      read(3, [1, 3], { a: "1" }),
      write(1, [3, 4], { a: "2" }, 2),
      read(2, [5, 6], { a: "1" }),
    ],
    text: [
      "No order of these operations explains what they saw:",
      '  process 1 writes a="1": done as revision 1 [1, 2]',
      '  process 1 writes a="2": done as revision 2 [3, 4]',
      '  process 2 reads (strong) a="1" [5, 6]',
      "from an empty store on. The longest order that fits:",
      '  1. process 1 writes a="1": done as revision 1 [1, 2]',
      '  2. process 1 writes a="2": done as revision 2 [3, 4]',
      "then a=2 stands, and none of these fits:",
      '  - process 2 reads (strong) a="1" [5, 6]',
    ].join("\n"),
  },
  {
    model: "linearizable",
    about: "register: a write without an answer takes effect twice",
    right: [
      write(1, [1, NEVER], { a: "1" }, undefined),
      write(2, [2, 3], { a: "2" }, 1),
      read(2, [4, 5], { a: "2" }),
      read(2, [6, 7], { a: "1" }),
    ],
    wrong: [
      write(1, [1, NEVER], { a: "1" }, undefined),
      read(2, [2, 3], { a: "1" }),
      write(2, [4, 5], { a: "2" }, 2),
      read(2, [6, 7], { a: "1" }),
    ],
    text: [
      "No order of these operations explains what they saw:",
      '  process 1 writes a="1": unknown [1, no answer]',
      '  process 2 reads (strong) a="1" [2, 3]',
      '  process 2 writes a="2": done as revision 2 [4, 5]',
      '  process 2 reads (strong) a="1" [6, 7]',
      "from an empty store on. The longest order that fits:",
      '  1. process 1 writes a="1": unknown [1, no answer]',
      '  2. process 2 reads (strong) a="1" [2, 3]',
      '  3. process 2 writes a="2": done as revision 2 [4, 5]',
      "then a=2 stands, and none of these fits:",
      '  - process 2 reads (strong) a="1" [6, 7]',
    ].join("\n"),
  },
  {
    model: "linearizable",
    about: "map: a read of two keys from two revisions",
    right: [
      write(1, [1, 2], { a: "1", b: "1" }, 1),
      write(1, [3, 6], { a: "2", b: "2" }, 2),
      read(2, [4, 5], { a: "2", b: "2" }),
      refused(2, [7, 8], { a: "3" }, { a: "1" }),
    ],
    wrong: [write(1, [1, 3], { a: "1", b: "2" }, 1), read(2, [2, 4], { a: "1", b: null })],
    text: [
      "No order of these operations explains what they saw:",
      '  process 1 writes a="1" b="2": done as revision 1 [1, 3]',
      '  process 2 reads (strong) a="1" b=nothing [2, 4]',
      "from an empty store on. The longest order that fits:",
      '  1. process 1 writes a="1" b="2": done as revision 1 [1, 3]',
      "then a=1 b=2 stands, and none of these fits:",
      '  - process 2 reads (strong) a="1" b=nothing [2, 4]',
    ].join("\n"),
  },
  {
    model: "read your writes",
    about: "an own write is missing",
    right: [write(1, [1, 2], { a: "1" }, 1), sessionRead(2, [3, 4], { a: null })],
    wrong: [write(1, [1, 2], { a: "1" }, 1), sessionRead(1, [3, 4], { a: null })],
    text: [
      "A process reads what does not include its own write:",
      '  process 1 writes a="1": done as revision 1 [1, 2]',
      "  process 1 reads (session) a=nothing [3, 4]",
    ].join("\n"),
  },
  {
    model: "monotonic reads",
    about: "back to an older replica",
    right: [
      write(1, [1, 2], { a: "1" }, 1),
      sessionRead(2, [3, 4], { a: null }),
      sessionRead(2, [5, 6], { a: "1" }),
    ],
    wrong: [
      write(1, [1, 2], { a: "1" }, 1),
      sessionRead(2, [3, 4], { a: "1" }),
      sessionRead(2, [5, 6], { a: null }),
    ],
    text: [
      "A process reads an older state than before:",
      '  process 2 reads (session) a="1" [3, 4]',
      "  process 2 reads (session) a=nothing [5, 6]",
    ].join("\n"),
  },
  {
    model: "monotonic writes",
    about: "two writes of one process in the wrong order",
    right: [write(1, [1, 2], { a: "1" }, 1), write(1, [3, 4], { b: "1" }, 2)],
    wrong: [write(1, [1, 2], { a: "1" }, 2), write(1, [3, 4], { b: "1" }, 1)],
    text: [
      "A process's writes took effect in another order:",
      '  process 1 writes a="1": done as revision 2 [1, 2]',
      '  process 1 writes b="1": done as revision 1 [3, 4]',
    ].join("\n"),
  },
  {
    model: "causal",
    about: "an answer is seen without the question that its writer had read, over two cells",
    right: [
      write(1, [1, 2], { a: "question" }, 1, { cell: "x" }),
      read(2, [3, 4], { a: "question" }, { cell: "x" }),
      write(2, [5, 6], { b: "answer" }, 1, { cell: "y" }),
      sessionRead(3, [7, 8], { a: null }, { cell: "x" }),
      sessionRead(3, [9, 10], { b: "answer" }, { cell: "y" }),
      sessionRead(3, [11, 12], { a: "question" }, { cell: "x", token: { x: 1 } }),
    ],
    wrong: [
      write(1, [1, 2], { a: "question" }, 1, { cell: "x" }),
      read(2, [3, 4], { a: "question" }, { cell: "x" }),
      write(2, [5, 6], { b: "answer" }, 1, { cell: "y" }),
      sessionRead(3, [7, 8], { b: "answer" }, { cell: "y" }),
      sessionRead(3, [9, 10], { a: null }, { cell: "x" }),
    ],
    text: [
      "A read does not include what it depends on, revision 1:",
      '  process 1 at x writes a="question": done as revision 1 [1, 2]',
      '  process 2 at x reads (strong) a="question" [3, 4]',
      "  process 3 at x reads (session) a=nothing [9, 10]",
    ].join("\n"),
  },
  {
    model: "causal",
    about: "a token that was shown",
    right: [
      write(1, [1, 2], { a: "1" }, 1),
      sessionRead(2, [3, 4], { a: "1" }, { token: { "": 1 } }),
    ],
    wrong: [
      write(1, [1, 2], { a: "1" }, 1),
      sessionRead(2, [3, 4], { a: null }, { token: { "": 1 } }),
    ],
    text: [
      "A read does not include what it depends on, revision 1:",
      '  process 1 writes a="1": done as revision 1 [1, 2]',
      "  process 2 reads (session) a=nothing [3, 4]",
    ].join("\n"),
  },
  {
    model: "watch order",
    about: "a change set is left out",
    right: [
      write(1, [1, 2], { a: "1" }, 1),
      write(1, [3, 4], { a: "2" }, 2),
      change(2, [5, 5], 1, { a: "1" }),
      change(2, [6, 6], 2, { a: "2" }),
      change(3, [6, 6], 2, { a: "2" }, 1),
    ],
    wrong: [change(2, [5, 5], 1, { a: "1" }), change(2, [6, 6], 3, { a: "3" })],
    text: [
      "A watch left out revision 2:",
      '  process 2 is told of revision 1: a="1" [5, 5]',
      '  process 2 is told of revision 3: a="3" [6, 6]',
    ].join("\n"),
  },
  {
    model: "fencing",
    about: "a former holder writes on",
    right: [
      acquire(1, [1, 2], "leader", 1),
      write(1, [3, 4], { a: "1" }, 1, { lease: { name: "leader", term: 1 } }),
      acquire(2, [5, 6], "leader", 2),
      write(2, [7, 8], { a: "2" }, 2, { lease: { name: "leader", term: 2 } }),
    ],
    wrong: [
      acquire(1, [1, 2], "leader", 1),
      acquire(2, [3, 4], "leader", 2),
      write(1, [5, 6], { a: "1" }, 1, { lease: { name: "leader", term: 1 } }),
    ],
    text: [
      "A former holder of a lease wrote after another was given it:",
      "  process 2 is given the lease leader in term 2 [3, 4]",
      '  process 1 writes a="1" as holder of leader in term 1: done as revision 1 [5, 6]',
    ].join("\n"),
  },
];
