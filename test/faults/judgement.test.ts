// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, type Observed, type Sighting, type Write } from "./judgement.ts";

const bounds = { stalenessMs: 1000, answerMs: 5000, verdictMs: 3000 };

const write = (value: number, startMs: number): Write => ({
  ...{ value, startMs },
  endMs: startMs + 10,
  outcome: "acknowledged",
});

const sight = (value: number, askedMs: number): Sighting => ({
  ...{ edge: "e", value, askedMs },
  answeredMs: askedMs + 5,
});

const observed = (part: Partial<Observed>): Observed => ({
  ...{ writes: [write(1, 100), write(2, 500)], sightings: [] },
  ...{ hindrances: [], resolutions: [], sendings: [] },
  outages: [{ place: "place0", fromMs: 10_000, untilMs: 20_000 }],
  ...part,
});

test("what is as it must be is not complained of", () => {
  const sightings = [sight(0, 90), sight(1, 105), sight(1, 600), sight(2, 700), sight(2, 9000)];
  const resolutions = [{ askedMs: 0, answeredMs: 4000, isAnswered: true }];
  assert.deepEqual(judge(observed({ sightings, resolutions }), bounds), []);
});

for (const [what, part, complaint] of [
  ["a value before its write", { sightings: [sight(2, 400)] }, /before it was written/],
  ["a value nobody wrote", { sightings: [sight(7, 900)] }, /before it was written/],
  ["a step back", { sightings: [sight(2, 600), sight(1, 700)] }, /went back from 2 to 1/],
  ["an old value", { sightings: [sight(1, 1600)] }, /1000 ms after 2 was acknowledged/],
  [
    "an answer that came late",
    { resolutions: [{ askedMs: 0, answeredMs: 5001, isAnswered: true }] },
    /no edge answered/,
  ],
  [
    "an answer that never came",
    { resolutions: [{ askedMs: 0, answeredMs: 10, isAnswered: false }] },
    /no edge answered/,
  ],
  [
    "a dead place",
    { sendings: [{ edge: "e", askedMs: 13_001, place: "place0" }] },
    /sent to place0 at 13.001 s, which was dead/,
  ],
  [
    "a living place that is left",
    { sendings: [{ edge: "e", askedMs: 9_999, place: "place1" }] },
    /though place0 was alive/,
  ],
  [
    "a living place that is not gone back to",
    { sendings: [{ edge: "e", askedMs: 23_001, place: "place1" }] },
    /though place0 was alive/,
  ],
] satisfies readonly (readonly [string, Partial<Observed>, RegExp])[])
  test(`${what} is complained of`, () => {
    const found = judge(observed(part), bounds);
    assert.equal(found.length, 1);
    assert.match(found[0] ?? "", complaint);
  });

test("a place that died is answered until the bound, and not yet gone back to as long", () => {
  const sendings = [
    { edge: "e", askedMs: 12_999, place: "place0" },
    { edge: "e", askedMs: 12_000, place: "place1" },
    { edge: "e", askedMs: 22_999, place: "place1" },
  ];
  assert.deepEqual(judge(observed({ sendings }), bounds), []);
});

test("two answers that overtook one another are no step back", () => {
  const slow = { ...sight(1, 600), answeredMs: 800 };
  assert.deepEqual(judge(observed({ sightings: [slow, sight(2, 700)] }), bounds), []);
});

test("an edge that was cut off may be behind until the bound has passed again", () => {
  const hindrances = [{ edge: "e", fromMs: 700, untilMs: 1800 }];
  assert.deepEqual(judge(observed({ hindrances, sightings: [sight(1, 2700)] }), bounds), []);
  assert.equal(judge(observed({ hindrances, sightings: [sight(1, 2900)] }), bounds).length, 1);
});
