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

import type { Socket } from "node:net";

import type { PacketHandler } from "./packet-handler.ts";
import { writeAddress } from "./transport-address.ts";

const LENGTH_BYTES = 2;
/** A DNS header; nothing shorter is a message. */
const QUERY_BYTES_MIN = 12;
const ANSWER_BYTES_MAX = 65_535;
/** Answers are gathered up to here and then written at once. */
const GATHER_BYTES = 65_536;

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
  readonly onActive: (connection: TcpConnection) => void;
  readonly onClosed: (connection: TcpConnection) => void;
  readonly onInvalid: () => void;
}

export class TcpConnection {
  /** The client's address, 4 or 16 bytes of it in use. */
  readonly source: Uint8Array = new Uint8Array(16);
  readonly family: 0 | 4 | 6;
  /** When the last whole query came, in milliseconds of performance.now(). */
  activeAt: number;
  readonly #options: TcpConnectionOptions;
  readonly #socket: Socket;
  #pending: Uint8Array = new Uint8Array(0);
  #isHeld = false;
  #isEnding = false;

  constructor(options: TcpConnectionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.activeAt = performance.now();
    this.family = writeAddress(options.socket.remoteAddress ?? "", this.source, 0);
  }

  /** Begins to read. */
  start(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    socket.on("drain", () => this.#release());
    // A client may send its queries, close its half, and still wait for the answers.
    socket.on("end", () => this.end());
    // A reset by the client; "close" follows.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#options.onClosed(this));
  }

  /** Writes what is pending, then closes. */
  end(): void {
    this.#isEnding = true;
    if (!this.#isHeld) this.#socket.destroySoon();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #take(chunk: Uint8Array): void {
    if (this.#isEnding) return;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    if (!this.#isHeld) this.#answer();
  }

  /** The client read on: take up where it had stopped. */
  #release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#answer();
    if (this.#isHeld) return;
    if (this.#isEnding) this.#socket.destroySoon();
    else this.#socket.resume();
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
    handler.beginBatch();
    while (start + LENGTH_BYTES <= bytes.length) {
      const length = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
      isInvalid = length < QUERY_BYTES_MIN || length > queryBytesMax;
      if (isInvalid || start + LENGTH_BYTES + length > bytes.length) break;
      gathered += this.#handle(bytes, start + LENGTH_BYTES, length, gathered);
      start += LENGTH_BYTES + length;
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
    if (start > 0) this.#options.onActive(this);
    if (isInvalid) this.#refuse();
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
