// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FairTurns } from "./fair-turns.ts";

test("FairTurns gives each tenant its own turns, and those who wait come in turn by tenant", async () => {
  const turns = new FairTurns({ ownMax: 2, allMax: 3 });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string): Promise<void> =>
    turns.run(name.charAt(0), () => {
      begun.push(name);
      return new Promise((resolve) => {
        ends.set(name, resolve);
      });
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await turn();
  };
  const all = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"].map(run);
  await turn();
  assert.deepEqual(begun, ["a1", "a2", "b1"]);
  await end("a1");
  assert.deepEqual(begun.slice(3), ["a3"]);
  await end("a2");
  assert.deepEqual(begun.slice(4), ["b2"]);
  await end("b1");
  assert.deepEqual(begun.slice(5), ["c1"]);
  await end("a3");
  assert.deepEqual(begun.slice(6), ["a4"]);
  for (const name of ["b2", "c1", "a4"]) await end(name);
  await Promise.all(all);
});

test("FairTurns goes on after work that fails", async () => {
  const turns = new FairTurns({ ownMax: 1, allMax: 1 });
  const failing = turns.run("a", () => Promise.reject(new Error("no")));
  const next = turns.run("b", () => Promise.resolve(1));
  await assert.rejects(failing, /no/);
  assert.equal(await next, 1);
});
