// SPDX-License-Identifier: Apache-2.0

import type { HandlerBinding } from "@meridian/edge";

const HEADER_BYTES = 12;
const QR_BIT = 0x80;

/** The least that a handler can do: each query goes back with QR set. What is measured is the transport. */
export function createHandler(): HandlerBinding {
  return {
    onMessage: () => undefined,
    handler: {
      beginBatch: () => undefined,
      endBatch: () => undefined,
      handle: (input, start, length, output, outputStart, outputMax) => {
        if (length < HEADER_BYTES || length > outputMax) return 0;
        for (let i = 0; i < length; i += 1) output[outputStart + i] = input[start + i] ?? 0;
        output[outputStart + 2] = (input[start + 2] ?? 0) | QR_BIT;
        return length;
      },
    },
  };
}
