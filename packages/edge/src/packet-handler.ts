// SPDX-License-Identifier: Apache-2.0

/**
 * The seam between sockets and answers. A transport owns buffers and system calls and knows no DNS; a handler knows
 * DNS and never sees a socket. Everything is a byte range or a small integer, so nothing is allocated per query.
 */

import type { ClientCertificate } from "./client-certificate.ts";

/** An answer of several messages, taken one by one as the client reads them. */
export interface MessageStream {
  /** The next whole message; undefined after the last. */
  next(): Uint8Array | undefined;
  /** No more are taken. Idempotent. */
  close(): void;
}

/** An answer that is not ready when `handle()` returns. */
export interface LaterAnswer {
  /** `send` is called at most once, with a whole message, in the thread that was given the packet. */
  whenAnswered(send: (message: Uint8Array) => void): void;
}

/** How packets come: in the clear, inside TLS, or inside TLS in which zones may be sent (1.3, agreed on as "dot": RFC 9103 §7). */
export type Channel = "clear" | "tls" | "xot";

/** What a transport calls; one per worker thread. Never throws on packet content. */
export interface PacketHandler {
  /** Before the packets of a batch: adopts the newest overlay bank (hazard protocol inside). */
  beginBatch(): void;

  /**
   * After `beginBatch()`, the packets that will be handled, all at once: packet `i` is `lengths[i]` bytes at `input[i × stride]`, and its
   * client's address lies at `source[sourceStarts[i]]`. A handler may have them load what they will need; it answers none of them here.
   */
  lookAhead?(
    input: Uint8Array,
    stride: number,
    lengths: Int32Array,
    count: number,
    source: Uint8Array,
    sourceStarts: Int32Array,
    families: Int32Array,
  ): void;

  /**
   * While more comes than can be answered: whether a packet may be left out, as nobody vouches for its sender. `handle()` is not called then.
   */
  mayLeaveOut?(
    input: Uint8Array,
    start: number,
    length: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
  ): boolean;

  /**
   * Prefixes from which no packet may be left out: the transport may have the kernel leave out others that have no whole cookie (RFC 9018), as
   * `mayLeaveOut()` would. Undefined where only that can tell.
   */
  readonly exempt?: readonly string[] | undefined;

  /** Between batches: whether more comes than can be answered. Not called where nothing changes. */
  setOverloaded?(isOverloaded: boolean): void;

  /** The kernel was to leave out packets and does not: they are read first. At most once. */
  filterRefused?(): void;

  /** After the batch, before blocking: marks this worker idle so that the overlay writer need not wait for it. */
  endBatch(): void;

  /**
   * Answers one query: `input[start, start + length)` is the message as received (0 ≤ length ≤ 65,535, any content).
   *
   * Returns the number of bytes written from `output[outputStart]` on, at most `outputMax`; 0 is silence. The client's
   * address lies at `source[sourceStart]`: 4 bytes for family 4, 16 bytes for family 6, in network order. `output`
   * and `source` belong to the transport and must not be kept.
   */
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
  ): number;

  /** Before the packets of a connection: how all come that follow, until it is called again. "clear" at first. */
  setChannel?(channel: Channel, certificate?: ClientCertificate): void;

  /** After `handle()` of a packet over TCP: what is sent in place of what it wrote, if anything. */
  takeStream?(): MessageStream | undefined;

  /** After `handle()` that returned 0: the answer may come later. */
  takeLater?(): LaterAnswer | undefined;
}

/** What a worker tells a handler about where it runs. */
export interface HandlerContext {
  /** 0 ≤ index < `Edge.handlerCount`; stable over restarts of that worker. Counters and hazard slots use it. */
  readonly index: number;
  /** UDP workers come first (0 to workers − 1), then one TCP worker. */
  readonly role: "udp" | "tcp";
  /** Sends a message to `onMessage` of the edge's owner, in the main thread. Must be structured-cloneable. */
  readonly post: (message: unknown) => void;
}

/** What `createHandler` returns. */
export interface HandlerBinding {
  readonly handler: PacketHandler;
  /** Takes what `Edge.post` was given, in order, between batches. Throwing replaces the worker. */
  onMessage(message: unknown): void;
  /** Called before the first packet where another process answers meanwhile: what is slow at first may be done till it is quick. Blocks. */
  rehearse?(): void;
}

/**
 * A handler module: what `EdgeOptions.handlerModule` names. It is imported in each worker and called once there, with
 * `EdgeOptions.handlerData`. Messages posted before the worker started are delivered before its first packet.
 */
export interface HandlerModule {
  createHandler(data: unknown, context: HandlerContext): HandlerBinding | Promise<HandlerBinding>;
}
