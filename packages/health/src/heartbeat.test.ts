// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { HeartbeatWatch, heartbeatWords } from "./heartbeat.ts";

test("HeartbeatWatch tells of ten missing beats in a row, once, and of sixty before the first", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const words = heartbeatWords();
  let silences = 0;
  const watch = new HeartbeatWatch(words, 1000, () => silences++);
  context.mock.timers.tick(59_000);
  for (let round = 0; round < 3; round++) {
    Atomics.add(words, 0, 1);
    context.mock.timers.tick(10_000);
    assert.equal(silences, 0);
  }
  context.mock.timers.tick(1000);
  context.mock.timers.tick(60_000);
  assert.equal(silences, 1);
  watch.close();
  const another = new HeartbeatWatch(heartbeatWords(), 1000, () => silences++);
  context.mock.timers.tick(60_000);
  another.close();
  assert.equal(silences, 2);
});
