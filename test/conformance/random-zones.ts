// SPDX-License-Identifier: Apache-2.0

// Random small zones with everything that makes answers differ, and questions in and near them.

import fc from "fast-check";
import { RRType } from "@meridian/dns";
import type { TestZone } from "./test-server.ts";

const label = fc.constantFrom("a", "b", "c", "*", "d");
const relative = fc.array(label, { maxLength: 4 }).map((labels) => labels.join("."));
export const origin: fc.Arbitrary<string> = fc.constantFrom(
  "example.",
  "a.example.",
  "b.a.example.",
  "other.",
);

/** A name in or near the zones. */
const name = fc
  .tuple(relative, origin)
  .map(([left, right]) => (left === "" ? right : `${left}.${right}`));
export const line: fc.Arbitrary<[owner: string, rdata: string]> = fc.tuple(
  relative,
  fc.oneof(
    fc.constantFrom("A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", 'TXT "t"', "MX 5 a.example."),
    name.map((target) => `NS ${target}`),
    name.map((target) => `CNAME ${target}`),
    name.map((target) => `DNAME ${target}`),
    fc.constant("DS 1 13 2 00"),
  ),
);
export const question: fc.Arbitrary<[name: string, type: number]> = fc.tuple(
  name,
  fc.constantFrom(
    RRType.A,
    RRType.AAAA,
    RRType.TXT,
    RRType.NS,
    RRType.CNAME,
    RRType.DNAME,
    RRType.DS,
    RRType.SOA,
    RRType.MX,
  ),
);

/** Drops what no zone may hold: data beside a CNAME, a second CNAME or DNAME, either of them at the apex. */
export function zoneOf(apex: string, lines: readonly (readonly [string, string])[]): TestZone {
  const alone = new Map<string, string>();
  const kept = lines.filter(([owner, rdata]) => {
    const type = rdata.split(" ", 1)[0] ?? "";
    const before = alone.get(owner);
    const isSingle = type === "CNAME" || type === "DNAME";
    if (isSingle && (owner === "" || before !== undefined)) return false;
    if (before === "CNAME") return false;
    if (isSingle || before === undefined) alone.set(owner, type);
    return true;
  });
  const soa = `${apex} 60 IN SOA ns.${apex} root.${apex} 1 2 3 4 30`;
  const ns = `${apex} 60 IN NS ns.${apex}`;
  const records = kept.map(
    ([owner, rdata]) => `${owner === "" ? "" : `${owner}.`}${apex} 60 IN ${rdata}`,
  );
  return { origin: apex, text: [soa, ns, ...records].join("\n") };
}
