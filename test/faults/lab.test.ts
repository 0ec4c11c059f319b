// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../e2e/process.ts";
import { Lab, needsLab, type Machine } from "./lab.ts";

const LOOK_MS_MAX = 60_000;

test(
  "a lab's machines reach one another until they are parted",
  { skip: needsLab() },
  async (t) => {
    const lab = Lab.open();
    t.after(() => lab.close());
    const [left, right] = [lab.machine("left"), lab.machine("right")];
    assert.equal(await reaches(left, right), true);
    lab.partition([left], [right], true);
    assert.equal(await reaches(left, right), false);
    lab.heal();
    assert.equal(await reaches(left, right), true);
    const small = left.smallDisk("small", 1 << 16);
    const writer = left.start("dd", ["if=/dev/zero", `of=${small}/all`, "bs=1k", "count=100"]);
    await until("the end of the writer", LOOK_MS_MAX, () => writer.hasEnded);
    assert.match(writer.output, /No space left/);
  },
);

async function reaches(from: Machine, to: Machine): Promise<boolean> {
  const ping = from.start("ping", ["-n", "-c", "2", "-i", "0.2", "-W", "1", to.address]);
  await until("the end of ping", LOOK_MS_MAX, () => ping.hasEnded && /received/.test(ping.output));
  return / [12] received/.test(ping.output);
}
