// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SipHash } from "./siphash.ts";

describe("SipHash", () => {
  it("gives the result of the paper's example", () => {
    const key = Uint8Array.from({ length: 16 }, (_, index) => index);
    const message = Uint8Array.from({ length: 15 }, (_, index) => index);
    assert.equal(hashOf(key, message), 0xa129ca6149be45e5n);
  });

  it("agrees with its slow twin", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ maxLength: 40 }),
        (key, message) => {
          assert.equal(hashOf(key, message), slowHash(key, message));
        },
      ),
    );
  });
});

function hashOf(key: Uint8Array, message: Uint8Array): bigint {
  const hash = new SipHash();
  hash.run(key, message, message.length);
  return (BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0);
}

/** As the paper writes it down. */
function slowHash(key: Uint8Array, message: Uint8Array): bigint {
  const number = (bytes: Uint8Array): bigint =>
    bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const rotate = (value: bigint, bits: bigint): bigint =>
    BigInt.asUintN(64, (value << bits) | (value >> (64n - bits)));
  const k0 = number(key.subarray(0, 8));
  const k1 = number(key.subarray(8));
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      v0 = BigInt.asUintN(64, v0 + v1);
      v1 = rotate(v1, 13n) ^ v0;
      v0 = rotate(v0, 32n);
      v2 = BigInt.asUintN(64, v2 + v3);
      v3 = rotate(v3, 16n) ^ v2;
      v0 = BigInt.asUintN(64, v0 + v3);
      v3 = rotate(v3, 21n) ^ v0;
      v2 = BigInt.asUintN(64, v2 + v1);
      v1 = rotate(v1, 17n) ^ v2;
      v2 = rotate(v2, 32n);
    }
  };
  const whole = message.length - (message.length % 8);
  const last = new Uint8Array(8);
  last.set(message.subarray(whole));
  last[7] = message.length;
  for (let at = 0; at <= whole; at += 8) {
    const block = number(at === whole ? last : message.subarray(at, at + 8));
    v3 ^= block;
    rounds(2);
    v0 ^= block;
  }
  v2 ^= 0xffn;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}
