// SPDX-License-Identifier: Apache-2.0

/** The entry of the verdict thread: VerdictKeeper with a port for commands and reports. */

import { parentPort, workerData } from "node:worker_threads";
import { Pcg32, assert, systemClock } from "@meridian/core";
import { loadNative } from "@meridian/native";
import type { Dialer } from "./dial/dialer.ts";
import { NativeDialer } from "./dial/native-dialer.ts";
import { SocketDialer } from "./dial/socket-dialer.ts";
import { GivingWay } from "./giving-way.ts";
import { beat } from "./heartbeat.ts";
import { COLLECT_MS, REHEARSAL_AFTER_MS, REHEARSAL_PROBES } from "./limits.ts";
import { findIcmpSender } from "./probes/icmp/find-icmp-sender.ts";
import { rehearse } from "./rehearsal.ts";
import { ReportOutbox } from "./report-outbox.ts";
import { Urgency, callingThread } from "./urgency.ts";
import type { QuorumSettings } from "./verdict-driver.ts";
import { VerdictKeeper } from "./verdict-keeper.ts";
import type { SnapshotToJudge, VerdictCommand } from "./verdict-messages.ts";
import { youngCollector } from "./young-collector.ts";

/** What the thread is started with. */
export interface VerdictWorkerStart {
  readonly vantage: string;
  readonly quorum?: QuorumSettings;
  /** How often the heartbeat's word moves. */
  readonly beatMs: number;
  readonly heartbeat: Int32Array<SharedArrayBuffer>;
}

const data: unknown = workerData;
assert(parentPort !== null && isStart(data), "The verdict worker runs only in a VerdictThread");
const port = parentPort;
const load = loadNative();
const givingWay = new GivingWay();
const collect = youngCollector();
if (collect !== undefined) setInterval(collect, COLLECT_MS).unref();
beat(data.heartbeat, data.beatMs);
// Slices of 100 µs let it in when it wakes, not when a batch or a slice of 3 ms of another has ended: beside one that works 300 µs of
// every 430, it ran 40 µs after it was woken at the median and as soon at the 90th percentile, instead of 60 to 300 µs and 3 to 8 ms.
const urgency = new Urgency(callingThread(load.kind === "loaded" ? load.native : undefined));
const outbox = new ReportOutbox((report) => port.postMessage(report));
const random = new Pcg32((Math.random() * 2 ** 32) >>> 0);
let snapshot: SnapshotToJudge | undefined;
const keeper = new VerdictKeeper({
  clock: systemClock,
  random,
  vantage: data.vantage,
  dialer: findDialer(),
  icmp: await findIcmpSender(),
  ...(data.quorum === undefined ? {} : { quorum: data.quorum }),
  report: (report) => outbox.send(report),
  onPublished: () => givingWay.giveWay(),
});
urgency.start();
port.on("message", (command: VerdictCommand) => {
  if (isLong(command)) urgency.relax();
  // A revision waits for it, and edges for that.
  else if (isAdoption(command)) urgency.hasten();
  keeper.take(command);
  if (command.kind === "question" && command.question.kind === "adopt")
    ({ snapshot } = command.question);
  if (command.kind === "start") setTimeout(startRehearsal, REHEARSAL_AFTER_MS).unref();
});

/** What V8 makes of a thousand flips is there before the first of them that counts. */
function startRehearsal(): void {
  if (snapshot === undefined) return;
  const end = (): void => {};
  rehearse({ clock: systemClock, random, snapshot, probes: REHEARSAL_PROBES, onEnd: end });
}

/** The add-on's connections, else those of node. */
function findDialer(): Dialer {
  if (load.kind === "missing") return new SocketDialer();
  try {
    return new NativeDialer(load.native);
  } catch {
    // A runtime that has another event loop than Node's, or no descriptor left.
    return new SocketDialer();
  }
}

function isLong(command: VerdictCommand): boolean {
  // The first one takes in all that is stored.
  if (isAdoption(command)) return snapshot === undefined;
  return command.kind === "plan" || command.kind === "start";
}

function isAdoption(command: VerdictCommand): boolean {
  return command.kind === "question" && command.question.kind === "adopt";
}

function isStart(raw: unknown): raw is VerdictWorkerStart {
  return typeof raw === "object" && raw !== null && "vantage" in raw && "heartbeat" in raw;
}
