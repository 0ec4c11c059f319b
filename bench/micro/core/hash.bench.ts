// SPDX-License-Identifier: Apache-2.0
import { hash32, key64, mix32, Pcg32 } from "@meridian/core";
import { measureAll } from "../harness.ts";

const random = new Pcg32(1);
const bytes = Uint8Array.from({ length: 24 }, () => random.next32());
let word = 1;

await measureAll({
  mix32: () => (word = mix32(word)),
  "hash32 of 24 octets": () => hash32(bytes, 0, bytes.length, 7),
  key64: () => key64("endpoint/default/web/eu-1"),
  "Pcg32.next32": () => random.next32(),
});
