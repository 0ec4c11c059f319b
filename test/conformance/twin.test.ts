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
  typeToText,
  type TwinAnswer,
  type TwinZone,
  type ZoneRecord,
} from "@meridian/dns";
import { line, origin, question, zoneOf } from "./random-zones.ts";
import { TestServer, wire, type TestZone } from "./test-server.ts";

const RUNS = Number(process.env["TWIN_RUNS"] ?? 200);
const QUESTIONS = 24;

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
