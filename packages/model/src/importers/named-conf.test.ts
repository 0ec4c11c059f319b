// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDocuments } from "../parse.ts";
import { importNamedConf } from "./master.ts";
import type { Imported } from "./imported.ts";

const zoneFile = "@ 60 SOA ns1 h 1 3600 1 86400 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n";

function imported(text: string): Imported {
  return importNamedConf("/etc/bind/named.conf", (path) =>
    Buffer.from(path === "/etc/bind/named.conf" ? text : zoneFile),
  );
}

function zone(name: string, more = `type primary; file "${name}"`): string {
  return `zone "${name}" { ${more}; };`;
}

test("views become Views in their order, and the last one for anybody none", () => {
  const { documents, unmapped, mistakes } = imported(`
acl inside { 10/8; fd00::/8; { 192.168.1.1; }; };
key "staff" { algorithm hmac-sha512; secret "c2VjcmV0"; };
view "staff" { match-clients { key staff; }; ${zone("example.org")} };
view "Internal net" { match-clients { inside; localhost; none; }; ${zone("example.org")} ${zone("corp.example")} };
view "all" { match-clients { any; }; ${zone("example.org")} ${zone("example.net")} };
view "never" { ${zone("example.org")} };
`);
  assert.deepEqual(mistakes, []);
  const bytes = Buffer.from(documents.map((each) => JSON.stringify(each)).join("\n---\n"));
  assert.deepEqual(parseDocuments([{ path: "all.yaml", bytes }]).problems, []);
  assert.deepEqual(
    documents.flatMap(({ kind, metadata, spec }) =>
      kind === "View" ? [[metadata["name"], spec]] : [],
    ),
    [
      [
        "staff",
        {
          priority: 10,
          match: [{ key: "staff" }],
          tsigKeys: { staff: { algorithm: "hmac-sha512", secret: { file: "staff" } } },
        },
      ],
      [
        "internal-net",
        {
          priority: 20,
          match: [
            {
              clients: [
                ...["10.0.0.0/8", "fd00::/8", "192.168.1.1/32"],
                ...["127.0.0.0/8", "::1/128"],
              ],
            },
          ],
        },
      ],
    ],
  );
  assert.deepEqual(
    documents.flatMap(({ kind, metadata, spec }) =>
      kind === "Zone" ? [[metadata["name"], spec["origin"], spec["view"]]] : [],
    ),
    [
      ["example.org-staff", "example.org", "staff"],
      ["example.org-internal-net", "example.org", "internal-net"],
      ["corp.example-internal-net", "corp.example", "internal-net"],
      ["example.org", "example.org", undefined],
      ["example.net", "example.net", undefined],
    ],
  );
  assert.deepEqual(
    unmapped.map(({ what, why }) => `${what}: ${why}`),
    [
      'secret of key "staff": Put it into the file "staff" of the secrets\' folder',
      'view "never": A view before it is for anybody: it is seen by nobody',
      'view "staff": Who sees it sees zones of no view besides, which it had not: example.net.',
      'view "internal-net": Who sees it sees zones of no view besides, which it had not: example.net.',
    ],
  );
});

test("what a view says by exclusion, or by where a query goes, is reported, and its zones are left out", () => {
  for (const [match, why] of [
    ["match-clients { !10.0.0.1; 10/8; };", /"!10\.0\.0\.1" in match-clients/],
    ["match-clients { localnets; };", /"localnets"/],
    ["match-clients { 10.0.0.0/33; };", /"10\.0\.0\.0\/33"/],
    ["match-destinations { 192.0.2.1; };", /match-destinations/],
    ["match-clients { none; };", /seen by nobody/],
  ] as const) {
    const { documents, unmapped } = imported(`view "x" { ${match} ${zone("example.org")} };`);
    assert.deepEqual(documents, []);
    assert.match(unmapped.map((each) => each.why).join(), why);
  }
});

test("a zone that one view has of another is reported", () => {
  const { unmapped } = imported(
    `view "a" { match-clients { 10/8; }; ${zone("example.org")} };
view "b" { ${zone("example.org", 'in-view "a"')} };`,
  );
  assert.match(unmapped.map(({ why }) => why).join(), /the zone of view "a"/);
});
