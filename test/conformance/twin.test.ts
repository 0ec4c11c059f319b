// SPDX-License-Identifier: Apache-2.0

// The query path against its slow twin (an authority written for reading) on random zones and questions.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  formatName,
  formatRdata,
  parseMasterFile,
  resolveAuthority,
  rootName,
  RRType,
  typeToText,
  type TwinAnswer,
  type TwinZone,
  type ZoneRecord,
} from "@meridian/dns";
import { TestServer, wire, type TestZone } from "./test-server.ts";

const RUNS = Number(process.env["TWIN_RUNS"] ?? 200);
const QUESTIONS = 24;

const label = fc.constantFrom("a", "b", "c", "*", "d");
const relative = fc.array(label, { maxLength: 4 }).map((labels) => labels.join("."));
const origin = fc.constantFrom("example.", "a.example.", "b.a.example.", "other.");

/** A name in or near the zones. */
const name = fc
  .tuple(relative, origin)
  .map(([left, right]) => (left === "" ? right : `${left}.${right}`));
const line = fc.tuple(
  relative,
  fc.oneof(
    fc.constantFrom("A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", 'TXT "t"', "MX 5 a.example."),
    name.map((target) => `NS ${target}`),
    name.map((target) => `CNAME ${target}`),
    name.map((target) => `DNAME ${target}`),
    fc.constant("DS 1 13 2 00"),
  ),
);
const question = fc.tuple(
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
function zoneOf(apex: string, lines: readonly (readonly [string, string])[]): TestZone {
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

function twinZone(zone: TestZone): TwinZone {
  const records: ZoneRecord[] = [];
  const errors = parseMasterFile(zone.text, {
    origin: rootName,
    fileName: zone.origin,
    onRecord: (owner, type, ttl, rdata) => records.push({ owner, type, ttl, rdata }),
  });
  assert.deepEqual(errors, []);
  return { apex: wire(zone.origin), records };
}

function texts(records: readonly ZoneRecord[]): string[] {
  const all = records.map(({ owner, ttl, type, rdata }) =>
    `${formatName(owner)} ${ttl} ${typeToText(type)} ${formatRdata(type, rdata)}`.toLowerCase(),
  );
  return [...new Set(all)].toSorted();
}

function comparable(answer: Omit<TwinAnswer, "aa">, aa: boolean): object {
  return {
    rcode: answer.rcode,
    aa,
    answer: texts(answer.answer),
    authority: texts(answer.authority),
    additional: texts(answer.additional),
  };
}

test("handle() answers as the twin does", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(origin, { minLength: 1, maxLength: 3 }),
      fc.array(line, { maxLength: 16 }),
      fc.array(question, { minLength: QUESTIONS, maxLength: QUESTIONS }),
      (origins, lines, questions) => {
        const zones = origins.map((apex) => zoneOf(apex, lines));
        const twins = zones.map(twinZone);
        const server = new TestServer({ zones });
        for (const [qname, qtype] of questions) {
          const expected = resolveAuthority(twins, wire(qname), qtype);
          const actual = server.ask(qname, qtype, { isTcp: true });
          assert.deepEqual(
            comparable(actual, actual.flags.aa),
            comparable(expected, expected.aa),
            `${qname} ${typeToText(qtype)}`,
          );
          // What fits 512 bytes is the same over UDP.
          const overUdp = server.ask(qname, qtype);
          if (!overUdp.flags.tc) assert.deepEqual(overUdp.answer, actual.answer);
        }
      },
    ),
    { numRuns: RUNS },
  );
});
