// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Client } from "./client.ts";
import { decisionDraw, drawBelow, drawKeeps } from "./draw.ts";

function clientAt(bytes: readonly number[], prefixLength: number): Client {
  const client = new Client();
  client.set(bytes.length === 4 ? 4 : 6, Uint8Array.from(bytes), 0, prefixLength);
  return client;
}

const byte = fc.nat(255);

test("the draw is one for a /24 or a /56, for a window, on every edge", () => {
  fc.assert(
    fc.property(
      fc.array(byte, { minLength: 4, maxLength: 4 }),
      fc.array(byte, { minLength: 16, maxLength: 16 }),
      byte,
      fc.nat(0xffff_ffff),
      fc.nat(2_000_000_000),
      fc.integer({ min: 1, max: 3600 }),
      (ipv4, ipv6, other, nameHash, nowSeconds, window) => {
        const draw = (client: Client, now = nowSeconds): number =>
          decisionDraw(1, nameHash, client, now, window);
        const near4 = [...ipv4.slice(0, 3), other];
        assert.equal(draw(clientAt(ipv4, 32)), draw(clientAt(near4, 24)));
        const near6 = [...ipv6.slice(0, 7), ...ipv6.slice(7).map((own) => own ^ other)];
        assert.equal(draw(clientAt(ipv6, 128)), draw(clientAt(near6, 56)));
        // Windows of a name start where its hash says.
        const start = nowSeconds - ((nowSeconds + (nameHash % window)) % window);
        for (const now of [Math.max(0, start), start + window - 1])
          assert.equal(draw(clientAt(ipv4, 32)), draw(clientAt(ipv4, 32), now));
      },
    ),
  );
});

test("another /24, /56, name or window is another draw", () => {
  const draws = new Set<number>();
  const rounds = 500;
  for (let round = 0; round < rounds; round++) {
    const high = round >>> 8;
    draws.add(decisionDraw(1, 99, clientAt([10, high, round & 255, 1], 32), 5000, 10));
    const ipv6 = [0x20, 1, 0, 0, 0, high, round & 255, ...Array<number>(9).fill(1)];
    draws.add(decisionDraw(1, 99, clientAt(ipv6, 128), 5000, 10));
    draws.add(decisionDraw(1, 1000 + round, clientAt([10, 200, 0, 0], 32), 5000, 10));
    draws.add(decisionDraw(1, 99, clientAt([10, 201, 0, 0], 32), 5000 + 10 * round, 10));
  }
  assert.equal(draws.size, 4 * rounds);
});

test("drawKeeps() keeps its share, drawBelow() is uniform, and places are independent", () => {
  const rounds = 40_000;
  let kept = 0;
  let both = 0;
  const tenths = Array<number>(10).fill(0);
  for (let round = 0; round < rounds; round++) {
    const draw = decisionDraw(1, round, clientAt([192, 0, 2, 0], 24), 0, 1);
    const own = drawKeeps(draw, 5, 0, 300);
    if (own) kept += 1;
    if (own && drawKeeps(draw, 5, 1, 300)) both += 1;
    const tenth = Math.floor(drawBelow(draw, 7, 3, 10));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  assert.ok(Math.abs(kept / rounds - 0.3) < 0.012, `${kept}`);
  assert.ok(Math.abs(both / rounds - 0.09) < 0.008, `${both}`);
  for (const count of tenths) assert.ok(Math.abs(count / rounds - 0.1) < 0.008, `${count}`);
});
