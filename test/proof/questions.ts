// SPDX-License-Identifier: Apache-2.0

// Random questions over the names of all-kinds.ts and around them: static records, names that are not there, other types, with and without
// client subnets of any length, small buffers.

import { RRType, ecsOption, encodeMessage, makeQuery } from "@meridian/dns";
import type { Random } from "@meridian/core";
import { names } from "./all-kinds.ts";
import { wire } from "./system.ts";

const others = [
  "proof.test.",
  "www.proof.test.",
  "x.wild.proof.test.",
  "nothing.proof.test.",
  "elsewhere.test.",
];
const places = [
  [203, 0, 113, 0],
  [198, 18, 64, 0],
  [8, 8, 8, 0],
  [1, 1, 1, 0],
  [133, 11, 0, 0],
  [114, 114, 114, 0],
  [81, 2, 69, 0],
];

function below(random: Random, limit: number): number {
  return random.next32() % limit;
}

/** A client address: some known place, or anywhere. Bits beyond /24 and /56 are set, too. */
function address(random: Random): Uint8Array {
  if (below(random, 3) === 0) {
    const bytes = Uint8Array.from({ length: 16 }, () => below(random, 256));
    bytes.set([0x20, 0x01, 0x0d, 0xb8, 0, below(random, 3)]);
    return bytes;
  }
  const place = places[below(random, places.length * 2)];
  const bytes = Uint8Array.from(place ?? [1 + below(random, 220), below(random, 256), 0, 0]);
  bytes[2] = (bytes[2] ?? 0) ^ below(random, 4);
  bytes[3] = below(random, 256);
  return bytes;
}

/** One packet with id 0. */
export function randomQuestion(random: Random): Uint8Array {
  const isBound = below(random, 8) > 0;
  const name = isBound ? names[below(random, names.length)] : others[below(random, others.length)];
  const types = [RRType.A, RRType.A, RRType.AAAA, RRType.HTTPS];
  const type = types[below(random, types.length)] ?? RRType.A;
  const isOdd = below(random, 12) === 0;
  const options = [];
  if (below(random, 4) > 0) {
    const bytes = address(random);
    const longest = bytes.length === 16 ? 56 : 24;
    // Some send their whole address.
    const length = [longest, longest, longest - below(random, 17), bytes.length * 8][
      below(random, 4)
    ];
    options.push(ecsOption(bytes, length ?? longest));
  }
  const edns =
    options.length > 0 || below(random, 2) === 0
      ? {
          edns: {
            options,
            do: below(random, 4) === 0,
            udpSize: [1232, 4096, 512][below(random, 3)] ?? 1232,
          },
        }
      : {};
  return encodeMessage(
    makeQuery(wire(name ?? "."), isOdd ? RRType.TXT : type, {
      id: 0,
      rd: below(random, 2) === 0,
      ...edns,
    }),
  );
}
