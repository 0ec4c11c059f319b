// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeMessage, makeQuery, RRType } from "@meridian/dns";
import { loadNative, TURN_POLL } from "@meridian/native";
import { FILTER_PARTS, unprovenFilter } from "./unproven-filter.ts";

const loaded = loadNative();
const skip = loaded.kind === "missing" ? loaded.reason : false;
const name = Uint8Array.of(4, 103, 111, 110, 101, 4, 116, 101, 115, 116, 0);
const plain = encodeMessage(makeQuery(name, RRType.A, { edns: { udpSize: 1232, do: true } }));

/** With options behind its OPT record, which is its last. */
function withOptions(...options: readonly (readonly number[])[]): Uint8Array {
  const all = options.flat();
  const packet = Uint8Array.from([...plain, ...all]);
  packet[plain.length - 1] = all.length;
  return packet;
}

/** No instruction begins so. */
const NO_CODE = 0xff;
const LOAD_WORD = 0x20;
const RETURN = 0x06;
const cookie = [0, 10, 0, 24, ...Array.from({ length: 24 }, (_, index) => index)];
const halfCookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
const subnet = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];

/** Which packets a socket at an address is given, each sent so often, after it was given these programs. */
async function arrive(
  address: string,
  programs: readonly Uint8Array[],
  packets: readonly Uint8Array[],
  times: number,
): Promise<readonly number[]> {
  assert.ok(loaded.kind === "loaded");
  const { native } = loaded;
  const fd = native.openUdp(address, 0, 0, 4 << 20, 50);
  const batch = native.createBatch([fd], 64, 4096, 512);
  for (const program of programs) {
    const [code = 0] = program;
    assert.equal(batch.filter(program), code === NO_CODE ? 0 : 1);
  }
  const client = createSocket(address.includes(":") ? "udp6" : "udp4").bind(0, address);
  await once(client, "listening");
  const port = native.socketPort(fd);
  const lengths = new Int32Array(batch.meta).subarray(0, 64);
  const found = packets.map(() => 0);
  const take = (): void => {
    for (let count = batch.turn(0, TURN_POLL); count > 0; count = batch.turn(0, TURN_POLL))
      for (const length of lengths.subarray(0, count)) {
        const index = packets.findIndex((packet) => packet.length === length);
        if (index >= 0) found[index]! += 1;
      }
  };
  // On loopback a packet is in the receiver's queue when it was sent.
  for (let sent = 0; sent < times; sent += 1) {
    for (const packet of packets)
      await new Promise((resolve) => client.send(packet, port, address, resolve));
    take();
  }
  assert.equal(batch.filter(new Uint8Array(0)), 1);
  await new Promise((resolve) => client.send(Uint8Array.of(1), port, address, resolve));
  assert.equal(batch.turn(0, TURN_POLL), 1, "nothing is filtered any more");
  client.close();
  native.closeSocket(fd);
  return found;
}

test("who has a whole cookie is let in, whatever is beside it", { skip }, async () => {
  const proven = [cookie, [...subnet, ...cookie], [...cookie, ...subnet, 0, 3, 0, 0]];
  const unproven = [[], halfCookie, [...halfCookie, 0, 3, 0, 0]];
  const packets = [...proven, ...unproven].map((options) => withOptions(options));
  packets.push(Uint8Array.of(1, 2, 3), new Uint8Array(600));
  for (const [labels, more] of [
    [34, cookie],
    [34, halfCookie],
    [41, []],
  ] as const)
    packets.push(Uint8Array.from([...withLabels(labels), 0, more.length, ...more]));
  const found = await arrive("127.0.0.1", [unprovenFilter(FILTER_PARTS, [])], packets, 3);
  assert.deepEqual(found, [3, 3, 3, 0, 0, 0, 0, 0, 3, 0, 3]);
});

/** A query for a name of so many labels with an OPT record, but for the length of its options and them. */
function withLabels(count: number): readonly number[] {
  const long = Uint8Array.from([...Array.from({ length: count }, () => [1, 97]).flat(), 0]);
  return [...encodeMessage(makeQuery(long, RRType.A, { edns: { udpSize: 1232 } }))].slice(0, -2);
}

test("prefixes that are never limited are let in", { skip }, async () => {
  const of = async (address: string, ...exempt: readonly string[]): Promise<number> =>
    (await arrive(address, [unprovenFilter(FILTER_PARTS, exempt)], [plain], 1))[0] ?? 0;
  assert.equal(await of("127.0.0.1", "2001:db8::/32", "192.0.2.0/24"), 0);
  assert.equal(await of("127.0.0.1", "2001:db8::/32", "127.0.0.0/9"), 1);
  assert.equal(await of("127.0.0.1", "127.128.0.0/9"), 0);
  assert.equal(await of("127.0.0.1", "::/0"), 0);
  assert.equal(await of("127.0.0.1", "0.0.0.0/0"), 1);
  assert.equal(await of("::1", "127.0.0.0/8", "::/127"), 1);
  assert.equal(await of("::1", "::2/127", "0.0.0.0/0"), 0);
});

test("a level leaves out as many of 64", { skip }, async () => {
  assert.deepEqual(await arrive("127.0.0.1", [unprovenFilter(0, [])], [plain], 20), [20]);
  const [kept = 0] = await arrive(
    "127.0.0.1",
    [unprovenFilter(FILTER_PARTS / 2, [])],
    [plain],
    500,
  );
  // Ten standard deviations: once in 10^23.
  assert.ok(kept > 138 && kept < 362, `${kept} of 500`);
});

test(
  "another program takes the place of one, and of none is left where the kernel refuses it",
  { skip },
  async () => {
    const of = async (...programs: readonly Uint8Array[]): Promise<number> =>
      (await arrive("127.0.0.1", programs, [plain], 3))[0] ?? 0;
    const all = unprovenFilter(FILTER_PARTS, []);
    assert.equal(await of(unprovenFilter(0, []), all), 0);
    assert.equal(await of(all, new Uint8Array(8).fill(NO_CODE)), 3);
    // Of which there is room for one: a load takes 112 bytes on x86, and some more elsewhere.
    const roomBytes = Number(readFileSync("/proc/sys/net/core/optmem_max", "utf8"));
    const large = new Uint8Array((Math.min(4095, Math.floor((roomBytes * 0.6) / 112)) + 1) * 8);
    for (let at = 0; at < large.length; at += 8) large[at] = LOAD_WORD;
    large[large.length - 8] = RETURN;
    assert.equal(await of(large, large, large), 0);
  },
);
