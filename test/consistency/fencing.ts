// SPDX-License-Identifier: Apache-2.0

// Leases with terms that fence (Gray and Cheriton, "Leases", 1989; Chubby's sequencers: Burrows, 2006): a former holder's write is refused as soon as
// there is another. Three things are checked, each in one pass: no term is given twice; by revision, the terms of the writes that were taken under one
// lease never go down; and nothing is taken whose call came after somebody was given a higher term.

import type { Acquire, History, Verdict, Write } from "./operation.ts";
import { timelinesOf, violationOf } from "./session-history.ts";

type Fenced = Write & { readonly lease: NonNullable<Write["lease"]> };

export function checkFencing(history: History): Verdict {
  const timelines = timelinesOf(history);
  const given = new Map<string, Acquire>();
  const acquires = history.filter((operation) => operation.kind === "acquire");
  for (const acquire of acquires) {
    const other = given.get(nameOf(acquire));
    if (other !== undefined) return violationOf("A term was given twice", [other, acquire]);
    given.set(nameOf(acquire), acquire);
  }
  const taken: [number, Fenced][] = [];
  for (const operation of history) {
    if (operation.kind !== "write" || !isFenced(operation)) continue;
    const revision = timelines.get(operation.cell)?.revisionOf(operation);
    if (revision !== undefined) taken.push([revision, operation]);
  }
  const highest = new Map<string, Fenced>();
  for (const [, write] of taken.toSorted(([a], [b]) => a - b)) {
    const lease = `${write.cell}\n${write.lease.name}`;
    const before = highest.get(lease);
    if (before !== undefined && before.lease.term > write.lease.term)
      return violationOf("A former holder of a lease wrote after its successor", [before, write]);
    highest.set(lease, write);
    const successor = acquires.find(
      ({ cell, name, term, completed }) =>
        cell === write.cell &&
        name === write.lease.name &&
        term > write.lease.term &&
        completed < write.invoked,
    );
    if (successor !== undefined)
      return violationOf("A former holder of a lease wrote after another was given it", [
        successor,
        write,
      ]);
  }
  return { kind: "ok", checked: acquires.length + taken.length };
}

function isFenced(write: Write): write is Fenced {
  return write.lease !== undefined;
}

const nameOf = ({ cell, name, term }: Acquire): string => `${cell}\n${name}\n${term}`;
