// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { formatName, parseName } from "@meridian/dns";
import { QueryName } from "@meridian/snapshot";
import { TOP_NAMES_BYTES, TopNames, topNames } from "./top-names.ts";

function ask(sketch: TopNames, name: QueryName, text: string): void {
  const wire = parseName(text);
  assert.ok(wire instanceof Uint8Array);
  name.set(wire, 0, wire.length, 12);
  sketch.note(name);
}

test("topNames() finds the most asked names among many, summed over workers", () => {
  const buffers = [new SharedArrayBuffer(TOP_NAMES_BYTES), new SharedArrayBuffer(TOP_NAMES_BYTES)];
  const sketches = buffers.map((buffer) => new TopNames(buffer));
  const name = new QueryName(0);
  const random = new Pcg32(5);
  const rounds = 40_000;
  for (let round = 0; round < rounds; round++) {
    const sketch = sketches[round & 1];
    assert.ok(sketch !== undefined);
    const roll = random.next32() % 100;
    const text =
      roll < 20
        ? "first.example."
        : roll < 30
          ? "Second.example."
          : `n${random.next32() % 5000}.example.`;
    ask(sketch, name, text);
  }
  const [first, second] = topNames(buffers, 2);
  assert.equal(formatName(first?.name ?? new Uint8Array(1)), "first.example.");
  assert.equal(formatName(second?.name ?? new Uint8Array(1)), "second.example.");
  const count = first?.count ?? 0;
  const error = first?.error ?? 0;
  assert.ok(count >= rounds * 0.17 && count - error <= rounds * 0.23, `${count} ± ${error}`);
});

test("a sampled query counts for those that were not looked at", () => {
  const buffer = new SharedArrayBuffer(TOP_NAMES_BYTES);
  const sketch = new TopNames(buffer);
  const name = new QueryName(0);
  for (let round = 0; round < 10_000; round++) ask(sketch, name, "only.example.");
  const [only] = topNames([buffer], 5);
  assert.ok(
    only !== undefined && only.error === 0 && Math.abs(only.count - 10_000) <= 64,
    `${only?.count}`,
  );
});
