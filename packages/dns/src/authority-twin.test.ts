// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN_STEPS_MAX, resolveAuthority, type TwinZone } from "./authority-twin.ts";
import { rcodeToText, typeFromText, typeToText } from "./constants.ts";
import { parseMasterFile } from "./master-file.ts";
import { formatName, parseName } from "./name-text.ts";
import { formatRdata } from "./rdata.ts";
import type { ZoneRecord } from "./zone-record.ts";

const ORG = `
@ SOA ns1 h 1 2 3 4 60
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.2
www TXT t
alias CNAME www
away CNAME www.example.net.
gone CNAME nothing
tonet CNAME a.cut.example.net.
outside CNAME www.example.com.
a.b.c A 192.0.2.3
*.w A 192.0.2.4
*.w TXT w
x.y.w A 192.0.2.5
*.wc CNAME www
cut NS ns.cut
cut NS ns.sib
cut DS 1 8 2 ab
ns.cut A 192.0.2.6
ns.cut AAAA 2001:db8::6
ns.sib A 192.0.2.7
d DNAME www.example.net.
longd DNAME ${"x".repeat(60)}.${"y".repeat(60)}.${"z".repeat(60)}.${"w".repeat(40)}.
loop CNAME loop2
loop2 CNAME loop
${Array.from({ length: 20 }, (_, i) => `c${i} CNAME c${i + 1}`).join("\n")}
`;
const NET = `
@ SOA ns1 h 1 2 3 4 5
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.9
deep.www A 192.0.2.10
cut NS ns.example.com.
`;
const CHILD = `
@ SOA ns h 9 2 3 4 5
@ NS ns
ns A 192.0.2.11
`;

function name(text: string): Uint8Array {
  const wire = parseName(text);
  assert.ok(wire instanceof Uint8Array);
  return wire;
}

function zone(apex: string, text: string): TwinZone {
  const records: ZoneRecord[] = [];
  const errors = parseMasterFile(text, {
    origin: name(apex),
    defaultTtl: 300,
    fileName: apex,
    onRecord: (owner, type, ttl, rdata) => records.push({ owner, type, ttl, rdata }),
  });
  assert.deepEqual(errors, []);
  return { apex: name(apex), records };
}

const zones = [zone("example.org.", ORG), zone("example.net.", NET)];

function ask(qname: string, qtype: string, served: readonly TwinZone[] = zones): string {
  const type = typeFromText(qtype);
  assert.ok(type !== undefined);
  const result = resolveAuthority(served, name(qname), type);
  const section = (records: readonly ZoneRecord[]): string =>
    records
      .map((record) => {
        const data = formatRdata(record.type, record.rdata);
        return `${formatName(record.owner)} ${record.ttl} ${typeToText(record.type)} ${data}`;
      })
      .join(", ");
  return [
    `${rcodeToText(result.rcode)}${result.aa ? " aa" : ""}`,
    section(result.answer),
    section(result.authority),
    section(result.additional),
  ].join(" | ");
}

const ORG_SOA = "example.org. 60 SOA ns1.example.org. h.example.org. 1 2 3 4 60";
const NET_SOA = "example.net. 5 SOA ns1.example.net. h.example.net. 1 2 3 4 5";
const CUT =
  "cut.example.org. 300 NS ns.cut.example.org., cut.example.org. 300 NS ns.sib.example.org.";
const GLUE =
  "ns.cut.example.org. 300 A 192.0.2.6, ns.cut.example.org. 300 AAAA 2001:db8::6, ns.sib.example.org. 300 A 192.0.2.7";

const cases: readonly (readonly [qname: string, qtype: string, expected: string])[] = [
  ["WWW.example.org", "A", "NOERROR aa | WWW.example.org. 300 A 192.0.2.2 |  | "],
  ["www.example.com", "A", "REFUSED |  |  | "],
  ["www.example.org", "MX", `NOERROR aa |  | ${ORG_SOA} | `],
  ["no.example.org", "A", `NXDOMAIN aa |  | ${ORG_SOA} | `],
  ["b.c.example.org", "A", `NOERROR aa |  | ${ORG_SOA} | `],
  ["c.example.org", "A", `NOERROR aa |  | ${ORG_SOA} | `],
  ["www.example.org", "ANY", "NOERROR aa | www.example.org. 300 A 192.0.2.2 |  | "],
  [
    "alias.example.org",
    "CNAME",
    "NOERROR aa | alias.example.org. 300 CNAME www.example.org. |  | ",
  ],
  [
    "alias.example.org",
    "A",
    "NOERROR aa | alias.example.org. 300 CNAME www.example.org., www.example.org. 300 A 192.0.2.2 |  | ",
  ],
  [
    "alias.example.org",
    "MX",
    `NOERROR aa | alias.example.org. 300 CNAME www.example.org. | ${ORG_SOA} | `,
  ],
  [
    "away.example.org",
    "A",
    "NOERROR aa | away.example.org. 300 CNAME www.example.net., www.example.net. 300 A 192.0.2.9 |  | ",
  ],
  [
    "away.example.org",
    "MX",
    `NOERROR aa | away.example.org. 300 CNAME www.example.net. | ${NET_SOA} | `,
  ],
  [
    "gone.example.org",
    "A",
    `NXDOMAIN aa | gone.example.org. 300 CNAME nothing.example.org. | ${ORG_SOA} | `,
  ],
  [
    "tonet.example.org",
    "A",
    "NOERROR aa | tonet.example.org. 300 CNAME a.cut.example.net. | cut.example.net. 300 NS ns.example.com. | ",
  ],
  [
    "outside.example.org",
    "A",
    "NOERROR aa | outside.example.org. 300 CNAME www.example.com. |  | ",
  ],
  ["any.w.example.org", "A", "NOERROR aa | any.w.example.org. 300 A 192.0.2.4 |  | "],
  ["a.b.w.example.org", "A", "NOERROR aa | a.b.w.example.org. 300 A 192.0.2.4 |  | "],
  ["any.w.example.org", "MX", `NOERROR aa |  | ${ORG_SOA} | `],
  ["*.w.example.org", "A", "NOERROR aa | *.w.example.org. 300 A 192.0.2.4 |  | "],
  ["y.w.example.org", "A", `NOERROR aa |  | ${ORG_SOA} | `],
  ["z.y.w.example.org", "A", `NXDOMAIN aa |  | ${ORG_SOA} | `],
  [
    "q.wc.example.org",
    "A",
    "NOERROR aa | q.wc.example.org. 300 CNAME www.example.org., www.example.org. 300 A 192.0.2.2 |  | ",
  ],
  ["cut.example.org", "A", `NOERROR |  | ${CUT} | ${GLUE}`],
  ["a.b.cut.example.org", "A", `NOERROR |  | ${CUT} | ${GLUE}`],
  ["ns.cut.example.org", "A", `NOERROR |  | ${CUT} | ${GLUE}`],
  ["cut.example.org", "DS", "NOERROR aa | cut.example.org. 300 DS 1 8 2 AB |  | "],
  ["a.cut.example.org", "DS", `NOERROR |  | ${CUT} | ${GLUE}`],
  ["d.example.org", "DNAME", "NOERROR aa | d.example.org. 300 DNAME www.example.net. |  | "],
  ["d.example.org", "A", `NOERROR aa |  | ${ORG_SOA} | `],
  [
    "deep.d.example.org",
    "A",
    "NOERROR aa | d.example.org. 300 DNAME www.example.net., deep.d.example.org. 300 CNAME deep.www.example.net., deep.www.example.net. 300 A 192.0.2.10 |  | ",
  ],
  [
    "loop.example.org",
    "A",
    "NOERROR aa | loop.example.org. 300 CNAME loop2.example.org., loop2.example.org. 300 CNAME loop.example.org. |  | ",
  ],
];

for (const [qname, qtype, expected] of cases) {
  test(`resolveAuthority() answers ${qname} ${qtype}`, () => {
    assert.equal(ask(qname, qtype), expected);
  });
}

test("resolveAuthority() says YXDOMAIN with the DNAME where substitution overflows", () => {
  const result = ask(`${"l".repeat(60)}.longd.example.org`, "A");
  assert.match(result, /^YXDOMAIN aa \| longd\.example\.org\. 300 DNAME [^,]* \| {2}\| $/);
});

test("resolveAuthority() ends long chains after CHAIN_STEPS_MAX records", () => {
  assert.equal(ask("c0.example.org", "A").match(/CNAME/g)?.length, CHAIN_STEPS_MAX);
  assert.match(ask("c13.example.org", "A"), /^NXDOMAIN aa/);
});

test("resolveAuthority() takes the deepest zone, and the parent for its DS", () => {
  const both = [...zones, zone("cut.example.org.", CHILD)];
  const soa = "cut.example.org. 5 SOA ns.cut.example.org. h.cut.example.org. 9 2 3 4 5";
  assert.equal(ask("x.cut.example.org", "A", both), `NXDOMAIN aa |  | ${soa} | `);
  assert.match(ask("cut.example.org", "DS", both), /^NOERROR aa \| cut\.example\.org\. 300 DS/);
  const childOnly = [zone("cut.example.org.", CHILD)];
  assert.equal(ask("cut.example.org", "DS", childOnly), `NOERROR aa |  | ${soa} | `);
});
