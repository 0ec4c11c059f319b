// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { rootName } from "./name.ts";
import { parseName } from "./name-text.ts";
import { parseMasterFile } from "./master-file.ts";
import { checkZone } from "./zone-check.ts";
import type { ZoneRecord } from "./zone-record.ts";

const HEAD = `$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster 1 2 3 4 5
@ NS ns1
ns1 A 192.0.2.1
`;

function recordsOf(text: string): ZoneRecord[] {
  const records: ZoneRecord[] = [];
  const errors = parseMasterFile(text, {
    origin: rootName,
    fileName: "zone",
    onRecord: (owner, type, ttl, rdata, line, file) =>
      records.push({ owner, type, ttl, rdata, line, file }),
  });
  assert.deepEqual(errors, []);
  return records;
}

function problems(text: string): string[] {
  return checkZone(recordsOf(text)).map(({ severity, code }) => `${severity} ${code}`);
}

const cases: readonly (readonly [name: string, text: string, expected: readonly string[]])[] = [
  ["accepts a small zone", HEAD, []],
  ["wants a SOA", "@ 1 NS a.", ["error soa-missing"]],
  ["wants one SOA only", `${HEAD}@ SOA ns1 other 1 2 3 4 5`, ["error soa-duplicate"]],
  ["wants the SOA at the apex", `${HEAD}x SOA ns1 h 1 2 3 4 5`, ["error soa-not-at-apex"]],
  ["wants NS at the apex", "@ 1 SOA a. b. 1 2 3 4 5", ["error ns-missing"]],
  ["refuses a CNAME at the apex", `${HEAD}@ CNAME x.`, ["error cname-and-other-data"]],
  ["refuses data beside a CNAME", `${HEAD}a CNAME x.\na TXT t`, ["error cname-and-other-data"]],
  ["refuses two CNAMEs", `${HEAD}a CNAME x.\na CNAME y.`, ["error cname-multiple"]],
  ["refuses two DNAMEs", `${HEAD}a DNAME x.\na DNAME y.`, ["error dname-multiple"]],
  [
    "refuses DNAME at a cut",
    `${HEAD}a DNAME x.\na NS y.`,
    ["error dname-and-ns", "warning occluded"],
  ],
  ["refuses a record twice", `${HEAD}A A 192.0.2.1\na A 192.0.2.1`, ["error duplicate-record"]],
  ["compares targets without case", `${HEAD}a NS x.\na NS X.`, ["error duplicate-record"]],
  ["refuses names outside", `${HEAD}example.com. A 192.0.2.1`, ["error outside-zone"]],
  [
    "refuses another parent with a like ending",
    `${HEAD}badexample.org. A 192.0.2.1`,
    ["error outside-zone"],
  ],
  ["refuses mixed TTLs", `${HEAD}a 1 A 192.0.2.1\na 2 A 192.0.2.2`, ["error ttl-differs"]],
  ["wants glue", `${HEAD}a NS ns.a`, ["error glue-missing"]],
  ["takes glue of either family", `${HEAD}a NS ns.a\nns.a AAAA 2001:db8::1`, []],
  ["needs no glue elsewhere", `${HEAD}a NS ns.example.com.`, []],
  ["wants addresses of its own servers", `${HEAD}@ NS ns2`, ["error server-address-missing"]],
  ["lets a wildcard give the address", `${HEAD}@ NS ns2.w\n*.w A 192.0.2.1`, []],
  [
    "warns of a sibling server without address",
    `${HEAD}a NS ns2`,
    ["warning server-address-missing"],
  ],
  ["refuses data below DNAME", `${HEAD}a DNAME x.\nb.a A 192.0.2.1`, ["error below-dname"]],
  ["warns of data below a cut", `${HEAD}a NS x.\nb.c.a TXT t`, ["warning occluded"]],
  ["warns of data at a cut", `${HEAD}a NS x.\na MX 1 x.`, ["warning occluded"]],
  ["accepts DS at a cut", `${HEAD}a NS x.\na DS 1 8 2 ab`, []],
  ["warns of MX at a CNAME", `${HEAD}c CNAME x.\n@ MX 1 c`, ["warning target-is-cname"]],
  ["warns of SRV at a CNAME", `${HEAD}c CNAME x.\ns SRV 1 2 3 c`, ["warning target-is-cname"]],
  ["warns of NS at a CNAME", `${HEAD}c CNAME x.\n@ NS c`, ["warning target-is-cname"]],
];

for (const [name, text, expected] of cases) {
  test(`checkZone() ${name}`, () => {
    assert.deepEqual(problems(text).sort(), [...expected].sort());
  });
}

test("checkZone() names owner, values and the record at fault", () => {
  const [problem] = checkZone(recordsOf(`${HEAD}a 1 A 192.0.2.1\na 2 A 192.0.2.2`));
  assert.equal(
    problem?.message,
    'TTL of A "a.example.org." 192.0.2.2 is 2, expected 1 as for the first record of its set',
  );
  assert.equal(problem?.record?.line, 7);
});

test("checkZone() takes the apex from its caller where given", () => {
  const apex = parseName("example.com.");
  assert.ok(apex instanceof Uint8Array);
  const codes = checkZone(recordsOf(HEAD), apex).map(({ code }) => code);
  assert.deepEqual([...new Set(codes)].sort(), ["ns-missing", "outside-zone", "soa-missing"]);
});
