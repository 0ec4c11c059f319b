// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  formatName,
  formatRdata,
  rcodeToText,
  typeFromText,
  typeToText,
  type Message,
  type ResourceRecord,
} from "@meridian/dns";

/** One recorded case. */
export interface FerretCase {
  readonly id: number;
  readonly tag: string;
  readonly query: { readonly name: string; readonly type: string };
  readonly response: readonly string[];
  readonly zone: string;
  /** Owner of the SOA. */
  readonly apex: string;
}

/** What must be equal; sections as sets. */
export interface ComparableAnswer {
  readonly rcode: string;
  readonly aa: boolean;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
}

export function readCases(): FerretCase[] {
  const file = join(process.env["CONFORMANCE_DATA"] ?? "", "ferret.jsonl.gz");
  const lines = gunzipSync(readFileSync(file)).toString("utf8").trim().split("\n");
  return lines.map((line) => {
    const recorded: Omit<FerretCase, "apex"> = JSON.parse(line);
    const soa = recorded.zone.split("\n").find((record) => record.includes(" IN SOA "));
    return { ...recorded, apex: soa?.split(" ", 1)[0] ?? "." };
  });
}

export function queryType(recorded: FerretCase): number {
  const type = typeFromText(recorded.query.type);
  assert.ok(type !== undefined);
  return type;
}

export function actualAnswer(recorded: FerretCase, message: Message): ComparableAnswer {
  const { rcode, flags, answer, authority } = message;
  return comparable(
    recorded,
    rcodeToText(rcode),
    flags.aa,
    answer.map(recordText),
    authority.map(recordText),
  );
}

export function expectedAnswer(recorded: FerretCase): ComparableAnswer {
  const { response } = recorded;
  const section = (from: string, to: string): string[] =>
    response.slice(response.indexOf(from) + 1, response.indexOf(to)).map(normalText);
  const rcode = response.find((line) => line.startsWith("rcode "))?.slice(6) ?? "";
  const flags = response.find((line) => line.startsWith("flags ")) ?? "";
  const isAuthoritative = flags.split(" ").includes("AA");
  return comparable(
    recorded,
    rcode,
    isAuthoritative,
    section(";ANSWER", ";AUTHORITY"),
    section(";AUTHORITY", ";ADDITIONAL"),
  );
}

/** The authority section counts for referrals and negative answers; the apex NS of a positive answer may be left out. */
function comparable(
  recorded: FerretCase,
  rcode: string,
  aa: boolean,
  answer: readonly string[],
  authority: readonly string[],
): ComparableAnswer {
  const apexServers = `${recorded.apex} `.toLowerCase();
  const counted = authority.filter(
    (line) => !(line.startsWith(apexServers) && line.includes(" IN NS ")),
  );
  return {
    rcode,
    aa,
    answer: [...new Set(answer)].toSorted(),
    authority: [...new Set(counted)].toSorted(),
  };
}

function recordText(record: ResourceRecord): string {
  const rdata = formatRdata(record.type, record.rdata);
  return normalText(
    `${formatName(record.owner)} ${record.ttl} IN ${typeToText(record.type)} ${rdata}`,
  );
}

function normalText(line: string): string {
  return line.toLowerCase().replace(/ in (\S+) /, (word) => word.toUpperCase());
}
