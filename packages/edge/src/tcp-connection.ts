// SPDX-License-Identifier: Apache-2.0

/**
 * One DNS connection (RFC 7766): messages framed by a length of two bytes, any number in one segment or one in many.
 *
 *   bytes in ──► #pending ──► whole frames ──► handler ──► answers, framed, in one write ──► bytes out
 *                   ▲                                                                           │
 *                   └────────── reading stops while the client leaves answers unread ◄──────────┘
 *
 * Queries are answered in the order they came, since answering never waits. What a client can make this process hold
 * is bounded: one incomplete frame, what one read brought, and `pendingBytesMax` of answers.
 */

import type { ClientCertificate } from "./client-certificate.ts";
import type { Socket } from "node:net";

import type { Channel, LaterAnswer, MessageStream, PacketHandler } from "./packet-handler.ts";
import { writeAddress } from "./transport-address.ts";

const LENGTH_BYTES = 2;
/** A DNS header; nothing shorter is a message. */
const QUERY_BYTES_MIN = 12;
const ANSWER_BYTES_MAX = 65_535;
/** Answers are gathered up to here and then written at once. */
const GATHER_BYTES = 65_536;
/** A stream holds the event loop no longer than about this at a time. */
const STREAM_SLICE_MS = 1;

/** Memory that all connections of a server use in turn; nothing in it outlives one call. */
export class TcpScratch {
  readonly bytes: Uint8Array = new Uint8Array(GATHER_BYTES + LENGTH_BYTES + ANSWER_BYTES_MAX);
}

export interface TcpConnectionOptions {
  readonly socket: Socket;
  readonly handler: PacketHandler;
  readonly scratch: TcpScratch;
  readonly queryBytesMax: number;
  readonly pendingBytesMax: number;
  /** Called for each run of whole queries. */
  readonly onActive: () => void;
  readonly onInvalid: () => void;
  /** How it comes. */
  readonly channel: Channel;
  /** What the client has shown, where it is inside TLS. */
  readonly certificate?: ClientCertificate | undefined;
  /** Who is at the other end, where the socket's own peer only speaks for it. */
  readonly client?: ClientAddress;
}

/** A client's address: 4 or 16 bytes of `source` in use; family 0 where it is none. */
export interface ClientAddress {
  readonly source: Uint8Array;
  readonly family: 0 | 4 | 6;
}

/** The other end of a socket. */
export function peerOf(socket: Socket): ClientAddress {
  const source = new Uint8Array(16);
  return { source, family: writeAddress(socket.remoteAddress ?? "", source, 0) };
}

export class TcpConnection {
  /** The client's address, 4 or 16 bytes of it in use. */
  readonly source: Uint8Array;
  readonly family: 0 | 4 | 6;
  readonly #options: TcpConnectionOptions;
  readonly #socket: Socket;
  #pending: Uint8Array = new Uint8Array(0);
  #isHeld = false;
  /** Being sent; queries that come meanwhile wait. */
  #stream: MessageStream | undefined;
  #isEnding = false;
  /** Answers that come later. */
  #owed = 0;

  constructor(options: TcpConnectionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    const { source, family } = options.client ?? peerOf(options.socket);
    this.source = source;
    this.family = family;
  }

  /** Begins to read. */
  start(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    // One whose first bytes were a proxy's was paused behind them.
    socket.resume();
    socket.on("drain", () => this.#release());
    // A client may send its queries, close its half, and still wait for the answers.
    socket.on("end", () => this.end());
    // A reset by the client; "close" follows.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#stream?.close();
      this.#stream = undefined;
    });
  }

  /** Writes what is pending, then closes. */
  end(): void {
    this.#isEnding = true;
    if (!this.#isHeld && this.#stream === undefined) this.#finish();
  }

  #finish(): void {
    if (this.#owed === 0) this.#socket.destroySoon();
  }

  #answerLater(later: LaterAnswer): void {
    this.#owed += 1;
    later.whenAnswered((message) => {
      this.#owed -= 1;
      if (this.#socket.destroyed) return;
      this.#options.onActive();
      this.#socket.write(framed(message));
      if (this.#isEnding && !this.#isHeld && this.#stream === undefined) this.#finish();
    });
  }

  #take(chunk: Uint8Array): void {
    if (this.#isEnding) return;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    if (!this.#isHeld && this.#stream === undefined) this.#answer();
    // Enough that waits behind a stream.
    if (this.#stream !== undefined && this.#pending.length > this.#options.pendingBytesMax)
      this.#socket.destroy();
  }

  /** The client read on: take up where it had stopped. */
  #release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (this.#stream === undefined) this.#answer();
    else this.#send(this.#stream);
    if (this.#isHeld || this.#stream !== undefined) return;
    if (this.#isEnding) this.#finish();
    else this.#socket.resume();
  }

  /** Sends a stream for a moment, then lets others have their turn; goes on where it stopped, as the client reads. */
  #send(stream: MessageStream): void {
    const socket = this.#socket;
    const until = performance.now() + STREAM_SLICE_MS;
    const most = Math.max(this.#options.pendingBytesMax, socket.writableHighWaterMark);
    this.#options.onActive();
    for (;;) {
      if (socket.destroyed) return;
      const message = stream.next();
      if (message === undefined) break;
      socket.write(framed(message));
      if (socket.writableLength > most) {
        this.#hold();
        return;
      }
      if (performance.now() >= until) {
        setImmediate(() => this.#goOn());
        return;
      }
    }
    this.#stream = undefined;
    // What came behind it, in a turn of its own.
    if (this.#pending.length > 0 || this.#isEnding) setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    if (this.#isHeld || this.#socket.destroyed) return;
    if (this.#stream === undefined) this.#answer();
    else this.#send(this.#stream);
    const isDone = this.#stream === undefined && this.#pending.length === 0;
    if (isDone && this.#isEnding && !this.#isHeld) this.#finish();
  }

  /** Answers the whole frames of #pending, until none is left or the client has enough to read. */
  #answer(): void {
    const { handler, queryBytesMax } = this.#options;
    // "drain" comes only after a write past the high-water mark, so holding starts no earlier.
    const pendingBytesMax = Math.max(
      this.#options.pendingBytesMax,
      this.#socket.writableHighWaterMark,
    );
    const bytes = this.#pending;
    let start = 0;
    let gathered = 0;
    let isInvalid = false;
    handler.setChannel?.(this.#options.channel, this.#options.certificate);
    handler.beginBatch();
    while (start + LENGTH_BYTES <= bytes.length) {
      const length = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
      isInvalid = length < QUERY_BYTES_MIN || length > queryBytesMax;
      if (isInvalid || start + LENGTH_BYTES + length > bytes.length) break;
      const answered = this.#handle(bytes, start + LENGTH_BYTES, length, gathered);
      start += LENGTH_BYTES + length;
      this.#stream = handler.takeStream?.();
      const later = answered === 0 ? handler.takeLater?.() : undefined;
      if (later !== undefined) this.#answerLater(later);
      if (this.#stream !== undefined) break;
      gathered += answered;
      if (gathered >= GATHER_BYTES) gathered = this.#write(gathered);
      if (this.#socket.writableLength + gathered > pendingBytesMax) {
        this.#hold();
        break;
      }
    }
    handler.endBatch();
    this.#write(gathered);
    // A copy: what is left is small, and the chunk that it came in may be large.
    this.#pending = start === bytes.length ? new Uint8Array(0) : bytes.slice(start);
    if (start > 0) this.#options.onActive();
    if (isInvalid) this.#refuse();
    else if (this.#stream !== undefined) this.#send(this.#stream);
  }

  /** Writes one framed answer to the scratch memory at `gathered`; returns its length with the frame's, 0 = silence. */
  #handle(bytes: Uint8Array, start: number, length: number, gathered: number): number {
    const { handler, scratch } = this.#options;
    const output = scratch.bytes;
    const answerStart = gathered + LENGTH_BYTES;
    const answerLength = handler.handle(
      bytes,
      start,
      length,
      output,
      answerStart,
      ANSWER_BYTES_MAX,
      this.source,
      0,
      this.family,
      true,
    );
    if (answerLength <= 0) return 0;
    output[gathered] = answerLength >>> 8;
    output[gathered + 1] = answerLength & 255;
    return LENGTH_BYTES + answerLength;
  }

  /** Writes what was gathered; returns how much is gathered then. */
  #write(gathered: number): 0 {
    if (gathered > 0)
      this.#socket.write(Buffer.from(this.#options.scratch.bytes.subarray(0, gathered)));
    return 0;
  }

  #hold(): void {
    this.#isHeld = true;
    this.#socket.pause();
  }

  #refuse(): void {
    this.#options.onInvalid();
    this.#isEnding = true;
    this.#pending = new Uint8Array(0);
    this.#socket.pause();
    this.#socket.destroySoon();
  }
}

function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(LENGTH_BYTES + message.length);
  frame[0] = message.length >>> 8;
  frame[1] = message.length;
  frame.set(message, LENGTH_BYTES);
  return frame;
}
