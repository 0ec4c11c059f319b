// SPDX-License-Identifier: Apache-2.0

/**
 * A handler module for tests and the echo benchmark: sends each query back with QR set. Some first bytes after the
 * header are commands, so that tests can look inside and break a worker from outside.
 */

import type { HandlerBinding, HandlerContext, PacketHandler } from "../packet-handler.ts";

const HEADER_BYTES = 12;

/** What byte 12 of a query asks for. */
export const ECHO_COMMANDS = {
  echo: 0,
  /** Answer with: worker index, family, isTcp, batch count so far, last posted value, then the source address. */
  inspect: 1,
  silence: 2,
  throw: 3,
  exit: 4,
  exhaustMemory: 5,
  /** Answer with as many bytes as the next two bytes say. */
  long: 6,
} as const;

export interface EchoMessage {
  readonly kind: "value";
  readonly value: number;
}

export function createHandler(_data: unknown, context: HandlerContext): HandlerBinding {
  const handler = new EchoHandler(context);
  return {
    handler,
    onMessage: (message) => {
      if (isEchoMessage(message)) {
        handler.value = message.value;
        context.post({ kind: "value", value: message.value });
      }
    },
  };
}

class EchoHandler implements PacketHandler {
  value = 0;
  readonly #index: number;
  #isInBatch = false;

  constructor(context: HandlerContext) {
    this.#index = context.index;
  }

  beginBatch(): void {
    if (this.#isInBatch) throw new Error("beginBatch() within a batch");
    this.#isInBatch = true;
  }

  endBatch(): void {
    this.#isInBatch = false;
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
    if (length < HEADER_BYTES) return 0;
    const command = input[start + HEADER_BYTES] ?? 0;
    const answerLength = command === ECHO_COMMANDS.long ? readLong(input, start) : length;
    const end = Math.min(answerLength, outputMax, 65_535);
    for (let i = 0; i < end; i += 1) output[outputStart + i] = input[start + (i % length)] ?? 0;
    output[outputStart + 2] = (output[outputStart + 2] ?? 0) | 0x80;
    if (command === ECHO_COMMANDS.echo || command === ECHO_COMMANDS.long) return end;
    if (command === ECHO_COMMANDS.inspect) {
      const address = source.subarray(sourceStart, sourceStart + (family === 4 ? 4 : 16));
      output.set([this.#index, family, Number(isTcp), this.value, ...address], outputStart + 13);
      return 17 + address.length;
    }
    if (command === ECHO_COMMANDS.throw) throw new Error("asked to throw");
    if (command === ECHO_COMMANDS.exit) process.exit(3);
    if (command === ECHO_COMMANDS.exhaustMemory) exhaustMemory();
    return 0;
  }
}

function readLong(input: Uint8Array, start: number): number {
  return ((input[start + 13] ?? 0) << 8) | (input[start + 14] ?? 0);
}

function exhaustMemory(): never {
  const kept: number[][] = [];
  for (;;) kept.push(new Array<number>(100_000).fill(kept.length));
}

function isEchoMessage(message: unknown): message is EchoMessage {
  return (
    typeof message === "object" &&
    message !== null &&
    "value" in message &&
    typeof message.value === "number"
  );
}
