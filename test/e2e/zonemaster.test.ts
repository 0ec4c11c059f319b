// SPDX-License-Identifier: Apache-2.0

// Zonemaster, as registries run it, over the zone of the quickstart, signed: nothing at or above WARNING (docs/reference/conformance.md).
// In a network of its own, with Knot as the root that delegates the zone. Needs the right to make a network namespace.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { needs, programPath } from "../needs.ts";
import { program } from "../program.ts";
import { temporaryFolder } from "./process.ts";

const root = `. 300 SOA a.root. h.root. 1 7200 900 1209600 60
. 300 NS a.root.
. 300 NS b.root.
a.root. 300 A 127.0.0.51
b.root. 300 A 127.0.0.52
example.org. 300 NS ns1.example.org.
example.org. 300 NS ns2.example.org.
ns1.example.org. 300 A 127.0.0.53
ns2.example.org. 300 A 127.0.0.54
`;

const quickstart = resolve(import.meta.dirname, "../../deploy/examples/quickstart");
const nameServers = "nameServers:\n    - { name: ns1.example.org, addresses: [127.0.0.1] }\n";

/** What the quickstart's zone gets: a second address, and keys; times so short that the parent may have a DS at once. */
const signed = `ttl: 2s
  dnssec:
    { dnskeyTtl: 1s, maxZoneTtl: 5s, propagationDelay: 1s, parentServers: [{ address: 127.0.0.51 }] }
  nameServers:
    - { name: ns1.example.org, addresses: [127.0.0.53] }
    - { name: ns2.example.org, addresses: [127.0.0.54] }
`;

const skip =
  needs("zonemaster-cli", "zonemaster-cli") ||
  needs("knotd", "knot") ||
  needs("kdig", "knot-dnsutils") ||
  cannotUnshare();

test("Zonemaster finds nothing at or above WARNING", { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const names = ["Nameserver", "Zone", "DNSSEC", "Consistency", "Syntax", "Delegation"];
  cpSync(quickstart, join(folder, "documents"), { recursive: true });
  const file = join(folder, "documents/regions.yaml");
  const regions = readFileSync(file, "utf8");
  assert.ok(regions.includes(nameServers));
  writeFileSync(file, regions.replace(nameServers, signed));
  mkdirSync(join(folder, "knot"));
  writeFileSync(join(folder, "root.zone"), root);
  writeFileSync(join(folder, "hints"), root.split("\n").slice(1, 5).join("\n"));
  writeFileSync(
    join(folder, "knot.conf"),
    `server:
  rundir: "${folder}/knot"
  listen: [127.0.0.51@53, 127.0.0.52@53]
database:
  storage: "${folder}/knot"
zone:
  - domain: .
    storage: "${folder}"
    file: root.zone
`,
  );
  const script = `ip link set lo up && cd '${folder}' || exit 9
meridian="'${process.execPath}' '${program}'"
eval exec "$meridian" up -f documents --state state --http none --workers 1 --listen 127.0.0.53:53 127.0.0.54:53 > meridian.log 2>&1 & server=$!
trap 'kill $server $knot; wait' EXIT
tries=0
until eval "$meridian" dnssec ds example.org --state state | grep ' DS ' > ds; do
  tries=$((tries + 1)); [ $tries -lt 30 ] || { cat meridian.log; exit 8; }; sleep 1
done
cat ds >> root.zone
'${programPath("knotd") ?? "knotd"}' -c knot.conf > knot.log 2>&1 & knot=$!
until kdig +short +timeout=1 +retry=0 @127.0.0.51 . SOA | grep -q root; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || { cat knot.log; exit 8; }; sleep 0.1
done
zonemaster-cli --no-ipv6 --json --hints hints --level WARNING ${names.map((name) => `--test ${name}`).join(" ")} example.org
`;
  const child = spawn("unshare", ["-n", "sh", "-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors += chunk;
  });
  await once(child, "close");
  assert.equal(output.trim(), "[]", errors);
});

function cannotUnshare(): string | false {
  const { status } = spawnSync("unshare", ["-n", "true"]);
  return status === 0 ? false : "A network namespace cannot be made here, expected root";
}
