// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VANTAGES_CHOSEN, candidateOf, chooseVantages } from "./choose-vantages.ts";

const places = fc.uniqueArray(
  fc.record({
    name: fc.string({ minLength: 1 }),
    site: fc.constantFrom("", "eu", "us", "ap", "af"),
  }),
  { maxLength: 20, selector: ({ name }) => name },
);

test("chooseVantages() takes different sites first, and as many as there are", () => {
  fc.assert(
    fc.property(places, fc.nat(), (all, hash) => {
      const candidates = all.map(candidateOf);
      const chosen = chooseVantages(candidates, hash, {});
      assert.equal(chosen.length, Math.min(VANTAGES_CHOSEN, all.length));
      assert.equal(new Set(chosen).size, chosen.length);
      const sites = new Set(candidates.map(({ site }) => site));
      const own = new Set(chosen.map((index) => candidates[index]?.site));
      assert.equal(own.size, Math.min(sites.size, chosen.length));
    }),
  );
});

test("chooseVantages() moves nothing but what a vantage had that is gone", () => {
  fc.assert(
    fc.property(places, fc.nat(), fc.nat(), (all, hash, victim) => {
      fc.pre(all.length > 0);
      const gone = all[victim % all.length]?.name;
      const names = (list: typeof all): (string | undefined)[] =>
        chooseVantages(list.map(candidateOf), hash, {}).map((index) => list[index]?.name);
      const before = names(all);
      const after = names(all.filter(({ name }) => name !== gone));
      if (!before.includes(gone)) assert.deepEqual(after, before);
    }),
  );
});

test("chooseVantages() keeps to those that the check names", () => {
  const candidates = ["a", "b", "c"].map((name) => candidateOf({ name, site: name }));
  assert.deepEqual(chooseVantages(candidates, 7, { vantages: ["b"] }), [1]);
  assert.equal(chooseVantages(candidates, 7, { minVantages: 9 }).length, 3);
});

test("chooseVantages() shares targets out evenly", () => {
  const candidates = Array.from({ length: 10 }, (_, at) =>
    candidateOf({ name: `edge-${at}`, site: `site-${at}` }),
  );
  const counts = new Uint32Array(10);
  for (let target = 0; target < 10_000; target++)
    for (const index of chooseVantages(candidates, Math.imul(target, 0x9e3779b9) >>> 0, {}))
      counts[index] = (counts[index] ?? 0) + 1;
  assert.ok(Math.min(...counts) > 2700 && Math.max(...counts) < 3300, String(counts));
});
