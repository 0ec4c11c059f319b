// SPDX-License-Identifier: Apache-2.0

// The handler module of the edge's workers (packet-handler.ts): it opens the world it is sent and answers from it. Counters, top names and log live in shared buffers, which it makes and posts to the main thread.

import { OverlayObserver, OverlayReader, World, type SharedWorld } from "@meridian/snapshot";
import { wordsOf } from "./answer-counter.ts";
import { WorkerCounters } from "./counters.ts";
import type { HandlerBinding, HandlerContext, PacketHandler } from "./packet-handler.ts";
import { QueryHandler } from "./query-handler.ts";
import { makeLogBuffer, QueryLogWriter } from "./query-log.ts";
import { rehearse } from "./query-rehearsal.ts";
import { ServedSnapshot } from "./query-state.ts";
import { TOP_NAMES_BYTES, TopNames } from "./top-names.ts";

/** `EdgeOptions.handlerData` of this module. */
export interface HandlerData {
  readonly kind: "query";
  readonly nsid?: string;
  readonly identity?: string;
  readonly version?: string;
  readonly keepaliveSeconds?: number;
  /** Prefixes whose clients may ask for diagnoses. */
  readonly diagnosis?: readonly string[];
  readonly log?: {
    readonly every: number;
    readonly ringBytes: number;
    readonly prefixIpv4: number;
    readonly prefixIpv6: number;
  };
}

/** What `Edge.post` sends to have a snapshot served. Buffers are shared, never copied. */
export interface SnapshotMessage {
  readonly kind: "snapshot";
  readonly revision: number;
  readonly world: SharedWorld;
  readonly overlay: SharedArrayBuffer;
  readonly slotCount: number;
}

/** What a worker posts to the main thread. */
export type HandlerReport =
  | {
      readonly kind: "buffers";
      readonly worker: number;
      readonly counters: SharedArrayBuffer;
      readonly topNames: SharedArrayBuffer;
      readonly log: SharedArrayBuffer | undefined;
    }
  | {
      readonly kind: "serving";
      readonly worker: number;
      readonly revision: number;
      /** Laid out by `SnapshotCounters` for that revision. */
      readonly counters: SharedArrayBuffer;
      /** What it had counted until then (`wordsOf`). */
      readonly countedBefore: readonly number[];
    }
  | {
      readonly kind: "refused";
      readonly worker: number;
      readonly revision: number;
      readonly error: string;
    };

const SERVFAIL = 2;
const HEADER_BYTES = 12;

/** Called once in each worker. */
export function createHandler(data: unknown, context: HandlerContext): HandlerBinding {
  const worker = new QueryWorker(isHandlerData(data) ? data : { kind: "query" }, context);
  return {
    handler: worker,
    onMessage: (message) => worker.onMessage(message),
    rehearse: () => worker.rehearse(),
  };
}

/** Passes packets to the query path once there is a snapshot; before, every query fails, so that resolvers ask elsewhere. */
class QueryWorker implements PacketHandler {
  readonly #data: HandlerData;
  readonly #context: HandlerContext;
  readonly #counters: WorkerCounters = new WorkerCounters();
  readonly #topNames: SharedArrayBuffer = new SharedArrayBuffer(TOP_NAMES_BYTES);
  readonly #log: SharedArrayBuffer | undefined;
  #handler: QueryHandler | undefined;
  #served: SnapshotMessage | undefined;

  constructor(data: HandlerData, context: HandlerContext) {
    this.#data = data;
    this.#context = context;
    this.#log = data.log === undefined ? undefined : makeLogBuffer(data.log.ringBytes);
    this.#post({
      kind: "buffers",
      worker: context.index,
      counters: this.#counters.fixedBuffer,
      topNames: this.#topNames,
      log: this.#log,
    });
  }

  beginBatch(): void {
    this.#handler?.beginBatch();
  }

  lookAhead(input: Uint8Array, stride: number, lengths: Int32Array, count: number): void {
    this.#handler?.lookAhead(input, stride, lengths, count);
  }

  endBatch(): void {
    this.#handler?.endBatch();
  }

  handle(
    input: Uint8Array,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    outputMax: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
    isTcp: boolean,
  ): number {
    const handler = this.#handler;
    if (handler === undefined)
      return answerUnready(input, start, length, output, outputStart, outputMax);
    return handler.handle(
      input,
      start,
      length,
      output,
      outputStart,
      outputMax,
      source,
      sourceStart,
      family,
      isTcp,
    );
  }

  onMessage(message: unknown): void {
    if (isSnapshotMessage(message)) this.#serve(message);
  }

  rehearse(): void {
    if (this.#served === undefined) return;
    const { world, overlay, slotCount } = this.#served;
    rehearse(World.open(world), new OverlayObserver(overlay, slotCount).moment().slots);
  }

  #serve(message: SnapshotMessage): void {
    const { revision } = message;
    const { index } = this.#context;
    const world = openWorld(message);
    if ("error" in world) {
      this.#post({ kind: "refused", worker: index, revision, error: world.error });
      return;
    }
    const served = new ServedSnapshot(
      revision,
      world,
      new OverlayReader(message.overlay, message.slotCount, index),
    );
    const countedBefore = wordsOf(new Uint32Array(this.#counters.fixedBuffer));
    this.#served = message;
    if (this.#handler === undefined) this.#handler = this.#makeHandler(served);
    else this.#handler.serve(served);
    this.#post({
      kind: "serving",
      worker: index,
      revision,
      counters: this.#counters.snapshotBuffer,
      countedBefore,
    });
  }

  #makeHandler(served: ServedSnapshot): QueryHandler {
    const { log, kind: _, ...texts } = this.#data;
    const ring = this.#log;
    return new QueryHandler(served, {
      ...texts,
      counters: this.#counters,
      topNames: new TopNames(this.#topNames),
      ...(log !== undefined && ring !== undefined
        ? { log: new QueryLogWriter(ring, log), logEvery: log.every }
        : {}),
      nowMs: () => Date.now(),
    });
  }

  #post(report: HandlerReport): void {
    this.#context.post(report);
  }
}

/** Opens the world of a message, which its sender in this process has loaded and so checked. */
export function openWorld(message: SnapshotMessage): World | { readonly error: string } {
  const world = World.open(message.world);
  return world.slotCount === message.slotCount
    ? world
    : { error: `Overlay has ${message.slotCount} slots, expected ${world.slotCount}` };
}

function answerUnready(
  input: Uint8Array,
  start: number,
  length: number,
  output: Uint8Array,
  outputStart: number,
  outputMax: number,
): number {
  const isQuery =
    length >= HEADER_BYTES && outputMax >= HEADER_BYTES && (input[start + 2]! & 0x80) === 0;
  if (!isQuery) return 0;
  output.fill(0, outputStart, outputStart + HEADER_BYTES);
  output[outputStart] = input[start]!;
  output[outputStart + 1] = input[start + 1]!;
  output[outputStart + 2] = 0x80 | (input[start + 2]! & 0x79);
  output[outputStart + 3] = SERVFAIL;
  return HEADER_BYTES;
}

function isHandlerData(data: unknown): data is HandlerData {
  return typeof data === "object" && data !== null && "kind" in data && data.kind === "query";
}

/** True for what Meridian's own handler posts. */
export function isHandlerReport(message: unknown): message is HandlerReport {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    (message.kind === "buffers" || message.kind === "serving" || message.kind === "refused")
  );
}

function isSnapshotMessage(message: unknown): message is SnapshotMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "snapshot"
  );
}
