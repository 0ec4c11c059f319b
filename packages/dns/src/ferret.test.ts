// SPDX-License-Identifier: Apache-2.0
//
// The twin against recorded answers on which BIND, NSD, Knot and PowerDNS agree. The data is not
// part of the repository: CONFORMANCE_DATA names the folder that holds ferret.jsonl.gz.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { gunzipSync } from "node:zlib";
import { resolveAuthority } from "./authority-twin.ts";
import { RRType, rcodeToText, typeFromText, typeToText } from "./constants.ts";
import { parseMasterFile } from "./master-file.ts";
import { formatName, parseName } from "./name-text.ts";
import { formatRdata } from "./rdata.ts";
import { rootName } from "./name.ts";
import type { ZoneRecord } from "./zone-record.ts";

const folder = process.env["CONFORMANCE_DATA"];
const CASES = 5046;

interface Case {
  readonly id: number;
  readonly query: { readonly name: string; readonly type: string };
  readonly response: readonly string[];
  readonly zone: string;
}

interface Comparable {
  readonly rcode: string;
  readonly aa: boolean;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
}

const skip = folder === undefined ? "CONFORMANCE_DATA is not set" : false;

test("resolveAuthority() answers every recorded case as four servers do", { skip }, () => {
  const lines = gunzipSync(readFileSync(join(folder ?? "", "ferret.jsonl.gz")))
    .toString("utf8")
    .trim()
    .split("\n");
  assert.equal(lines.length, CASES);
  const wrong: string[] = [];
  for (const line of lines) {
    const recorded = parseCase(line);
    const expected = comparableRecorded(recorded);
    const actual = comparableTwin(recorded);
    if (!isDeepStrictEqual(actual, expected)) {
      wrong.push(JSON.stringify({ case: recorded, actual, expected }, undefined, 1));
    }
  }
  assert.ok(wrong.length === 0, `${wrong.length} cases differ, the first: ${wrong[0]}`);
});

function parseCase(line: string): Case {
  const value: unknown = JSON.parse(line);
  assert.ok(isCase(value), line);
  return value;
}

function isCase(value: unknown): value is Case {
  return (
    typeof value === "object" &&
    value !== null &&
    "id" in value &&
    "query" in value &&
    "response" in value &&
    "zone" in value
  );
}

function comparableTwin(recorded: Case): Comparable {
  const records: ZoneRecord[] = [];
  const errors = parseMasterFile(recorded.zone, {
    origin: rootName,
    fileName: `case ${recorded.id}`,
    onRecord: (owner, type, ttl, rdata) => records.push({ owner, type, ttl, rdata }),
  });
  assert.deepEqual(errors, []);
  const soa = records.find((record) => record.type === RRType.SOA);
  const qname = parseName(recorded.query.name);
  const qtype = typeFromText(recorded.query.type);
  assert.ok(soa !== undefined && qname instanceof Uint8Array && qtype !== undefined);
  const result = resolveAuthority([{ apex: soa.owner, records }], qname, qtype);
  const answer = result.answer.map(recordText);
  const authority = result.authority.map(recordText);
  return comparable(soa.owner, rcodeToText(result.rcode), result.aa, answer, authority);
}

function comparableRecorded(recorded: Case): Comparable {
  const { response } = recorded;
  const section = (from: string, to: string): string[] =>
    response.slice(response.indexOf(from) + 1, response.indexOf(to)).map(normalText);
  const rcode = response.find((line) => line.startsWith("rcode "))?.slice(6) ?? "";
  const flags = response.find((line) => line.startsWith("flags ")) ?? "";
  const answer = section(";ANSWER", ";AUTHORITY");
  const authority = section(";AUTHORITY", ";ADDITIONAL");
  const apex = parseName(recorded.zone.split(" ", 1)[0] ?? "");
  assert.ok(apex instanceof Uint8Array);
  return comparable(apex, rcode, flags.split(" ").includes("AA"), answer, authority);
}

/** The authority section counts for referrals and negative answers; the apex NS may be left out. */
function comparable(
  apex: Uint8Array,
  rcode: string,
  aa: boolean,
  answer: readonly string[],
  authority: readonly string[],
): Comparable {
  const apexServers = `${formatName(apex)} `.toLowerCase();
  const counted = authority.filter(
    (line) => !(line.startsWith(apexServers) && line.includes(" IN NS ")),
  );
  return {
    rcode,
    aa,
    answer: [...new Set(answer)].sort(),
    authority: [...new Set(counted)].sort(),
  };
}

function recordText(record: ZoneRecord): string {
  const rdata = formatRdata(record.type, record.rdata);
  return normalText(
    `${formatName(record.owner)} ${record.ttl} IN ${typeToText(record.type)} ${rdata}`,
  );
}

function normalText(line: string): string {
  return line.toLowerCase().replace(/ in (\S+) /, (word) => word.toUpperCase());
}
