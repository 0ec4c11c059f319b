// SPDX-License-Identifier: Apache-2.0

// Sections whose bytes were changed and whose checksum was then made right: what a faulty writer or a clever hand could leave on a disk.
// They are refused when they are opened, or every look-up in them ends, throws nothing and stays within the buffer that it is given.

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { openSection, Section, World } from "@meridian/snapshot";
import { SEED, TestServer } from "../conformance/test-server.ts";
import { everyQuery, everySection } from "./every-section.ts";
import { fuzz } from "./fuzzer.ts";
import { seedQueries } from "./seed-messages.ts";

const HEADER_BYTES = 64;

const sections = everySection().map(({ buffer }) => {
  const section = openSection(buffer);
  assert.ok(section instanceof Section);
  return section;
});
const queries = [...everyQuery(), ...seedQueries()];

/** The section with its length and checksum made right, where it is long enough to have any. */
function summed(input: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(input.length / 8) * 8);
  bytes.set(input);
  if (bytes.length < HEADER_BYTES) return bytes;
  const view = new DataView(bytes.buffer);
  view.setUint32(8, bytes.length, true);
  view.setUint32(60, crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, 60))), true);
  return bytes;
}

/** The world with one section in place of that of the same kind and key; the reason where it is refused. */
function worldWith(changed: Section): World | string {
  const others = sections.filter(
    ({ kind, key }) => kind !== changed.kind || (key !== changed.key && changed.kind >= 4),
  );
  const world = World.load([...others, changed], SEED);
  return world instanceof World ? world : world.error;
}

let round = 0;

fuzz({
  name: "sections",
  seeds: sections.map(({ bytes }) => bytes),
  run: (input) => {
    for (const bytes of [input, summed(input)]) {
      const section = openSection(Uint8Array.from(bytes).buffer);
      if (!(section instanceof Section)) {
        assert.ok(section.error.length > 0);
        continue;
      }
      const world = worldWith(section);
      if (typeof world === "string") continue;
      const server = new TestServer(world);
      // A few of the queries each time: all of them come round.
      for (let count = 0; count < 24; count++, round++)
        server.askBytes(queries[round % queries.length] ?? input, { isTcp: round % 2 === 0 });
    }
  },
});
