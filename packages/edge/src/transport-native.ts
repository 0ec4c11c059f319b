// SPDX-License-Identifier: Apache-2.0

/**
 * The turn loop: UDP over the add-on, in a worker thread that does nothing else.
 *
 *   turn(answers) ──► n queries ──► control word moved? read commands ──► beginBatch, handle × n, endBatch ──┐
 *      ▲                                                                                                    │
 *      └──────────────────────────────── n answers in place ◄───────────────────────────────────────────────┘
 *
 * Commands are read after the packets arrived and before they are answered, so a snapshot or an overlay that was
 * posted before a query was sent is in force for it, although the worker slept in the kernel meanwhile.
 */

import { TURN_POLL, TURN_SEND, TURN_WAIT } from "@meridian/native";
import type { Native, NativeBatch, TurnMode } from "@meridian/native";

import type { AnsweringUrgency } from "./answering-urgency.ts";
import { Overload } from "./overload.ts";
import type { PacketHandler } from "./packet-handler.ts";
import type { StopMode, WorkerControl } from "./transport-control.ts";
import type { TransportCounters } from "./transport-counters.ts";
import { FILTER_PREFIXES_MAX, unprovenFilter } from "./unproven-filter.ts";

/** Packets a turn. Past some tens nothing is gained: the system calls are already shared out. */
const BATCH_SIZE = 64;
/** The longest query taken over UDP: padding and cookies go beyond 1,232, nothing sensible beyond this. */
export const QUERY_BYTES_MAX = 4096;
/** The longest answer over UDP: what fits an IPv6 packet of the minimum MTU of 1,280. */
export const UDP_ANSWER_BYTES_MAX = 1232;
/** From one packet to the next; strides that spread the slots over more cache sets made no difference. */
const INPUT_STRIDE = QUERY_BYTES_MAX;
const OUTPUT_STRIDE = 1280;
/** The kernel's part of what is left out, in 64ths, moves by steps of so many: each is a program to compile, some 0.1 ms. */
const FILTER_STEP = 4;
const NO_FILTER = new Uint8Array(0);
/** After a stop, how long queued queries are still answered if more keep coming. */
const DRAIN_MS_MAX = 1000;

/** Runs until told to stop; blocks the thread. An exception of the handler comes out after its batch-mates are sent. */
export function runNativeTransport(
  native: Native,
  fds: readonly number[],
  handler: PacketHandler,
  control: WorkerControl,
  counters: TransportCounters,
  urgency?: AnsweringUrgency,
): void {
  const batch = native.createBatch(fds, BATCH_SIZE, INPUT_STRIDE, OUTPUT_STRIDE);
  const loop = new TurnLoop(batch, handler, counters);
  let received = 0;
  let stop: StopMode | undefined = control.read();
  while (stop === undefined) {
    received = loop.turn(received, TURN_WAIT);
    if (control.hasMoved()) stop = control.read();
    loop.answer(received);
    loop.watch(received);
    urgency?.note(received, received === BATCH_SIZE);
  }
  const deadline = performance.now() + (stop === "drain" ? DRAIN_MS_MAX : 0);
  while (performance.now() < deadline) {
    received = loop.turn(received, TURN_POLL);
    if (received === 0) break;
    loop.answer(received);
  }
  loop.turn(received, TURN_SEND);
  loop.endFilter();
}

/** A batch, its handler and its counters. Views are made once; a turn allocates nothing. */
class TurnLoop {
  readonly #batch: NativeBatch;
  readonly #handler: PacketHandler;
  readonly #counters: TurnCounters;
  readonly #input: Uint8Array;
  readonly #output: Uint8Array;
  readonly #sources: Uint8Array;
  readonly #inputLength: Int32Array;
  readonly #outputLength: Int32Array;
  readonly #sourceStart: Int32Array;
  readonly #family: Int32Array;
  readonly #overload: Overload;
  #filterLevel = 0;

  constructor(batch: NativeBatch, handler: PacketHandler, counters: TransportCounters) {
    this.#batch = batch;
    this.#handler = handler;
    const { exempt } = handler;
    this.#overload = new Overload(exempt !== undefined && exempt.length <= FILTER_PREFIXES_MAX);
    this.#counters = new TurnCounters(counters, new Float64Array(batch.stats));
    this.#input = new Uint8Array(batch.input);
    this.#output = new Uint8Array(batch.output);
    this.#sources = new Uint8Array(batch.sources);
    const meta = new Int32Array(batch.meta);
    this.#inputLength = meta.subarray(0, BATCH_SIZE);
    this.#outputLength = meta.subarray(BATCH_SIZE, 2 * BATCH_SIZE);
    this.#sourceStart = meta.subarray(2 * BATCH_SIZE, 3 * BATCH_SIZE);
    this.#family = meta.subarray(3 * BATCH_SIZE, 4 * BATCH_SIZE);
  }

  /** Sends the answers of the batch before and takes the next; returns how many packets came. */
  turn(sendCount: number, mode: TurnMode): number {
    const received = this.#batch.turn(sendCount, mode);
    this.#counters.record(received);
    return received;
  }

  /** Sees after a batch whether more comes than can be answered. */
  watch(received: number): void {
    const overload = this.#overload;
    const before = overload.level;
    // No clock is asked while all is answered.
    const nowMs = before > 0 ? performance.now() : 0;
    if (overload.isDue(received / BATCH_SIZE, nowMs)) overload.note(this.#batch.pressure());
    if (before > 0 !== overload.level > 0) this.#handler.setOverloaded?.(overload.level > 0);
    if (before !== overload.level) this.#filter();
  }

  endFilter(): void {
    if (this.#filterLevel > 0) this.#batch.filter(NO_FILTER);
    this.#filterLevel = 0;
  }

  /** Has the kernel leave out as much as it is to. */
  #filter(): void {
    const level = Math.ceil(this.#overload.filterLevel / FILTER_STEP) * FILTER_STEP;
    if (level === this.#filterLevel) return;
    if (level === 0) return this.endFilter();
    const isSet = this.#batch.filter(unprovenFilter(level, this.#handler.exempt ?? [])) === 1;
    this.#filterLevel = isSet ? level : 0;
    if (isSet) return;
    this.#overload.forgoFilter();
    this.#handler.filterRefused?.();
  }

  /** Writes an answer, or silence, for each packet of the batch. */
  answer(received: number): void {
    if (received === 0) return;
    let done = 0;
    try {
      this.#handler.beginBatch();
      this.#handler.lookAhead?.(
        this.#input,
        INPUT_STRIDE,
        this.#inputLength,
        received,
        this.#sources,
        this.#sourceStart,
        this.#family,
      );
      const isOverloaded = this.#overload.level > 0;
      for (; done < received; done += 1)
        this.#outputLength[done] =
          isOverloaded && this.#overload.isNextLeftOut() && this.#mayLeaveOut(done)
            ? 0
            : this.#handle(done);
      this.#handler.endBatch();
    } catch (error) {
      // A programmer error. The answers before it are good: send them, then let this worker be replaced.
      this.#batch.turn(done, TURN_SEND);
      throw error;
    }
  }

  #mayLeaveOut(slot: number): boolean {
    const handler = this.#handler;
    return (
      handler.mayLeaveOut?.(
        this.#input,
        slot * INPUT_STRIDE,
        this.#inputLength[slot] ?? 0,
        this.#sources,
        this.#sourceStart[slot] ?? 0,
        this.#family[slot] ?? 0,
      ) ?? false
    );
  }

  #handle(slot: number): number {
    const length = this.#handler.handle(
      this.#input,
      slot * INPUT_STRIDE,
      this.#inputLength[slot] ?? 0,
      this.#output,
      slot * OUTPUT_STRIDE,
      UDP_ANSWER_BYTES_MAX,
      this.#sources,
      this.#sourceStart[slot] ?? 0,
      this.#family[slot] ?? 0,
      false,
    );
    if (length === 0) this.#answerLater(slot);
    return length;
  }

  /** Most of what is not answered never is. */
  #answerLater(slot: number): void {
    const later = this.#handler.takeLater?.();
    if (later === undefined) return;
    const held = this.#batch.hold(slot);
    later.whenAnswered((message) => this.#batch.reply(held, message));
  }
}

/** Adds what a turn did to the shared counters. */
class TurnCounters {
  readonly #values: Float64Array;
  readonly #received: number;
  readonly #turns: number;
  readonly #errors: number;
  /** The add-on's own counters: answers dropped, packets too long, receive errors. */
  readonly #stats: Float64Array;
  /** What earlier workers of this index had counted there; the add-on's begin at 0 with each batch. */
  readonly #statsBefore: Float64Array;

  constructor(counters: TransportCounters, stats: Float64Array) {
    [this.#values, this.#received] = counters.slot("packetsReceived");
    this.#turns = counters.slot("turns")[1];
    this.#errors = counters.slot("answersDropped")[1];
    this.#stats = stats;
    this.#statsBefore = this.#values.slice(this.#errors, this.#errors + stats.length);
  }

  record(received: number): void {
    const values = this.#values;
    values[this.#received] = (values[this.#received] ?? 0) + received;
    values[this.#turns] = (values[this.#turns] ?? 0) + 1;
    for (let i = 0; i < this.#stats.length; i += 1) {
      values[this.#errors + i] = (this.#statsBefore[i] ?? 0) + (this.#stats[i] ?? 0);
    }
  }
}
