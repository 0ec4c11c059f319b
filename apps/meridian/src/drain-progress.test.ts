// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { progressText } from "./drain-progress.ts";

const shift = {
  ...{ id: "x", target: "site/eu", percent: 100, reason: "r", actor: "a" },
  ...{ createdAtMs: 0, expiresAtMs: 9e9 },
};
const window = { answers: 0, windowSeconds: 10, silentEdges: 0 };

test("progressText() says what is still answered, when caches are empty, and what endpoints report", () => {
  const text = (progress: Parameters<typeof progressText>[0]["progress"]): string =>
    progressText({ ...shift, ...(progress === undefined ? {} : { progress }) });
  assert.equal(text(undefined), "no edge has said what it answers");
  assert.equal(text({ state: "announced", ...window }), "announced");
  assert.equal(
    text({
      state: "answered",
      ...window,
      answers: 5,
      share: 0.123,
      lastAnswerMs: 1000,
      emptyAtMs: 31_000,
    }),
    "answered, 12.3 % of answers name it, last at 00:00:01Z, caches have nothing of before from 00:00:31Z at the earliest",
  );
  assert.equal(
    text({
      ...{ state: "drained", ...window, silentEdges: 2, emptyAtMs: 31_000 },
      reported: { endpoints: 3, load: 0.0344, traffic: 41.239 },
    }),
    "drained, nobody asks, 3 endpoints report 41.24, 3.4 % of capacity, 2 edges are not heard of",
  );
});
