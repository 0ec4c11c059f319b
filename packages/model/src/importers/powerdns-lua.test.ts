// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModel } from "../load.ts";
import { formatProblem } from "../problem.ts";
import { yamlText } from "../read-yaml.ts";
import { importPowerdnsLua } from "./powerdns-lua.ts";

const zone = `$TTL 60
@ SOA ns1 h 1 7200 900 1209600 60
@ NS ns1
ns1 A 192.0.2.53
www IN LUA A "ifportup(443, {'192.0.2.1', '192.0.2.2'})"
    LUA AAAA "ifurlup('https://www.example.org/alive', {{'2001:db8::1'}, {'2001:db8::2'}}, {selector='all', stringmatch='ok', useragent='x'})"
w 30 IN LUA A ( "pickwrandom({{10, '192.0.2.3'}, "
                "{30, '192.0.2.4'}})" )
h LUA A "pickwhashed({{1,'192.0.2.5'},{2,'192.0.2.6'}})"
e LUA A "ifportup(80, {'192.0.2.7'}, {backupSelector='empty'})"
c LUA CNAME "pickrandom({'a.example.net.', 'b.example.net.'})"
near LUA A "pickclosest({'192.0.2.1','198.51.100.1'})"
code LUA A "if country('US') then return '192.0.2.8' end"
t LUA TXT "os.date()"
`;

test("LUA records that are one call become Records that load; the others are listed with their lines", () => {
  const { documents, unmapped, mistakes } = importPowerdnsLua({
    path: "db",
    origin: "example.org",
    readFile: () => new TextEncoder().encode(zone),
  });
  assert.deepEqual(mistakes, []);
  assert.deepEqual(
    unmapped.map(({ line, why }) => `${line} ${why}`),
    [
      "6 The option useragent is left out",
      "12 The function pickclosest has no counterpart",
      "13 It is more than one call with texts, numbers and tables",
      "14 Only A, AAAA and CNAME follow a pool or policy",
    ],
  );
  const text = documents.map((document) => yamlText(document)).join("---\n");
  const bytes = new TextEncoder().encode(text);
  const { model, problems } = loadModel([{ path: "lua.yaml", bytes }], { now: 0 });
  assert.ok(model !== undefined, `${problems.map(formatProblem).join("\n")}\n${text}`);
  const found = documents.flatMap(({ kind, metadata, spec }) =>
    kind === "Record"
      ? [`${String(metadata["name"])} ${String(spec["pool"] ?? spec["policy"])}`]
      : [],
  );
  assert.deepEqual(found, [
    "www.example.org-a www-example-org-a",
    "www.example.org-aaaa www-example-org-aaaa",
    "w.example.org-a w-example-org-a",
    "h.example.org-a h-example-org-a",
    "e.example.org-a e-example-org-a",
    "c.example.org-cname c-example-org-cname",
  ]);
  const weighted = model.pool("default", "w-example-org-a");
  assert.deepEqual(
    Object.values(weighted?.document.spec.members ?? {}).map(({ address, weight }) => [
      address,
      weight,
    ]),
    [
      ["192.0.2.3", 10],
      ["192.0.2.4", 30],
    ],
  );
});
