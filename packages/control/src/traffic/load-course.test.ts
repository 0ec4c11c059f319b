// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { LoadBins } from "./load-bins.ts";
import { ResolverCaches, type AnswerSource } from "./resolver-caches.ts";

/** Answers one place until `changeSeconds`, then another. */
class Changing implements AnswerSource {
  readonly ttlSeconds: number;
  readonly #changeSeconds: number;

  constructor(ttlSeconds: number, changeSeconds: number) {
    this.ttlSeconds = ttlSeconds;
    this.#changeSeconds = changeSeconds;
  }

  answer(_group: number, _index: number, nowSeconds: number): number {
    return nowSeconds < this.#changeSeconds ? 0 : 1;
  }
}

const near = (found: number, wanted: number, within: number, what: string): void =>
  assert.ok(Math.abs(found - wanted) <= within, `${what}: ${found}, expected ${wanted}`);

describe("LoadBins", () => {
  test("gives every look-up to the bins in which it falls, whatever it spans", () => {
    const bins = new LoadBins(2, 10, 2);
    bins.add(1, 1, 0.5, 4, 1);
    bins.add(1, 3, 6, 10, 2);
    bins.add(0, 19, 100, 1, 1);
    assert.deepEqual(
      [...bins.rates(1)].map((rate) => rate * 2),
      [3, 22, 40, 40, 20, 0, 0, 0, 0, 0],
    );
    assert.equal((bins.rates(0)[9] ?? 0) * 2, 2);
  });
});

test("next() gives the rates of one bin after the other as rates() does of all, while more is added", () => {
  const random = new Pcg32(11);
  const below = (limit: number): number => (random.next32() / 2 ** 32) * limit;
  const bins = new LoadBins(3, 50, 0.5);
  const read: number[][] = [];
  const into = new Float64Array(3);
  for (let bin = 0; bin < 50; bin++) {
    for (let round = 0; round < 20; round++)
      bins.add(Math.floor(below(3)), bin * 0.5 + below(0.5), below(8), below(10), 1);
    read.push([...(bins.next(into) ?? [])]);
  }
  for (const place of [0, 1, 2])
    for (const [bin, rate] of bins.rates(place).entries())
      near(read[bin]?.[place] ?? Number.NaN, rate, 1e-9, `place ${place}, bin ${bin}`);
  assert.equal(bins.next(into), undefined);
});

describe("ResolverCaches", () => {
  // A look-up t seconds after the change finds an answer from before if the cache asked within (t − TTL, 0): it goes round in TTL + 1 / rate.
  for (const { rate, floor, cap, kept } of [
    { rate: 50, floor: 0, cap: 3600, kept: 30 },
    { rate: 0.05, floor: 0, cap: 3600, kept: 30 },
    { rate: 50, floor: 60, cap: 3600, kept: 60 },
    { rate: 0.1, floor: 0, cap: 10, kept: 10 },
  ])
    test(`lose what they knew as renewal says: rate ${rate}, TTL 30 s within ${floor} s and ${cap} s`, () => {
      const count = 20_000;
      const source = new Changing(30, 600);
      const group = { count, rate, ttlFloorSeconds: floor, ttlCapSeconds: cap, weight: 1 };
      const caches = new ResolverCaches([group], () => 30, new Pcg32(7));
      const bins = new LoadBins(2, 720, 1);
      caches.run(720, source, bins);
      const [old, now] = [bins.rates(0), bins.rates(1)];
      const total = count * rate;
      // The share is a mean over the caches, and that of a second of few look-ups over those.
      const within = 5 * Math.sqrt(0.25 / Math.min(count, total)) + 1e-9;
      for (const at of [0, 5, 15, 29, 45, 59, 70]) {
        const [was, is] = [old[600 + at] ?? 0, now[600 + at] ?? 0];
        near((was + is) / total, 1, 2 * within, `load after ${at} s`);
        // A bin of a second, by its middle.
        const wanted = Math.max(0, kept - at - 0.5) / (kept + 1 / rate);
        near(was / total, wanted, within, `old after ${at} s`);
      }
    });

  test("that count whole seconds keep answers for half a second longer at the mean, and lose them at full ones", () => {
    const source = new Changing(2, 100);
    const group = { count: 20_000, rate: 1000, ttlFloorSeconds: 0, ttlCapSeconds: 60, weight: 1 };
    const caches = new ResolverCaches([{ ...group, wholeSeconds: true }], () => 2, new Pcg32(5));
    const bins = new LoadBins(2, 110, 1);
    caches.run(110, source, bins);
    const old = bins.rates(0);
    // All ask right after a full second, so none has the old answer for longer than three.
    assert.ok((old[101] ?? 0) > 0);
    near((old[103] ?? 0) / (group.count * group.rate), 0, 1e-3, "old after 3 s");
    near(caches.rounds / group.count / 110, 1 / 3, 0.02, "rounds a second");
  });

  test("one seed gives one course, to the last bit", () => {
    const course = (): number[] => {
      const group = { count: 100, rate: 1, ttlFloorSeconds: 0, ttlCapSeconds: 60, weight: 1 };
      const caches = new ResolverCaches([group], () => 5, new Pcg32(3));
      const bins = new LoadBins(2, 60, 1);
      caches.run(60, new Changing(5, 30), bins);
      return [...bins.rates(0), ...bins.rates(1)];
    };
    assert.deepEqual(course(), course());
  });
});
