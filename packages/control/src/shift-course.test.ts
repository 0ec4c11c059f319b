// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  isAnnouncedAt,
  nextChangeMs,
  overAtMs,
  percentAt,
  type ShiftCourse,
} from "./shift-course.ts";

const MINUTE = 60_000;

test("a shift moves nothing before it starts, all of it until it expires, and comes back step by step", () => {
  const course: ShiftCourse = {
    percent: 25,
    createdAtMs: 0,
    startsAtMs: 10 * MINUTE,
    expiresAtMs: 20 * MINUTE,
    return: { percent: 10, everyMs: MINUTE },
  };
  const at = [0, 9.99, 10, 19.99, 20, 20.99, 21, 22, 99];
  assert.deepEqual(
    at.map((minutes) => percentAt(course, minutes * MINUTE)),
    [0, 0, 25, 25, 15, 15, 5, 0, 0],
  );
  assert.equal(overAtMs(course), 22 * MINUTE);
  const changes: number[] = [];
  for (let now = nextChangeMs(course, 0); now !== undefined; now = nextChangeMs(course, now))
    changes.push(now / MINUTE);
  assert.deepEqual(changes, [10, 20, 21, 22]);
});

test("one without a return is over when it expires", () => {
  const course: ShiftCourse = { percent: 100, createdAtMs: 5, expiresAtMs: 1000 };
  assert.deepEqual(
    [5, 999, 1000].map((now) => percentAt(course, now)),
    [100, 100, 0],
  );
  assert.equal(nextChangeMs(course, 5), 1000);
  assert.equal(nextChangeMs(course, 1000), undefined);
});

test("between two changes the share is the same, and after the last it is 0", () => {
  const course = fc.record({
    percent: fc.integer({ min: 1, max: 100 }),
    createdAtMs: fc.constant(0),
    startsAtMs: fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined }),
    expiresAtMs: fc.integer({ min: 501, max: 1000 }),
    return: fc.option(
      fc.record({
        percent: fc.integer({ min: 1, max: 99 }),
        everyMs: fc.integer({ min: 1, max: 50 }),
      }),
      { nil: undefined },
    ),
  });
  fc.assert(
    fc.property(course, fc.integer({ min: 0, max: 2000 }), (each, nowMs) => {
      const next = nextChangeMs(each, nowMs);
      const share = percentAt(each, nowMs);
      if (next === undefined) assert.equal(share, 0);
      else {
        assert.ok(next > nowMs);
        assert.equal(percentAt(each, next - 1), share);
        assert.notEqual(percentAt(each, next), share);
      }
      assert.equal(percentAt(each, overAtMs(each)), 0);
    }),
  );
});

test("TTLs are low from one lead before the start up to it; one that begins at once announces nothing", () => {
  const course = { percent: 100, createdAtMs: 0, startsAtMs: 90_000, expiresAtMs: 200_000 };
  const at = [0, 59_999, 60_000, 89_999, 90_000];
  assert.deepEqual(
    at.map((nowMs) => isAnnouncedAt(course, nowMs, 30_000)),
    [false, false, true, true, false],
  );
  assert.equal(nextChangeMs(course, 0, 30_000), 60_000);
  assert.equal(nextChangeMs(course, 60_000, 30_000), 90_000);
  assert.ok(isAnnouncedAt(course, 0, 300_000), "later than it should have been");
  assert.equal(nextChangeMs(course, 0, 300_000), 90_000);
  const { startsAtMs: _, ...atOnce } = course;
  assert.ok(!isAnnouncedAt(atOnce, 0, 30_000));
});
