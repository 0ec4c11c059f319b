// SPDX-License-Identifier: Apache-2.0

// The ordinary handler, which for some names does what no handler should: `throw`, `exit` or `hoard` as the first label.

import {
  queryHandlerModule,
  type HandlerBinding,
  type HandlerContext,
  type HandlerModule,
} from "@meridian/edge";

const ordinary: HandlerModule = await import(queryHandlerModule.href);

export const misdeeds = ["throw", "exit", "hoard"] as const;
export type Misdeed = (typeof misdeeds)[number];

const NAME_AT = 12;
const encoder = new TextEncoder();
const labels = misdeeds.map((misdeed) => ({
  misdeed,
  bytes: [misdeed.length, ...encoder.encode(misdeed)],
}));

/** Kept where the collector cannot take it. */
const hoard: number[][] = [];

function commit(misdeed: Misdeed): void {
  if (misdeed === "throw") throw new Error("Misbehaving, as asked");
  if (misdeed === "exit") process.exit(3);
  // In pieces that go straight into the old generation, so that the end comes soon.
  for (;;) hoard.push(Array<number>(1_000_000).fill(hoard.length + 0.5));
}

export async function createHandler(
  data: unknown,
  context: HandlerContext,
): Promise<HandlerBinding> {
  const binding = await ordinary.createHandler(data, context);
  const { handler } = binding;
  return {
    onMessage: (message) => binding.onMessage(message),
    handler: {
      beginBatch: () => handler.beginBatch(),
      endBatch: () => handler.endBatch(),
      handle: (input, start, length, ...rest) => {
        const asked = labels.find(({ bytes }) =>
          bytes.every((byte, index) => input[start + NAME_AT + index] === byte),
        );
        if (asked !== undefined) commit(asked.misdeed);
        return handler.handle(input, start, length, ...rest);
      },
    },
  };
}
