// SPDX-License-Identifier: Apache-2.0

// A history as many clients of one store make it, of any length: each operation takes effect at a moment between its call and its answer.

import type { Random } from "@meridian/core";
import type { Operation, Values } from "./operation.ts";

export interface LargeHistoryOptions {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
}

interface Pending {
  readonly client: number;
  readonly invoked: number;
  /** What happened at its moment; undefined before that. */
  effect: ((completed: number) => Operation) | undefined;
}

/** Half reads of one to three keys, half writes, of which a third has conditions, a tenth of those broken, and a hundredth of writes no answer. */
export function* largeHistory(
  random: Random,
  { operations, clients, keys }: LargeHistoryOptions,
): Generator<Operation> {
  const state = new Map<string, { value: string; revision: number; isRead: boolean }>();
  const idle = Array.from({ length: clients }, (_, client) => client);
  const pending: Pending[] = [];
  const below = (limit: number): number => Math.floor((random.next32() / 2 ** 32) * limit);
  let processes = clients;
  let [time, revision, made] = [0, 0, 0];

  const someKeys = (): string[] =>
    [...new Set(Array.from({ length: 1 + below(3) }, () => below(keys)))].map((key) => `k${key}`);
  const stand = (names: readonly string[]): Values =>
    names.map((name) => [name, state.get(name)?.value ?? null]);

  const takeEffect = (call: Pending): void => {
    const { client: process, invoked } = call;
    const names = someKeys();
    if (below(2) === 0) {
      const values = stand(names);
      for (const name of names) if (state.has(name)) state.get(name)!.isRead = true;
      const versions = names.map((name) => state.get(name)?.revision ?? null);
      const read = { kind: "read", process, invoked, cell: "", values, versions } as const;
      call.effect = (completed) => ({ ...read, level: "strong", completed });
      return;
    }
    const values = names.map((name) => [name, `v${invoked}`] as const);
    // Nobody expects what nobody has read.
    const isConditional = below(3) === 0 && state.get(names[0]!)?.isRead !== false;
    const isBroken = isConditional && below(10) === 0;
    const present = stand(names.slice(0, 1));
    const expected = isConditional
      ? present.map(([key, value]) => [key, isBroken ? `not ${value}` : value] as const)
      : [];
    const write = { kind: "write", process, invoked, cell: "", values, expected } as const;
    if (isBroken) {
      call.effect = (completed) => ({ ...write, outcome: "refused", completed });
      return;
    }
    const own = ++revision;
    for (const [name, value] of values) state.set(name, { value, revision: own, isRead: false });
    call.effect = (completed) => ({ ...write, outcome: "ok", revision: own, completed });
    if (below(50) === 0)
      call.effect = () => ({ ...write, outcome: "unknown", completed: Infinity });
  };

  while (made < operations) {
    time++;
    if (idle.length > 0 && below(2) === 0) {
      const [client] = idle.splice(below(idle.length), 1);
      pending.push({ client: client!, invoked: time, effect: undefined });
      continue;
    }
    const at = below(pending.length);
    const call = pending[at];
    if (call === undefined) continue;
    if (call.effect === undefined) {
      takeEffect(call);
      continue;
    }
    pending.splice(at, 1);
    const operation = call.effect(time);
    idle.push(operation.completed === Infinity ? processes++ : call.client);
    made++;
    yield operation;
  }
  // Calls that are still open: their writes may have been seen.
  for (const { effect } of pending) {
    const operation = effect?.(Infinity);
    if (operation?.kind === "write" && operation.outcome !== "refused")
      yield { ...operation, outcome: "unknown", completed: Infinity, revision: undefined };
  }
}
