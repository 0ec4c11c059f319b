// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { makeSignatures, SignatureKey, SignatureTable } from "./signature-table.ts";

const SIGNATURE_BYTES = 64;

function keyOf(index: number): SignatureKey {
  const random = new Pcg32(index);
  const key = new SignatureKey();
  for (const word of ["a", "b", "c"] as const) key[word] = random.next32() | 0;
  return key;
}

test("of a table that is half full hardly one signature is lost, and what is found is its own", () => {
  const { guests } = makeSignatures(SIGNATURE_BYTES);
  const table = new SignatureTable(guests, SIGNATURE_BYTES);
  const entries = Math.floor(guests.byteLength / (32 + SIGNATURE_BYTES));
  const kept = 2 ** Math.floor(Math.log2(entries)) / 2;
  const signature = new Uint8Array(SIGNATURE_BYTES);
  const words = new Uint32Array(signature.buffer);
  for (let index = 0; index < kept; index++) {
    words.fill(index);
    table.keep(keyOf(index), signature, index, index + 1, index);
  }
  const copy = new Uint8Array(SIGNATURE_BYTES);
  let lost = 0;
  for (let index = 0; index < kept; index++) {
    if (!table.find(keyOf(index))) {
      lost += 1;
      continue;
    }
    assert.ok(table.copyTo(new DataView(copy.buffer), 0));
    assert.deepEqual([table.inception, table.expiration, table.made], [index, index + 1, index]);
    words.fill(index);
    assert.ok(Buffer.compare(copy, signature) === 0);
  }
  assert.ok(lost < kept / 500, `${lost} of ${kept}`);
  for (let index = kept; index < kept + 1000; index++) assert.ok(!table.find(keyOf(index)));
});
