// SPDX-License-Identifier: Apache-2.0

/** The entry of the verdict thread: VerdictKeeper with a port for commands and reports. */

import { parentPort, workerData } from "node:worker_threads";
import { Pcg32, assert, systemClock } from "@meridian/core";
import { loadNative } from "@meridian/native";
import { SLICE_NS } from "./limits.ts";
import { findIcmpSender } from "./probes/icmp/find-icmp-sender.ts";
import type { QuorumSettings } from "./verdict-driver.ts";
import { VerdictKeeper } from "./verdict-keeper.ts";
import type { VerdictCommand } from "./verdict-messages.ts";

/** What the thread is started with. */
export interface VerdictWorkerStart {
  readonly vantage: string;
  readonly quorum?: QuorumSettings;
}

const data: unknown = workerData;
assert(parentPort !== null && isStart(data), "The verdict worker runs only in a VerdictThread");
const port = parentPort;
wakeSoon();
const keeper = new VerdictKeeper({
  clock: systemClock,
  random: new Pcg32((Math.random() * 2 ** 32) >>> 0),
  vantage: data.vantage,
  icmp: await findIcmpSender(),
  ...(data.quorum === undefined ? {} : { quorum: data.quorum }),
  report: (report) => port.postMessage(report),
});
port.on("message", (command: VerdictCommand) => keeper.take(command));

/**
 * Answers and verdicts may share one core, which is busy with answers most of the time. A thread that asks for short slices is let in
 * when it wakes, not when a batch or a slice of 3 ms of another has ended: beside one that works 300 µs of every 430, it ran 40 µs
 * after it was woken at the median and as soon at the 90th percentile, instead of 60 to 300 µs and 3 to 8 ms (others on the machine).
 */
function wakeSoon(): void {
  const load = loadNative();
  if (load.kind === "missing") return;
  try {
    load.native.setSlice(SLICE_NS);
  } catch {
    // A sandbox may forbid it: later verdicts under load are no reason for none.
  }
}

function isStart(raw: unknown): raw is VerdictWorkerStart {
  return typeof raw === "object" && raw !== null && "vantage" in raw;
}
