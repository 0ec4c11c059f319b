// SPDX-License-Identifier: Apache-2.0

// docs/guides/move-a-zone.md with real files and a real server: what `meridian zone` makes of a BIND configuration is loaded, means the same as
// what Knot transfers, and whatever differs is shown.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { needs } from "../needs.ts";
import { startKnot } from "../peers/daemon.ts";
import { meridian, temporaryFolder } from "./process.ts";

const zoneText = `$TTL 5m
@       IN SOA ns1 hostmaster 2026112301 7200 900 1209600 60
        NS  ns1
        NS  ns.example.net.
ns1     A   192.0.2.53
$INCLUDE hosts
$GENERATE 1-3 node-$ A 192.0.2.$
`;

test(
  "zone import, export and diff take a BIND set-up over",
  { skip: needs("knotd", "knot") },
  async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, "db.example.org"), zoneText);
    writeFileSync(
      join(folder, "hosts"),
      'www 60 A 192.0.2.80\n    60 AAAA 2001:db8::80\ntxt TXT "a;b" c\n',
    );
    writeFileSync(
      join(folder, "named.conf"),
      `// The main configuration.
options { directory "${folder}"; recursion no; };
include "zones.conf";
`,
    );
    writeFileSync(
      join(folder, "zones.conf"),
      `zone "." { type hint; file "root"; };
zone "example.org" IN {
  type master; # as it was called
  file "db.example.org";
  allow-transfer { any; };
};
zone "copy.example.org" { type secondary; primaries { 192.0.2.1; }; };
`,
    );
    const out = join(folder, "documents");
    const done = await meridian(
      "zone",
      "import",
      join(folder, "named.conf"),
      "--from",
      "named",
      "--to",
      out,
    );
    assert.equal(done.code, 10, done.stderr);
    assert.deepEqual(done.stdout, `${join(out, "zone-example.org.yaml")}\n`);
    assert.deepEqual(done.stderr.trimEnd().split("\n").toSorted(), [
      `${join(folder, "zones.conf")}:5: not taken over: allow-transfer of zone "example.org": It is not a zone's data; see the guide for its counterpart`,
      `${join(folder, "zones.conf")}:7: not taken over: zone "copy.example.org": It is of type "secondary"; what has its data elsewhere is imported there`,
    ]);

    const exported = await meridian("zone", "export", "example.org", "-f", out);
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(
      exported.stdout,
      /^example\.org\.\t300\tIN\tSOA\tns1\.example\.org\. hostmaster\.example\.org\. 2026112301 /,
    );
    assert.match(exported.stdout, /^node-3\.example\.org\.\t300\tIN\tA\t192\.0\.2\.3$/m);
    const port = await startKnot(t, join(folder, "knot"), [
      { origin: "example.org.", text: exported.stdout },
    ]);

    const server = `@127.0.0.1:${port}`;
    const equal = await meridian("zone", "diff", out, server, "--zone", "example.org");
    assert.deepEqual([equal.code, equal.stdout], [0, ""], equal.stderr);

    const file = join(out, "zone-example.org.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("192.0.2.80", "192.0.2.81"));
    const differing = await meridian("zone", "diff", out, server, "--zone", "example.org");
    assert.deepEqual(
      [differing.code, differing.stdout],
      [
        10,
        "+ www.example.org.\t60\tIN\tA\t192.0.2.80\n- www.example.org.\t60\tIN\tA\t192.0.2.81\n",
      ],
    );
    const refused = await meridian("zone", "diff", out, server, "--zone", "example.net");
    assert.equal(refused.code, 4, refused.stderr);
    const foreign = await meridian("zone", "diff", server, server, "--zone", "example.net");
    assert.equal(foreign.code, 3, foreign.stderr);
    assert.match(foreign.stderr, /Cannot transfer the zone from 127.0.0.1:\d+: it answers NOTAUTH/);
  },
);

test("zone export has for a routed name what a client of no known place gets", async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "zone.yaml");
  const documents = [
    ["Zone", "example.org", { origin: "example.org", nameServers: [{ name: "ns.example.net" }] }],
    ["Pool", "eu", { members: { a: { address: "192.0.2.1" } } }],
    ["Pool", "us", { members: { a: { address: "192.0.2.2" } } }],
    [
      "TrafficPolicy",
      "web",
      {
        root: "place",
        nodes: {
          place: {
            geo: {
              branches: [
                { pool: "eu", continents: ["EU"] },
                { pool: "us", default: true },
              ],
            },
          },
        },
      },
    ],
    ["Record", "www.example.org", { name: "www.example.org", policy: "web", ttl: { max: "30s" } }],
  ].map(([kind, name, spec]) =>
    JSON.stringify({ apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec }),
  );
  writeFileSync(file, `${documents.join("\n---\n")}\n`);
  const { code, stdout, stderr } = await meridian("zone", "export", "example.org", "-f", file);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^; www\.example\.org \(A, AAAA\) follows policy\/default\/web;/);
  assert.match(stdout, /^www\.example\.org\.\t30\tIN\tA\t192\.0\.2\.2$/m);
  const forms = ["all", "omit"].map(async (form) => {
    const export_ = ["zone", "export", "example.org", "-f", file, "--transfer-as", form];
    const { stdout: text } = await meridian(...export_);
    return [...text.matchAll(/^www\S*\t30\tIN\tA\t(\S+)$/gm)].map(([, address]) => address);
  });
  assert.deepEqual(await Promise.all(forms), [["192.0.2.1", "192.0.2.2"], []]);
});

test("zone check shows every problem of a master file at once, each with its line", async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, "db");
  writeFileSync(
    file,
    `$TTL 300
@ SOA ns h 1 2 3 4 5
@ NS ns
www CNAME web
www A 192.0.2.1
a A 192.0.2.256
b MX ten mail
@ MX 10 www
`,
  );
  const { code, stdout } = await meridian("zone", "check", file, "--zone", "example.org");
  assert.equal(code, 2);
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    `error: Cannot read ${file}:6:5: address is "192.0.2.256", expected an IPv4 address`,
    `error: Cannot read ${file}:7:6: preference is "ten", expected a number 0..65535`,
    `${file}:3: error: Name server "ns.example.org." of "example.org." has no address in the zone [server-address-missing]`,
    `${file}:8: warning: Target of MX "example.org." 10 www.example.org. is a CNAME, expected a name with addresses [target-is-cname]`,
    `${file}:4: error: CNAME at "www.example.org." has other data beside it: A [cname-and-other-data]`,
    "5 records, 4 errors, 1 warnings",
  ]);
});
