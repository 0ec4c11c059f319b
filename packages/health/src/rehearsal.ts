// SPDX-License-Identifier: Apache-2.0

// What a flip runs through is some hundred functions, which V8 compiles one by one as they become hot: at forty probes a second for
// minutes, each in a helper thread, for 0.2 to 0.8 ms, in the very moment in which the worker that shares the core has the
// changed answer to give. So a new thread plays a thousand flips at once: the whole chain from the bytes of an answer to the published
// bank, with an overlay that nobody reads and connections that lead nowhere. Real probes go on meanwhile, so that code is
// compiled for their objects, too.

import type { Clock, Random } from "@meridian/core";
import {
  DIAL_BYTES,
  DIAL_ENDED,
  DIAL_EVENT_FIELDS,
  DIAL_WRITABLE,
  type Native,
} from "@meridian/native";
import { World } from "@meridian/snapshot";
import { defaultHttpFields, defaultTiming, type ProbeTarget } from "./check.ts";
import { NativeDialer } from "./dial/native-dialer.ts";
import { REHEARSAL_ENDPOINTS, REHEARSAL_INTERVAL_MS } from "./limits.ts";
import { packTargets } from "./packed-plan.ts";
import { ReportOutbox } from "./report-outbox.ts";
import { VerdictKeeper } from "./verdict-keeper.ts";
import type { SnapshotToJudge } from "./verdict-messages.ts";

const ANSWER_UP = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n";
const ANSWER_DOWN =
  "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\ndown\n";

export interface RehearsalOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly snapshot: SnapshotToJudge;
  readonly probes: number;
  /** All has been played; `publishedCount` change sets came of it. */
  readonly onEnd: (publishedCount: number) => void;
}

/** Plays flips of the first endpoints of a snapshot, each twice up and twice down; ends by itself. */
export function rehearse(options: RehearsalOptions): void {
  const { clock, random, snapshot, probes, onEnd } = options;
  const { revision, world } = snapshot;
  const targets = targetsOf(World.open(world));
  if (targets.length === 0) return;
  let publishedCount = 0;
  const connections = stageConnections(probes, targets.length, () => {
    void keeper.close().then(() => onEnd(publishedCount));
  });
  const outbox = new ReportOutbox((report) => {
    if (report.kind === "changed") publishedCount += report.changes.sets.length;
  });
  const keeper = new VerdictKeeper({
    clock,
    random,
    vantage: "rehearsal",
    icmp: { available: false, reason: "a rehearsal" },
    dialer: new NativeDialer(connections),
    report: (report) => outbox.send(report),
  });
  const adopted = { revision, world, lastSequence: 0 };
  keeper.take({ kind: "question", id: 0, question: { kind: "adopt", snapshot: adopted } });
  const change = { changed: packTargets(targets), gone: [], rules: undefined };
  keeper.take({ kind: "plan", change });
  keeper.take({ kind: "start" });
}

function targetsOf(world: World): ProbeTarget[] {
  const check = {
    ...defaultTiming,
    ...defaultHttpFields,
    kind: "http",
    intervalMs: REHEARSAL_INTERVAL_MS,
    timeoutMs: REHEARSAL_INTERVAL_MS,
    unhealthyThreshold: 1,
    healthyThreshold: 1,
  } as const;
  const count = Math.min(REHEARSAL_ENDPOINTS, world.pools.endpointCount);
  return Array.from({ length: count }, (_, slot) => {
    const key = world.endpointName(slot);
    return { key, checkName: "rehearsal", check, address: "192.0.2.1", port: 80 };
  });
}

/** What the add-on has for a dialer, without sockets: connects at once, and answers what is sent in the next turn of the loop. */
function stageConnections(
  probesMax: number,
  endpointCount: number,
  onEnd: () => void,
): Pick<Native, "openDialer"> {
  return {
    openDialer: (onEvents) => {
      const events = new Int32Array(DIAL_EVENT_FIELDS);
      const bytes = new Uint8Array(Math.max(ANSWER_UP.length, ANSWER_DOWN.length));
      let probes = 0;
      const happen = (slot: number, happened: number, text: string): void => {
        events.set([slot, happened, 0, Buffer.from(text).copy(bytes), 0]);
        onEvents(1);
      };
      return {
        events: events.buffer,
        bytes: bytes.buffer,
        connect: (slot) => {
          probes += 1;
          if (probes === probesMax) setImmediate(onEnd);
          else setImmediate(happen, slot, DIAL_WRITABLE, "");
          return slot;
        },
        send: (slot, request) => {
          const isUp = Math.floor(probes / endpointCount / 2) % 2 === 0;
          setImmediate(happen, slot, DIAL_BYTES | DIAL_ENDED, isUp ? ANSWER_UP : ANSWER_DOWN);
          return request.length;
        },
        hangUp: () => {},
        stop: () => {},
      };
    },
  };
}
