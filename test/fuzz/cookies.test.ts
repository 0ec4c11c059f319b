// SPDX-License-Identifier: Apache-2.0

// Server cookies and PROXY headers, each against a slow and obvious twin of the rules that decide.

import assert from "node:assert/strict";
import { Pcg32 } from "@meridian/core";
import { ServerCookies } from "@meridian/edge";
import {
  NOT_PROXIED,
  PROXY_INCOMPLETE,
  ProxyHeader,
} from "../../packages/edge/src/proxy-header.ts";
import { Choices } from "./choices.ts";
import { fuzz } from "./fuzzer.ts";

const NOW = 1_700_000_000;
const HOUR = 3600;
const AHEAD_MAX = 300;
const GUARD = 0xa5;
const secretOf = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);
const random = new Pcg32(2);
const seeds = Array.from({ length: 32 }, () =>
  Uint8Array.from({ length: 40 }, () => random.next32() & 0xff),
);

fuzz({
  name: "cookies",
  seeds,
  run: (input) => {
    const choices = new Choices(input);
    const client = choices.bytes(8);
    const address = choices.bytes(choices.of([4, 16]));
    const age = choices.of([0, 1799, 1801, HOUR, HOUR + 1, -AHEAD_MAX, -AHEAD_MAX - 1]);
    const maker = choices.below(3);
    const made = cookieOf(new ServerCookies([secretOf(maker)]), client, 0, address, NOW - age);
    const isTouched = choices.isOneIn(3);
    const at = choices.below(24);
    // Bytes 9 to 11 are reserved, and covered by the hash as they are.
    if (isTouched) made[at] = (made[at] ?? 0) ^ (1 + choices.below(255));
    const length = choices.isOneIn(6) ? choices.below(41) : 24;
    const taken = [choices.below(4), choices.below(4)];
    const isOthers = choices.isOneIn(4);
    const asker = isOthers ? address.map((byte) => byte ^ 0x80) : address;
    const isGood =
      !isTouched &&
      !isOthers &&
      length === 24 &&
      taken.includes(maker) &&
      age <= HOUR &&
      age >= -AHEAD_MAX;
    const cookies = new ServerCookies(taken.map(secretOf));
    const option = new Uint8Array(64).fill(GUARD);
    option.set(made, 3);
    const family = address.length === 4 ? 4 : 6;
    assert.equal(cookies.check(option, 3, length, asker, 0, family, NOW), isGood);
    // What is answered, be it the same cookie again, is good for who asked.
    const answer = cookieOf(cookies, option, 3, asker, NOW);
    const others = new ServerCookies(taken.map(secretOf));
    assert.ok(others.check(answer, 0, 24, asker, 0, family, NOW));
    assert.deepEqual(answer.subarray(0, 8), option.slice(3, 11));
  },
});

function cookieOf(
  cookies: ServerCookies,
  client: Uint8Array,
  at: number,
  address: Uint8Array,
  seconds: number,
): Uint8Array {
  const output = new Uint8Array(40).fill(GUARD);
  cookies.write(output, 8, client, at, address, 0, address.length === 4 ? 4 : 6, seconds);
  assert.ok(output.subarray(0, 8).every((byte) => byte === GUARD));
  assert.ok(output.subarray(32).every((byte) => byte === GUARD));
  return output.slice(8, 32);
}

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
const LENGTH_MAX = 1024;

fuzz({
  name: "proxy-header",
  seeds,
  run: (input) => {
    const choices = new Choices(input);
    const family = choices.of([0x11, 0x12, 0x21, 0x22, 0x31, 0x00]);
    const own = choices.of([12, 36, 216, 0, 11, 35, 1024, 1025, 65_535]);
    const length = choices.isOneIn(8) ? choices.u16() : own;
    const made = Buffer.concat([
      Buffer.from(SIGNATURE, "latin1"),
      Uint8Array.of(choices.of([0x21, 0x20, 0x22, 0x11]), family, length >> 8, length),
      choices.bytes(Math.min(length, choices.isOneIn(8) ? choices.below(40) : 2048)),
      choices.bytes(choices.below(20)),
    ]);
    if (choices.isOneIn(4)) made[choices.below(16)] = choices.byte();
    const bytes = made.subarray(0, choices.isOneIn(4) ? choices.below(60) : made.length);
    const header = new ProxyHeader();
    const padded = Buffer.concat([Buffer.alloc(5, GUARD), bytes, Buffer.alloc(40, GUARD)]);
    const read = header.read(padded, 5, 5 + bytes.length);
    const found =
      read < 0
        ? read
        : {
            read,
            family: header.family,
            ...(header.family === 0 ? {} : { at: header.sourceStart }),
          };
    assert.deepEqual(found, twin(bytes));
  },
});

/** Section 2.2 of the protocol, word by word. */
function twin(bytes: Buffer): object | number {
  const signature = Buffer.from(SIGNATURE, "latin1");
  if (Buffer.compare(bytes.subarray(0, 12), signature.subarray(0, bytes.length)) !== 0)
    return NOT_PROXIED;
  if (bytes.length < 16) return PROXY_INCOMPLETE;
  const [command, family, length] = [bytes[12] ?? 0, bytes[13] ?? 0, bytes.readUInt16BE(14)];
  if (command >> 4 !== 2 || length > LENGTH_MAX) return NOT_PROXIED;
  if (bytes.length < 16 + length) return PROXY_INCOMPLETE;
  const read = 16 + length;
  if (command === 0x20) return { read, family: 0 };
  if (command !== 0x21) return NOT_PROXIED;
  if (family >> 4 === 1 && length >= 12) return { read, family: 4, at: 21 };
  if (family >> 4 === 2 && length >= 36) return { read, family: 6, at: 21 };
  return NOT_PROXIED;
}
