// SPDX-License-Identifier: Apache-2.0

import { Rcode } from "@meridian/dns";
import { FixedCounter } from "./counter-layout.ts";
import type { WorkerCounters } from "./counters.ts";
import { LogEntry, LOG_ENDPOINTS_MAX, type QueryLogWriter } from "./query-log.ts";
import { NO_EDE, type QueryState } from "./query-state.ts";

/** Where it goes what was answered. */
export interface ObserverOptions {
  readonly counters: WorkerCounters;
  readonly log?: QueryLogWriter;
  /** One query in this many is logged; default 1. */
  readonly logEvery?: number;
}

/** Counts and logs what was answered. */
export class QueryObserver {
  /** Wall time, moved once a batch: as an argument it would be an object of each query's. */
  nowMs: number = 0;
  readonly #query: QueryState;
  readonly #counters: WorkerCounters;
  readonly #log: QueryLogWriter | undefined;
  readonly #logEvery: number;
  readonly #entry: LogEntry = new LogEntry();
  #countdown: number;

  constructor(query: QueryState, { counters, log, logEvery = 1 }: ObserverOptions) {
    this.#query = query;
    this.#counters = counters;
    this.#log = log;
    this.#logEvery = logEvery;
    this.#countdown = logEvery;
  }

  /** Counters and the log: nothing here changes the answer. */
  observe(rcode: number, bytes: number): void {
    const query = this.#query;
    const counters = this.#counters;
    counters.rcode(rcode);
    counters.addBytes(FixedCounter.answerBytes, bytes);
    if (rcode === Rcode.NOERROR && isEmpty(query.output, query.outputStart))
      counters.add(FixedCounter.empty);
    if (query.message.edns.isPresent) counters.add(FixedCounter.edns);
    if (query.response.isTruncated) counters.add(FixedCounter.truncated);
    if (query.zoneIndex >= 0) counters.zone(query.zoneIndex);
    if (query.usesEcs) counters.add(FixedCounter.ecsUsed);
    if (query.hasDecision) this.#countDecision();
    const log = this.#log;
    // A diagnosis could not be asked again from the log: only the list of who may ask makes it one.
    if (log === undefined || query.boundLabel !== 0) return;
    this.#countdown -= 1;
    if (this.#countdown > 0) return;
    this.#countdown = this.#logEvery;
    this.#writeLog(log, rcode, bytes);
  }

  #countDecision(): void {
    const query = this.#query;
    const { selector } = query.served;
    this.#counters.target(query.targetKind, query.targetIndex);
    if (query.ede !== NO_EDE) this.#counters.add(FixedCounter.withheld);
    for (let index = 0; index < selector.chosenCount; index++)
      this.#counters.endpoint(selector.chosen[index]!);
  }

  #writeLog(log: QueryLogWriter, rcode: number, bytes: number): void {
    const query = this.#query;
    const { served, start, length, output, outputStart } = query;
    const { edns } = query.message;
    const { ecs } = edns;
    const entry = this.#entry;
    entry.revision = served.revision;
    entry.sequence = served.overlay.sequence;
    entry.timeMs = this.nowMs;
    entry.family = query.family;
    entry.isTcp = query.isTcp;
    entry.draw = query.draw;
    entry.view = query.view;
    entry.rcode = rcode;
    entry.endpointCount = query.hasDecision
      ? Math.min(served.selector.chosenCount, LOG_ENDPOINTS_MAX)
      : 0;
    for (let index = 0; index < entry.endpointCount; index++)
      entry.endpoints[index] = served.selector.chosen[index]!;
    entry.ecsAt = ecs.isPresent ? ecs.addressStart - start : -1;
    entry.ecsFamily = ecs.family;
    entry.ecsBytes = ecs.addressBytes;
    entry.echoAt = query.echoAt < 0 ? -1 : query.echoAt - outputStart;
    entry.cookieAt = query.cookieAt < 0 ? -1 : edns.cookieStart - start;
    entry.cookieBytes = edns.cookieBytes;
    entry.cookieEchoAt = query.cookieAt - outputStart;
    entry.bitsIpv4 = query.bitsIpv4;
    entry.bitsIpv6 = query.bitsIpv6;
    const { input, source, sourceStart } = query;
    if (log.write(entry, input, start, length, output, outputStart, bytes, source, sourceStart)) {
      this.#counters.add(FixedCounter.logged);
    }
  }
}

/** Authoritative and without a record in its answer section: no referral, and nothing of the type that was asked. */
function isEmpty(output: Uint8Array, start: number): boolean {
  const answerCount = output[start + 6]! | output[start + 7]!;
  return answerCount === 0 && (output[start + 2]! & 4) !== 0;
}
