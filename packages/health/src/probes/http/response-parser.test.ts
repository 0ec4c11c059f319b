// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HTTP_BODY_WINDOW_BYTES } from "../../limits.ts";
import { ResponseParser, type ResponseInterest } from "./response-parser.ts";

const interest: ResponseInterest = { isHead: false, body: true, header: "x-load", drain: true };

interface Outcome {
  readonly progress: string;
  readonly status: number;
  readonly problem: string;
  readonly body: string;
  readonly header: string;
  readonly isReusable: boolean;
}

function parse(pieces: readonly Uint8Array[]): Outcome {
  const parser = new ResponseParser(interest);
  parser.reset();
  let progress: string = "more";
  for (const piece of pieces) progress = parser.push(piece, 0, piece.length);
  if (progress === "more") progress = parser.end();
  return {
    progress,
    status: parser.status,
    problem: parser.problem,
    body: Buffer.from(parser.window.subarray(0, parser.windowLength)).toString("latin1"),
    header: parser.headerValue,
    isReusable: parser.isReusable,
  };
}

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort(
    (a, b) => a - b,
  );
  const bounds = [0, ...sorted, bytes.length];
  return bounds.slice(1).map((end, index) => bytes.slice(bounds[index], end));
}

const bodyArbitrary = fc
  .string({ maxLength: 300 })
  .map((text) => Buffer.from(text).toString("latin1"));

const messageArbitrary = fc
  .record({
    status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
    body: bodyArbitrary,
    framing: fc.constantFrom("length", "chunks", "close"),
    load: fc.stringMatching(/^[a-z0-9=,.]{0,30}$/),
  })
  .map(({ status, body, framing, load }) => {
    const head = `HTTP/1.1 ${status} Reason\r\nServer: x\r\nX-Load: ${load}\r\n`;
    const chunk = body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
    const rest = {
      length: `Content-Length: ${body.length}\r\n\r\n${body}`,
      chunks: `Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\nTrailer: y\r\n\r\n`,
      close: `\r\n${body}`,
    }[framing];
    const bytes = Buffer.from(head + rest, "latin1");
    return { bytes, expected: { status, body, header: load, isReusable: framing !== "close" } };
  });

test("ResponseParser reads a message alike however it is cut", () => {
  fc.assert(
    fc.property(messageArbitrary, fc.array(fc.nat()), ({ bytes, expected }, places) => {
      const outcome = parse(cut(bytes, places));
      assert.deepEqual(outcome, { progress: "complete", problem: "", ...expected });
    }),
    { numRuns: 500 },
  );
});

test("ResponseParser never throws, keeps its bounds and ends alike however bytes are cut", () => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .array(
        fc.constantFrom(
          "HTTP/1.1 ",
          "200",
          " ",
          "\r\n",
          "\n",
          ":",
          "Content-Length: 5",
          "\r\n\r\n",
          "Transfer-Encoding: chunked",
          "ffffffff",
          "5",
          "x",
        ),
        { maxLength: 20 },
      )
      .map((parts) => Buffer.from(`HTTP/1.1 200 OK\r\n${parts.join("")}`)),
  );
  fc.assert(
    fc.property(noise, fc.array(fc.nat()), (bytes, places) => {
      const whole = parse([bytes]);
      assert.ok(whole.body.length <= HTTP_BODY_WINDOW_BYTES);
      assert.deepEqual(parse(cut(bytes, places)), whole);
    }),
    { numRuns: 1000 },
  );
});
