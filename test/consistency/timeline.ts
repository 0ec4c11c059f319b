// SPDX-License-Identifier: Apache-2.0

// What stood where at which revision, as far as clients know it: the writes of one cell in the order of their revisions. The revision of a write without
// an answer is known where somebody read what it wrote, or a watch told of it. A *position* is a revision: the state after it and before the next.
//
//     revision   0        1        2        3        4
//     key a      nothing  a1 ..............  a3 ....
//     key b      nothing  nothing  b2 ......  b2 ....          a read of {a=a1, b=b2} has position 2

import type { History, Value, Values, Write } from "./operation.ts";

interface Track {
  readonly revisions: number[];
  readonly values: Value[];
}

export class Timeline {
  /** Two change sets that got the same revision, where there are any: then the revisions are no order. */
  readonly conflict: readonly [Write, Write] | undefined;
  readonly #revisions = new Map<Write, number>();
  readonly #writes = new Map<number, Write>();
  readonly #tracks = new Map<string, Track>();

  /** Of the operations of one cell. */
  constructor(operations: History) {
    const seen = seenRevisions(operations);
    const writes: [number, Write][] = [];
    for (const operation of operations) {
      if (operation.kind !== "write") continue;
      const revision = revisionOf(operation, seen);
      if (revision !== undefined) writes.push([revision, operation]);
    }
    for (const [revision, write] of writes.toSorted(([a], [b]) => a - b)) {
      const other = this.#writes.get(revision);
      if (other !== undefined) this.conflict ??= [other, write];
      this.#writes.set(revision, write);
      this.#revisions.set(write, revision);
      for (const [key, value] of write.values) this.#append(key, revision, value);
    }
  }

  revisionOf(write: Write): number | undefined {
    return this.#revisions.get(write);
  }

  writeAt(revision: number): Write | undefined {
    return this.#writes.get(revision);
  }

  /** The write whose value stands at a position; undefined before the first. */
  writerAt(key: string, position: number): Write | undefined {
    const track = this.#tracks.get(key);
    const at = track === undefined ? -1 : lastNotAfter(track.revisions, position);
    return at < 0 ? undefined : this.#writes.get(track!.revisions[at]!);
  }

  valueAt(key: string, position: number): Value {
    const track = this.#tracks.get(key);
    const at = track === undefined ? -1 : lastNotAfter(track.revisions, position);
    return at < 0 ? null : track!.values[at]!;
  }

  /** The first position from `floor` on at which all of the values stand; undefined where there is none. */
  firstPosition(values: Values, floor: number): number | undefined {
    let position = floor;
    for (let isSettled = false; !isSettled;) {
      isSettled = true;
      for (const [key, value] of values) {
        if (this.valueAt(key, position) === value) continue;
        const next = this.#nextOf(key, position, (found) => found === value);
        if (next === undefined) return undefined;
        position = next;
        isSettled = false;
      }
    }
    return position;
  }

  /** The first position from `floor` on at which one of the values does not stand. */
  firstMismatch(values: Values, floor: number): number | undefined {
    if (values.some(([key, value]) => this.valueAt(key, floor) !== value)) return floor;
    const next = values.flatMap(
      ([key, value]) => this.#nextOf(key, floor, (found) => found !== value) ?? [],
    );
    return next.length === 0 ? undefined : Math.min(...next);
  }

  #nextOf(key: string, position: number, isWanted: (value: Value) => boolean): number | undefined {
    const track = this.#tracks.get(key);
    if (track === undefined) return undefined;
    for (let at = lastNotAfter(track.revisions, position) + 1; at < track.values.length; at++)
      if (isWanted(track.values[at]!)) return track.revisions[at];
    return undefined;
  }

  #append(key: string, revision: number, value: Value): void {
    let track = this.#tracks.get(key);
    if (track === undefined) this.#tracks.set(key, (track = { revisions: [], values: [] }));
    track.revisions.push(revision);
    track.values.push(value);
  }
}

/** The same history, with the revision of each write without an answer of which a watch was told. */
export function withToldRevisions(history: History): History {
  const told = new Map<string, number>();
  for (const each of history)
    if (each.kind === "change" && each.id !== undefined)
      told.set(`${each.cell}\n${each.id}`, each.revision);
  return history.map((each) => {
    if (each.kind !== "write" || each.outcome !== "unknown" || each.id === undefined) return each;
    const revision = told.get(`${each.cell}\n${each.id}`);
    return revision === undefined ? each : { ...each, revision };
  });
}

/** Revisions of values that somebody read or was told of, by key and value; only for writes without an answer. */
function seenRevisions(operations: History): ReadonlyMap<string, number> {
  const wanted = new Set<string>();
  for (const operation of operations)
    if (operation.kind === "write" && operation.outcome === "unknown")
      for (const [key, value] of operation.values) wanted.add(nameOf(key, value));
  const seen = new Map<string, number>();
  if (wanted.size === 0) return seen;
  for (const operation of operations) {
    if (operation.kind !== "read" && operation.kind !== "change") continue;
    for (const [index, [key, value]] of operation.values.entries()) {
      const revision =
        operation.kind === "change" ? operation.revision : operation.versions?.[index];
      const name = nameOf(key, value);
      // A value that is absent was written by any number of change sets.
      if (value !== null && revision !== null && revision !== undefined && wanted.has(name))
        seen.set(name, revision);
    }
  }
  return seen;
}

function revisionOf(write: Write, seen: ReadonlyMap<string, number>): number | undefined {
  if (write.outcome === "refused") return undefined;
  if (write.outcome === "ok" || write.revision !== undefined) return write.revision;
  for (const [key, value] of write.values) {
    const revision = seen.get(nameOf(key, value));
    if (revision !== undefined) return revision;
  }
  return undefined;
}

const nameOf = (key: string, value: Value): string => `${key}\n${value}`;

/** Index of the last revision that is at most `position`; -1 where all are later. */
function lastNotAfter(revisions: readonly number[], position: number): number {
  let [low, high] = [0, revisions.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (revisions[middle]! <= position) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
