// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  judge as judgeAll,
  suspects,
  type Answer,
  type Bounds,
  type Observed,
  type Sending,
  type Sighting,
  type Write,
} from "./judgement.ts";
import type { Replay } from "./replays.ts";

const bounds = { stalenessMs: 1000, takeoverMs: 4000, answerMs: 5000, verdictMs: 3000 };
const judge = (seen: Observed, by: Bounds): readonly string[] => judgeAll(seen, by).complaints;

const write = (value: number, startMs: number): Write => ({
  ...{ value, startMs },
  endMs: startMs + 10,
  outcome: "acknowledged",
  revision: 10 * value,
});

const answer = (askedMs: number): Answer => ({ edge: "e", askedMs, id: askedMs, hash: 0 });

const sight = (value: number, askedMs: number): Sighting => ({
  ...{ ...answer(askedMs), value },
  answeredMs: askedMs + 5,
});

const send = (place: string, askedMs: number): Sending => ({ ...answer(askedMs), place });

const replay = (outcome: Replay["outcome"], more: Partial<Replay> = {}): Replay => ({
  ...{ edge: "e", time: "2026-01-01T00:00:00.000Z", position: "3:7", outcome, ...more },
});

const observed = (part: Partial<Observed>): Observed => ({
  ...{ writes: [write(1, 100), write(2, 500)], sightings: [] },
  commits: [0, 1, 2].map((value) => ({ value, revision: 10 * value })),
  ...{ hindrances: [], takeovers: [], loads: [], resolutions: [], sendings: [] },
  outages: [{ place: "place0", fromMs: 10_000, untilMs: 20_000 }],
  replays: [replay("equal"), replay("equal"), replay("forgotten")],
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
  ["an old value", { sightings: [sight(1, 1600)] }, /e answered 1 at 1.600 s, 1090 ms after/],
  [
    "an acknowledged write that is not kept",
    { commits: [{ value: 1, revision: 10 }] },
    /2 was acknowledged as revision 20, and is lost/,
  ],
  [
    "a write that is kept twice",
    { commits: [...observed({}).commits, { value: 2, revision: 25 }] },
    /2 was acknowledged as revision 20, and is 25|2 is revision 20, and 25, too/,
  ],
  [
    "a revision that nobody wrote",
    { commits: [...observed({}).commits, { value: 3, revision: 30 }] },
    /3 is revision 30, and was never written/,
  ],
  [
    "an answer that what it was made from does not yield",
    { replays: [replay("different")] },
    /e answered at 2026-\S+ what 3:7 does not yield/,
  ],
  [
    "an answer that shows another value than the store has of its revision",
    { replays: [replay("equal", { value: 1, revision: 25 })] },
    /e answered 1 at 2026-\S+ from 3:7, where the store has 2/,
  ],
  [
    "answers that nothing is known of any more",
    { replays: [replay("equal"), replay("forgotten"), replay("forgotten")] },
    /2 of 3 answers cannot be asked for again/,
  ],
  ["an answer without an address", { sightings: [sight(-2, 600)] }, /no address of the counter/],
  ["an answer of no place", { sendings: [send('"RCODE 3"', 12_000)] }, /sent to "RCODE 3"/],
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
    { sendings: [send("place0", 13_001)] },
    /sent to place0 at 13.001 s, which was dead/,
  ],
  ["a living place that is left", { sendings: [send("place1", 9_999)] }, /though place0 was alive/],
  [
    "a living place that is not gone back to",
    { sendings: [send("place1", 23_001)] },
    /though place0 was alive/,
  ],
] satisfies readonly (readonly [string, Partial<Observed>, RegExp])[])
  test(`${what} is complained of`, () => {
    const found = judge(observed(part), bounds);
    assert.ok(found.length > 0);
    for (const each of found) assert.match(each, complaint);
  });

test("a place that died is answered until the bound, and not yet gone back to as long", () => {
  const sendings = [send("place0", 12_999), send("place1", 12_000), send("place1", 22_999)];
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

test("an edge is judged again as soon as the bound has passed since a fault", () => {
  const hindrances = [{ edge: "e", fromMs: 0, untilMs: 1800 }];
  const sightings = [sight(2, 1900), sight(2, 2900), { ...sight(2, 1900), edge: "other" }];
  const { ages } = judgeAll(observed({ hindrances, sightings }), bounds);
  assert.deepEqual(
    ages.map(({ answer }) => [answer.edge, answer.askedMs]),
    [
      ["e", 2900],
      ["other", 1900],
    ],
  );
});

test("every edge may be behind for longer where somebody takes over, and then no more", () => {
  const takeovers = [{ fromMs: 0, untilMs: 9000 }];
  const sightings = [sight(1, 4509), sight(1, 4511)];
  const found = judge(observed({ takeovers, sightings }), bounds);
  assert.deepEqual(found.length, 1);
  assert.match(found[0] ?? "", /at 4.511 s/);
});

test("ages are promised by the load of the machine", () => {
  const loads = [
    { atMs: 0, factor: 1 },
    { atMs: 1000, factor: 2 },
    { atMs: 2000, factor: 2 },
  ];
  assert.deepEqual(judge(observed({ loads, sightings: [sight(1, 2509)] }), bounds), []);
  assert.equal(judge(observed({ loads, sightings: [sight(1, 2511)] }), bounds).length, 1);
});

test("a value that was written late, of an earlier write, is no step back", () => {
  const commits = [0, 2, 1].map((value, index) => ({ value, revision: 10 * index }));
  const writes: Write[] = [
    { value: 1, startMs: 100, endMs: 110, outcome: "unknown" },
    { ...write(2, 500), revision: 10 },
  ];
  const sightings = [sight(2, 600), sight(1, 700)];
  assert.deepEqual(judge(observed({ commits, writes, sightings }), bounds), []);
  const back = [sight(1, 600), sight(2, 700)];
  assert.match(
    judge(observed({ commits, writes, sightings: back }), bounds).join(),
    /went back from 1 to 2/,
  );
});

test("nothing is promised of a time in which nothing ran", () => {
  const stalled = [0, 1000, 2000, 4500].map((atMs) => ({ atMs, factor: 1 }));
  const sightings = [sight(1, 4000), sight(1, 5499)];
  const sendings = [send("place1", 7000)];
  const resolutions = [{ askedMs: 1500, answeredMs: 7000, isAnswered: false }];
  const seen = observed({ loads: stalled, sightings, sendings, resolutions });
  assert.deepEqual(judge(seen, bounds), []);
  assert.equal(judge({ ...seen, loads: [] }, bounds).length, 4);
});

test("an edge that did not run has its own time to find a place dead, one that was cut off has not", () => {
  const sendings = [send("place0", 13_001)];
  const away = { edge: "e", fromMs: 10_000, untilMs: 12_000 };
  const down = observed({ sendings, hindrances: [{ ...away, isDown: true }] });
  assert.deepEqual(judge(down, bounds), []);
  assert.equal(judge(observed({ sendings, hindrances: [away] }), bounds).length, 1);
});

test("a complaint says what came of asking for its answer again", () => {
  const late = sight(1, 1600);
  const found = (outcome: Replay["outcome"]): string =>
    judge(
      observed({ sightings: [late], replays: [replay(outcome, { answer: late })] }),
      bounds,
    ).join("\n");
  assert.match(found("equal"), /e answered 1 at 1.600 s, .* \(3:7 yields it\)$/);
  assert.match(found("different"), /\(3:7 does not yield it\)$/);
  assert.match(found("unlogged"), /\(its edge has not logged it\)$/);
});

test("what looks wrong is asked for again, be there an excuse or not", () => {
  const hindrances = [{ edge: "e", isDown: true, fromMs: 0, untilMs: 60_000 }];
  const seen = observed({
    hindrances,
    takeovers: [{ fromMs: 0, untilMs: 60_000 }],
    loads: [{ atMs: 0, factor: 99 }],
    sightings: [sight(1, 600), sight(1, 1600), sight(-2, 2000), sight(2, 2500), sight(1, 2600)],
    sendings: [send("place0", 9000), send("place0", 13_001), send("place1", 23_001)],
  });
  const asked = suspects(seen, bounds).map(({ askedMs }) => askedMs);
  assert.deepEqual(new Set(asked), new Set([1600, 2000, 2600, 13_001, 23_001]));
  assert.equal(asked.length, 5, "each once");
  // An excuse for being late is none for an answer that nothing yields.
  const excused = { hindrances, sightings: [sight(1, 1600)] };
  assert.deepEqual(judge(observed(excused), bounds), []);
  const replays = [replay("different", { answer: sight(1, 1600) })];
  assert.match(judge(observed({ ...excused, replays }), bounds).join(), /does not yield/);
});
