// SPDX-License-Identifier: Apache-2.0

// The handler module of the edge's workers (packet-handler.ts): it opens the world it is sent and answers from it. Counters, top names and log live in shared buffers, which it makes and posts to the main thread.

import {
  OverlayObserver,
  OverlayReader,
  World,
  fencedSlots,
  leaseClock,
  leaseWord,
  type SharedWorld,
} from "@meridian/snapshot";
import { wordsOf } from "./answer-counter.ts";
import type { ClientCertificate } from "./client-certificate.ts";
import { ServerCookies } from "./cookie.ts";
import { WorkerCounters } from "./counters.ts";
import type { SigningMessage, ZoneOrders } from "./dnssec/signed-answers.ts";
import type {
  Channel,
  HandlerBinding,
  HandlerContext,
  LaterAnswer,
  MessageStream,
  PacketHandler,
} from "./packet-handler.ts";
import { QueryHandler } from "./query-handler.ts";
import { makeLogBuffer, QueryLogWriter } from "./query-log.ts";
import { rehearse } from "./query-rehearsal.ts";
import { ServedSnapshot } from "./query-state.ts";
import { ResponseLimiter } from "./response-limiter.ts";
import { TOP_NAMES_BYTES, TopNames } from "./top-names.ts";
import type { ZoneNotified } from "./transfers/notify-receiver.ts";
import type { TransferNotice } from "./transfers/transfer-notices.ts";
import { Transfers } from "./transfers/transfers.ts";
import {
  UpdateRequests,
  type UpdateNotice,
  type UpdatedMessage,
} from "./updates/update-requests.ts";

/** `EdgeOptions.handlerData` of this module. */
export interface HandlerData {
  readonly kind: "query";
  readonly nsid?: string;
  readonly identity?: string;
  readonly version?: string;
  readonly keepaliveSeconds?: number;
  /** Prefixes whose clients may ask for diagnoses. */
  readonly diagnosis?: readonly string[];
  /** Secrets of 16 bytes for cookies, until a message brings others; without any, cookies are not looked at. */
  readonly cookieSecrets?: readonly Uint8Array[];
  /** What a client prefix may be sent over UDP by one worker. */
  readonly limit?: {
    readonly rate: number;
    readonly exempt: readonly string[];
    readonly seed: number;
  };
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
  /** Names of signed zones in order, by the index of the zone. */
  readonly orders?: ZoneOrders;
}

/** What `Edge.post` sends to have cookies made with other secrets. */
export interface CookiesMessage {
  readonly kind: "cookies";
  readonly secrets: readonly Uint8Array[];
}

/** What `Edge.post` sends to have transfers signed: secrets by what zones call them. */
export interface SecretsMessage {
  readonly kind: "secrets";
  readonly secrets: ReadonlyMap<string, string>;
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
  /** A client prefix passed its rate, and so did others since the last report. */
  | {
      readonly kind: "limited";
      readonly worker: number;
      readonly prefix: string;
      readonly others: number;
    }
  /** Under overload its packets are read before they are left out: the kernel takes no filter. */
  | { readonly kind: "unfiltered"; readonly worker: number }
  | {
      readonly kind: "refused";
      readonly worker: number;
      readonly revision: number;
      readonly error: string;
    };

const SERVFAIL = 2;
const HEADER_BYTES = 12;
/**
 * What few ask over TCP is opened when it is asked, or so long after it has come: a millisecond that the threads which nearly all queries come to
 * wait for, where cores are few.
 */
const TCP_PAUSE_MS = 100;

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
  readonly #cookies: ServerCookies | undefined;
  readonly #transfers = new Transfers(
    (notice) => this.#post(notice),
    (counter) => this.#counters.add(counter),
  );
  readonly #updates = new UpdateRequests(this.#transfers, (notice) => this.#post(notice));
  #handler: QueryHandler | undefined;
  #served: SnapshotMessage | undefined;
  #world: World | undefined;
  #snapshot: ServedSnapshot | undefined;
  #signing: SigningMessage | undefined;
  /** Over TCP: served from the next query on, or by the time of the timer. */
  #next: SnapshotMessage | undefined;
  #nextTimer: NodeJS.Timeout | undefined;
  readonly #leaseNow = leaseClock();
  readonly #nowWord = (): number => leaseWord(this.#leaseNow());

  constructor(data: HandlerData, context: HandlerContext) {
    this.#data = data;
    this.#context = context;
    const { cookieSecrets } = data;
    this.#cookies = cookieSecrets === undefined ? undefined : new ServerCookies(cookieSecrets);
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
    if (this.#next !== undefined) this.#serveNext();
    this.#handler?.beginBatch();
  }

  lookAhead(
    input: Uint8Array,
    stride: number,
    lengths: Int32Array,
    count: number,
    source: Uint8Array,
    sourceStarts: Int32Array,
    families: Int32Array,
  ): void {
    this.#handler?.lookAhead(input, stride, lengths, count, source, sourceStarts, families);
  }

  mayLeaveOut(
    input: Uint8Array,
    start: number,
    length: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
  ): boolean {
    const handler = this.#handler;
    return handler?.mayLeaveOut(input, start, length, source, sourceStart, family) ?? false;
  }

  get exempt(): readonly string[] | undefined {
    return this.#data.limit?.exempt;
  }

  setOverloaded(isOverloaded: boolean): void {
    this.#handler?.setOverloaded(isOverloaded);
  }

  filterRefused(): void {
    this.#post({ kind: "unfiltered", worker: this.#context.index });
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

  setChannel(channel: Channel, certificate?: ClientCertificate): void {
    this.#transfers.setChannel(channel, certificate);
  }

  takeStream(): MessageStream | undefined {
    return this.#transfers.takeStream();
  }

  takeLater(): LaterAnswer | undefined {
    return this.#updates.takeLater();
  }

  onMessage(message: unknown): void {
    if (isSnapshotMessage(message)) {
      if (this.#context.role === "udp" || this.#handler === undefined) this.#serve(message);
      else this.#serveSoon(message);
      return;
    }
    // What comes after a snapshot is about that one.
    this.#serveNext();
    if (isCookiesMessage(message)) this.#cookies?.rotate(message.secrets);
    else if (isSigningMessage(message)) this.#sign(message);
    else if (isSecretsMessage(message)) this.#transfers.setSecrets(message.secrets);
    else if (isUpdatedMessage(message)) this.#updates.answer(message);
  }

  rehearse(): void {
    if (this.#served === undefined) return;
    const { world, overlay, slotCount } = this.#served;
    rehearse(World.open(world), new OverlayObserver(overlay, slotCount).moment().slots);
  }

  /** One that comes meanwhile takes its place. */
  #serveSoon(message: SnapshotMessage): void {
    this.#next = message;
    this.#nextTimer ??= setTimeout(() => this.#serveNext(), TCP_PAUSE_MS).unref();
  }

  #serveNext(): void {
    clearTimeout(this.#nextTimer);
    this.#nextTimer = undefined;
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.#serve(next);
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
      new OverlayReader(message.overlay, message.slotCount, index, {
        nowWord: this.#nowWord,
        fenced: (slots) => fencedSlots(world, slots),
      }),
      message.orders,
      this.#snapshot,
    );
    this.#snapshot = served;
    const countedBefore = wordsOf(new Uint32Array(this.#counters.fixedBuffer));
    this.#served = message;
    if (this.#handler === undefined) {
      this.#handler = this.#makeHandler(served);
      if (this.#signing !== undefined) this.#handler.sign(this.#signing);
    } else this.#handler.serve(served);
    this.#post({
      kind: "serving",
      worker: index,
      revision,
      counters: this.#counters.snapshotBuffer,
      countedBefore,
    });
    const before = this.#world;
    this.#world = world;
    if (this.#context.role === "tcp") this.#transfers.served(before, world);
  }

  #sign(message: SigningMessage): void {
    this.#signing = message;
    this.#handler?.sign(message);
    if (this.#context.role === "tcp") this.#transfers.sign(message.materials);
  }

  #makeHandler(served: ServedSnapshot): QueryHandler {
    const { log, kind: _, cookieSecrets: _secrets, limit, ...texts } = this.#data;
    const cookies = this.#cookies;
    const onLimited = (prefix: string, others: number): void =>
      this.#post({ kind: "limited", worker: this.#context.index, prefix, others });
    const ring = this.#log;
    return new QueryHandler(served, {
      ...texts,
      counters: this.#counters,
      topNames: new TopNames(this.#topNames),
      ...(cookies === undefined ? {} : { cookies }),
      ...(limit === undefined || this.#context.role === "tcp"
        ? {}
        : { limiter: new ResponseLimiter({ ...limit, onLimited }) }),
      ...(log !== undefined && ring !== undefined
        ? { log: new QueryLogWriter(ring, log), logEvery: log.every }
        : {}),
      nowMs: () => Date.now(),
      transfers: this.#transfers,
      updates: this.#updates,
    });
  }

  #post(report: HandlerReport | TransferNotice | ZoneNotified | UpdateNotice): void {
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

/** True for what it posts of transfers. */
export function isTransferNotice(message: unknown): message is TransferNotice {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "transfer"
  );
}

/** True for what it posts of secondary zones. */
export function isZoneNotified(message: unknown): message is ZoneNotified {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "zone-notified"
  );
}

/** True for an update that a worker asks to hand on. */
export function isUpdateNotice(message: unknown): message is UpdateNotice {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "update"
  );
}

/** True for what Meridian's own handler posts. */
export function isHandlerReport(message: unknown): message is HandlerReport {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    (message.kind === "buffers" ||
      message.kind === "serving" ||
      message.kind === "limited" ||
      message.kind === "unfiltered" ||
      message.kind === "refused")
  );
}

function isCookiesMessage(message: unknown): message is CookiesMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "cookies"
  );
}

function isSigningMessage(message: unknown): message is SigningMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "signing"
  );
}

function isSecretsMessage(message: unknown): message is SecretsMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "secrets"
  );
}

function isUpdatedMessage(message: unknown): message is UpdatedMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "kind" in message &&
    message.kind === "updated"
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
