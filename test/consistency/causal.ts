// SPDX-License-Identifier: Apache-2.0

// Causal consistency (Ahamad, Neiger, Burns, Kohli and Hutto, "Causal memory", 1995) over several cells. An operation *depends* on what its process did
// before, on the writes whose values it or they read, on what its token names, and on all that those depend on. What a process reads in a cell has to
// include everything there that the read depends on.
//
// Inside a cell all replicas follow one order of revisions, so what is depended on is a vector: a revision for each cell (Mattern, 1988; the tokens that
// clients carry are the same vectors). That makes the check one pass over the history in time, instead of a search:
//
//     past(process)  grows by: own writes' revisions · positions of own reads · past of the writes read · tokens shown
//     a write        gets past(process) at its call as its own past; its revision is later than what its past has of its cell
//     a read         has a position in its cell's timeline from past(process)[cell] on
//
// A read is placed as early as it can be, which demands least of what follows.

import type { History, Operation, Read, Verdict, Write } from "./operation.ts";
import { conflictIn, timelinesOf, violationOf } from "./session-history.ts";
import type { Timeline } from "./timeline.ts";

/** What is depended on in one cell: a revision, and the operation by which it came to this process. */
interface Dependency {
  readonly revision: number;
  readonly by: Operation;
}
type Past = Map<string, Dependency>;

export function checkCausal(history: History): Verdict {
  const timelines = timelinesOf(history);
  return conflictIn(timelines) ?? new CausalPass(timelines).run(history);
}

class CausalPass {
  readonly #timelines: ReadonlyMap<string, Timeline>;
  readonly #processes = new Map<number, Past>();
  readonly #writes = new Map<Write, Past>();

  constructor(timelines: ReadonlyMap<string, Timeline>) {
    this.#timelines = timelines;
  }

  run(history: History): Verdict {
    const operations = history.filter(({ kind }) => kind === "read" || kind === "write");
    const calls = operations.toSorted((a, b) => a.invoked - b.invoked);
    const answers = operations.toSorted((a, b) => a.completed - b.completed);
    let next = 0;
    for (const answer of answers) {
      // A write may be read before it is answered: its past is that of its call.
      for (; next < calls.length && calls[next]!.invoked <= answer.completed; next++) {
        const verdict = this.#call(calls[next]!);
        if (verdict !== undefined) return verdict;
      }
      const verdict = answer.completed === Infinity ? undefined : this.#answer(answer);
      if (verdict !== undefined) return verdict;
    }
    return { kind: "ok", checked: operations.length };
  }

  #call(operation: Operation): Verdict | undefined {
    if (operation.kind !== "write") return undefined;
    const { cell } = operation;
    const timeline = this.#timelines.get(cell)!;
    const revision = timeline.revisionOf(operation);
    if (revision === undefined) return undefined;
    const past = new Map(this.#pastOf(operation.process));
    const needed = past.get(cell);
    if (needed !== undefined && revision <= needed.revision)
      return violationOf("A write took effect before what it depends on", [needed.by, operation]);
    past.set(cell, { revision, by: operation });
    this.#writes.set(operation, past);
    return undefined;
  }

  #answer(operation: Operation): Verdict | undefined {
    const past = this.#pastOf(operation.process);
    if (operation.kind === "read") return this.#read(operation, past);
    const own = operation.kind === "write" ? this.#writes.get(operation) : undefined;
    if (own !== undefined) join(past, own);
    return undefined;
  }

  #read(read: Read, past: Past): Verdict | undefined {
    for (const [cell, revision] of Object.entries(read.token ?? {})) {
      const known = past.get(cell);
      if (known === undefined || known.revision < revision) past.set(cell, { revision, by: read });
    }
    const timeline = this.#timelines.get(read.cell)!;
    const needed = past.get(read.cell);
    const position = timeline.firstPosition(read.values, needed?.revision ?? 0);
    if (position === undefined)
      return needed === undefined
        ? violationOf("A read saw what never stood there", [read])
        : violationOf(
            `A read does not include what it depends on, revision ${needed.revision}`,
            [timeline.writeAt(needed.revision), needed.by, read].filter(
              (each) => each !== undefined,
            ),
          );
    if (needed === undefined || position > needed.revision)
      past.set(read.cell, { revision: position, by: read });
    for (const [key, value] of read.values) {
      // Which of several deletions was seen is not known.
      if (value === null) continue;
      const writer = timeline.writerAt(key, position);
      if (writer === undefined) continue;
      const other = this.#writes.get(writer);
      if (other === undefined)
        return violationOf("A read saw a write that was not called yet", [read, writer]);
      join(past, other);
    }
    return undefined;
  }

  #pastOf(process: number): Past {
    let past = this.#processes.get(process);
    if (past === undefined) this.#processes.set(process, (past = new Map()));
    return past;
  }
}

function join(past: Past, other: Past): void {
  for (const [cell, dependency] of other) {
    const known = past.get(cell);
    if (known === undefined || known.revision < dependency.revision) past.set(cell, dependency);
  }
}
