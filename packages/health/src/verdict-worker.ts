// SPDX-License-Identifier: Apache-2.0

/** The entry of the verdict thread: VerdictKeeper with a port for commands and reports. */

import { parentPort, workerData } from "node:worker_threads";
import { Pcg32, assert, systemClock } from "@meridian/core";
import { findIcmpSender } from "./probes/icmp/find-icmp-sender.ts";
import { VerdictKeeper } from "./verdict-keeper.ts";
import type { VerdictCommand } from "./verdict-messages.ts";

/** What the thread is started with. */
export interface VerdictWorkerStart {
  readonly vantage: string;
}

const data: unknown = workerData;
assert(parentPort !== null && isStart(data), "The verdict worker runs only in a VerdictThread");
const port = parentPort;
const keeper = new VerdictKeeper({
  clock: systemClock,
  random: new Pcg32((Math.random() * 2 ** 32) >>> 0),
  vantage: data.vantage,
  icmp: await findIcmpSender(),
  report: (report) => port.postMessage(report),
});
port.on("message", (command: VerdictCommand) => keeper.take(command));

function isStart(raw: unknown): raw is VerdictWorkerStart {
  return typeof raw === "object" && raw !== null && "vantage" in raw;
}
