// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { Station, type StationSpec } from "./stations.ts";

const well = { dead: undefined, capacity: 1, slow: 1, errors: 0 } as const;
const STEP_SECONDS = 0.25;

interface Sums {
  served: number;
  lost: number;
  offered: number;
}

/** The same request by request: a queue, a server that takes one each 1 / capacity, and clients that come again in the next step. */
function oneByOne(
  { capacity = 0, queue }: StationSpec,
  { rate, retries, steps, errors }: Course,
  random: Pcg32,
): Sums {
  const sums: Sums = { served: 0, lost: 0, offered: 0 };
  let waiting = 0;
  let ready = 0;
  let again: number[] = [];
  for (let step = 0; step < steps; step++) {
    const first = Array.from({ length: Math.round(rate * STEP_SECONDS) }, () => 0);
    const next: number[] = [];
    // In no order.
    const all = [...first, ...again].toSorted(() => (random.next32() & 1) * 2 - 1);
    for (const [at, attempt] of all.entries()) {
      ready += (capacity * STEP_SECONDS) / all.length;
      const served = Math.min(waiting, Math.floor(ready));
      waiting -= served;
      ready = waiting === 0 ? Math.min(1, ready - served) : ready - served;
      sums.offered += 1;
      const isError = errors > 0 && (at * 7919 + step) % 100 < errors * 100;
      const isIn = waiting < queue + capacity * STEP_SECONDS * 0.02;
      if (isIn) waiting += 1;
      if (isIn && !isError) sums.served += 1;
      else if (attempt < retries) next.push(attempt + 1);
      else sums.lost += 1;
    }
    again = next;
  }
  return sums;
}

interface Course {
  readonly rate: number;
  readonly retries: number;
  readonly steps: number;
  readonly errors: number;
}

function asFluid(spec: StationSpec, { rate, retries, steps, errors }: Course): Sums {
  const station = new Station(spec, retries);
  station.become({ ...well, errors });
  const sums: Sums = { served: 0, lost: 0, offered: 0 };
  for (let step = 0; step < steps; step++) {
    const { served, lost, offered } = station.step(rate, 0, STEP_SECONDS, 60_000);
    sums.served += served * STEP_SECONDS;
    sums.lost += lost * STEP_SECONDS;
    sums.offered += offered * STEP_SECONDS;
  }
  return sums;
}

describe("Station", () => {
  for (const { load, retries, errors } of [
    { load: 0.7, retries: 1, errors: 0 },
    { load: 1.3, retries: 0, errors: 0 },
    { load: 2, retries: 2, errors: 0 },
    { load: 0.5, retries: 1, errors: 0.3 },
  ])
    test(`serves, loses and is asked as a queue of single requests: load ${load}, ${retries} retries, ${errors} errors`, () => {
      const spec = { capacity: 400, queue: 400, latencyMs: 10 };
      const course = { rate: 400 * load, retries, steps: 400, errors };
      const fluid = asFluid(spec, course);
      const single = oneByOne(spec, course, new Pcg32(3));
      for (const name of ["served", "lost", "offered"] as const) {
        const off = Math.abs(fluid[name] - single[name]) / (course.rate * 100);
        assert.ok(off < 0.03, `${name}: ${fluid[name]}, one by one ${single[name]}`);
      }
    });

  test("what waits longer than clients do is lost, and what waits at one that dies is gone", () => {
    const station = new Station({ capacity: 100, queue: 1000, latencyMs: 10 }, 0);
    for (let step = 0; step < 80; step++) station.step(200, 0, STEP_SECONDS, 2000);
    assert.ok(station.latencyMs > 2000);
    assert.equal(station.step(200, 0, STEP_SECONDS, 2000).served, 0);
    station.become({ ...well, dead: "refuse" });
    assert.deepEqual([station.backlog, station.capacity, station.load], [0, 0, 10]);
    station.become(well);
    assert.equal(station.step(50, 5, STEP_SECONDS, 2000).served, 50);
  });
});
