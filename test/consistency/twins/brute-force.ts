// SPDX-License-Identifier: Apache-2.0

// The models as their definitions have them: every order, and every placing of reads, is tried. For a handful of operations.

import type { History, Operation, Read, Value, Values, Write } from "../operation.ts";

type Step = Read | Write;

export function isLinearizable(history: History): boolean {
  const cells = Map.groupBy(history, ({ cell }) => cell);
  return [...cells.values()].every((operations) => {
    const steps = operations.filter(
      (each): each is Step =>
        each.kind === "write" || (each.kind === "read" && each.level === "strong"),
    );
    const answered = steps.filter(({ completed }) => completed !== Infinity);
    const unanswered = steps.filter(({ completed }) => completed === Infinity);
    return subsets(unanswered).some((taken) =>
      permutations([...answered, ...taken]).some(explains),
    );
  });
}

function explains(order: readonly Step[]): boolean {
  for (const [at, step] of order.entries())
    if (order.slice(at + 1).some((later) => later.completed < step.invoked)) return false;
  const state = new Map<string, Value>();
  const stand = (values: Values): boolean =>
    values.every(([key, value]) => (state.get(key) ?? null) === value);
  for (const step of order) {
    if (step.kind === "read") {
      if (!stand(step.values)) return false;
    } else if (step.outcome === "refused") {
      if (stand(step.expected)) return false;
    } else {
      if (!stand(step.expected)) return false;
      for (const [key, value] of step.values) state.set(key, value);
    }
  }
  return true;
}

/** Whether some order that keeps that of the revisions explains a history. */
export function isExplainedByRevisions(history: readonly Step[]): boolean {
  const revisions = revisionsOf(history);
  const placed = history.filter((step) => step.completed !== Infinity || revisions.has(step));
  const inOrder = (order: readonly Step[]): boolean => {
    const numbers = order.flatMap((step) => revisions.get(step) ?? []);
    return numbers.every((number, at) => at === 0 || numbers[at - 1]! < number);
  };
  return permutations(placed).some((order) => inOrder(order) && explains(order));
}

export function readsItsWrites(history: History): boolean {
  const revisions = revisionsOf(history);
  return history.every((read) => {
    if (read.kind !== "read") return true;
    const own = history.filter(
      (each) =>
        each.kind === "write" &&
        each.outcome === "ok" &&
        each.process === read.process &&
        each.cell === read.cell &&
        each.completed < read.invoked,
    );
    const least = Math.max(0, ...own.map((write) => revisions.get(write) ?? 0));
    return positionsOf(history, read).some((position) => position >= least);
  });
}

export function readsMonotonically(history: History): boolean {
  const sessions = Map.groupBy(history, ({ process, cell }) => `${process} ${cell}`);
  return [...sessions.values()].every((operations) => {
    const reads = operations
      .filter((each) => each.kind === "read")
      .toSorted((a, b) => a.invoked - b.invoked);
    return product(reads.map((read) => positionsOf(history, read))).some((positions) =>
      positions.every((position, at) => at === 0 || positions[at - 1]! <= position),
    );
  });
}

export function writesMonotonically(history: History): boolean {
  const revisions = revisionsOf(history);
  return history.every((one) =>
    history.every((other) => {
      const isSession = one.process === other.process && one.cell === other.cell;
      const [first, second] = [revisions.get(one), revisions.get(other)];
      if (!isSession || first === undefined || second === undefined) return true;
      return one.invoked >= other.invoked || first < second;
    }),
  );
}

/** Some placing of the reads makes a "happened before" that every read and write keeps. */
export function isCausal(history: History): boolean {
  const revisions = revisionsOf(history);
  const operations = history.filter((each) => each.kind === "read" || revisions.has(each));
  const reads = operations.filter((each) => each.kind === "read");
  return product(reads.map((read) => positionsOf(history, read))).some((positions) => {
    const place = new Map<Operation, number>(revisions);
    for (const [at, read] of reads.entries()) place.set(read, positions[at]!);
    const before = (a: Operation, b: Operation): boolean =>
      (a.process === b.process && a.invoked < b.invoked) || isReadFrom(history, a, b, place);
    const past = closure(operations, before);
    // Nothing is read before it is written.
    for (const read of reads)
      for (const write of operations)
        if (isReadFrom(history, write, read, place) && write.invoked > read.completed) return false;
    return operations.every((later) =>
      [...(past.get(later) ?? [])].every((earlier) => {
        if (earlier.cell !== later.cell) return true;
        const [low, high] = [place.get(earlier)!, place.get(later)!];
        return later.kind === "write" ? low < high : low <= high;
      }),
    );
  });
}

function isReadFrom(
  history: History,
  write: Operation,
  read: Operation,
  place: ReadonlyMap<Operation, number>,
): boolean {
  if (write.kind !== "write" || read.kind !== "read" || write.cell !== read.cell) return false;
  const revisions = revisionsOf(history);
  const position = place.get(read)!;
  return read.values.some(([key, value]) => {
    if (value === null) return false;
    const writers = history.filter(
      (each) =>
        each.kind === "write" &&
        each.cell === read.cell &&
        (revisions.get(each) ?? Infinity) <= position &&
        each.values.some(([name]) => name === key),
    );
    const last = Math.max(...writers.map((each) => revisions.get(each)!));
    return revisions.get(write) === last && writers.includes(write);
  });
}

function closure(
  operations: readonly Operation[],
  before: (a: Operation, b: Operation) => boolean,
): ReadonlyMap<Operation, ReadonlySet<Operation>> {
  const past = new Map(
    operations.map((later) => [
      later,
      new Set(operations.filter((each) => each !== later && before(each, later))),
    ]),
  );
  for (let round = 0; round < operations.length; round++)
    for (const set of past.values())
      for (const each of [...set]) for (const older of past.get(each)!) set.add(older);
  return past;
}

/** Of acknowledged writes, and of those of which somebody read the value with its revision. */
function revisionsOf(history: History): ReadonlyMap<Operation, number> {
  const revisions = new Map<Operation, number>();
  for (const write of history) {
    if (write.kind !== "write" || write.outcome === "refused") continue;
    if (write.revision !== undefined) revisions.set(write, write.revision);
    for (const read of history) {
      if (write.outcome === "ok" || read.kind !== "read" || read.cell !== write.cell) continue;
      for (const [at, [key, value]] of read.values.entries())
        if (value !== null && write.values.some(([k, v]) => k === key && v === value))
          revisions.set(write, read.versions![at]!);
    }
  }
  return revisions;
}

/** Every revision of a read's cell, 0 too, after which all that it saw stands. */
function positionsOf(history: History, read: Read): number[] {
  const writes = [...revisionsOf(history)].filter(([each]) => each.cell === read.cell);
  const revisions = [0, ...writes.map(([, revision]) => revision)].toSorted((a, b) => a - b);
  return revisions.filter((position) =>
    read.values.every(([key, value]) => {
      const own = writes
        .filter(([each, revision]) => revision <= position && valueOf(each, key) !== undefined)
        .toSorted(([, a], [, b]) => a - b);
      const last = own.at(-1);
      return (last === undefined ? null : valueOf(last[0], key)) === value;
    }),
  );
}

function valueOf(operation: Operation, key: string): Value | undefined {
  if (operation.kind !== "write") return undefined;
  return operation.values.find(([name]) => name === key)?.[1];
}

function subsets<Item>(items: readonly Item[]): Item[][] {
  const [first, ...rest] = items;
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((one) => [one, [first, ...one]]);
}

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, at) =>
    permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]),
  );
}

function product(choices: readonly (readonly number[])[]): number[][] {
  return choices.reduce<number[][]>(
    (all, choice) => all.flatMap((one) => choice.map((each) => [...one, each])),
    [[]],
  );
}
