// SPDX-License-Identifier: Apache-2.0

// docs/guides/keep-your-dns.md: BIND and Knot stay the primaries of their zones, and are told what is decided of routed names.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { RRType, decodeMessage, encodeMessage, formatRdata, makeQuery } from "@meridian/dns";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { wire } from "../conformance/test-server.ts";
import { needs } from "../needs.ts";
import { startDaemon } from "../peers/daemon.ts";
import {
  ServerProcess,
  busyFactor,
  freePort,
  meridian,
  temporaryFolder,
  until,
} from "./process.ts";

const run = promisify(execFile);
const PUBLISHED_MS_MAX = 60_000;
const secret = "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCBrZXk=";
const zoneText = `$TTL 300
@ SOA ns h 1 7200 900 1209600 60
@ NS ns
ns A 192.0.2.53
taken A 192.0.2.99
`;

const skip =
  needs("named", "bind9") || needs("knotd", "knot") || needs("knsupdate", "knot-dnsutils");

test(
  "other primaries are kept told what is decided, and nothing else of theirs is touched",
  { skip },
  async (t) => {
    const folder = temporaryFolder(t);
    const zones = [
      { origin: "bind.test.", port: await freePort() },
      { origin: "knot.test.", port: await freePort() },
    ] as const;
    await startBind(t, join(folder, "bind"), zones[0].port);
    await startKnot(t, join(folder, "knot"), zones[1].port);
    const stateDir = join(folder, "state");
    const secrets = join(stateDir, "secrets", "default");
    mkdirSync(secrets, { recursive: true, mode: 0o700 });
    writeFileSync(join(secrets, "publish"), secret, { mode: 0o600 });
    const files = join(folder, "documents.yaml");
    writeFileSync(files, [pools, ...zones.map(zoneDocuments)].join("\n---\n"));
    const server = await ServerProcess.start(t, { files, stateDir });

    const primaries = await Promise.all(
      zones.map(async ({ origin, port }) => ({
        ...{ origin, port, client: await udpClient("127.0.0.1", port) },
      })),
    );
    t.after(() => {
      for (const { client } of primaries) client.close();
    });
    const published = async (wanted: readonly string[]): Promise<void> => {
      for (const { origin, client } of primaries)
        await until(`${wanted.join()} at ${origin}`, PUBLISHED_MS_MAX * busyFactor(), async () => {
          const found = [
            ...(await answersOf(client, `www.${origin}`, RRType.A)),
            ...(await answersOf(client, `www.${origin}`, RRType.AAAA)),
          ];
          return found.join() === wanted.join();
        });
    };
    await published(["192.0.2.1"]);
    for (const { origin, client } of primaries) {
      assert.deepEqual(await answersOf(client, `_meridian.www.${origin}`, RRType.TXT), [
        `"owner=meridian/default/${origin.slice(0, -1)}"`,
      ]);
      assert.deepEqual(await answersOf(client, `taken.${origin}`, RRType.A), ["192.0.2.99"]);
    }

    const state = ["--state", stateDir] as const;
    const drain = (pool: string) =>
      meridian(
        "drain",
        `pool/default/${pool}`,
        "--for",
        "10m",
        "--reason",
        "test",
        "--yes",
        ...state,
      );
    assert.equal((await drain("first")).code, 0);
    await published(["192.0.2.2", "2001:db8::2"]);
    // Nothing is left to answer with: what was published last stays.
    assert.equal((await drain("second")).code, 0);
    const explained = await meridian("explain", "www.bind.test", ...state);
    assert.match(
      explained.stdout,
      /published to 127\.0\.0\.1 port \d+ at 20\S+: 30 A 192\.0\.2\.2, 30 AAAA 2001:db8::2/,
      explained.stderr,
    );
    const taken = await meridian("explain", "taken.bind.test", ...state);
    assert.match(taken.stdout, /not published to .*records there that are not ours/);

    // Somebody changes it there; a control that starts looks at all.
    for (const { origin, port } of primaries) {
      const script = join(folder, `${origin}update`);
      writeFileSync(
        script,
        `server 127.0.0.1 ${port}\nzone ${origin}\nupdate delete www.${origin} A\nsend\n`,
      );
      await run("knsupdate", ["-y", `hmac-sha256:publish.test:${secret}`, script]);
    }
    await published(["2001:db8::2"]);
    await meridian("undrain", "pool/default/second", ...state);
    await server.kill();
    await ServerProcess.start(t, { files, stateDir });
    await published(["192.0.2.2", "2001:db8::2"]);
  },
);

const pools = `
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: first }
spec: { members: { a: { address: 192.0.2.1 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: second }
spec: { members: { a: { address: 192.0.2.2, alsoAddress: "2001:db8::2" } } }
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: web }
spec:
  root: order
  nodes:
    order:
      failover:
        tiers: [{ branches: [{ pool: first }] }, { branches: [{ pool: second }] }]
`;

function zoneDocuments(zone: { readonly origin: string; readonly port: number }): string {
  const { port } = zone;
  const origin = zone.origin.slice(0, -1);
  const record = (name: string): string => `
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: ${name}.${origin} }
spec: { name: ${name}.${origin}, policy: web, ttl: { max: 30s } }
`;
  return `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: ${origin} }
spec:
  origin: ${origin}
  nameServers: [{ name: ns.${origin}, addresses: [192.0.2.53] }]
  tsigKeys: { publish.test: { secret: { file: publish } } }
  publishTo: { address: 127.0.0.1, port: ${port}, tsigKey: publish.test }
---${record("www")}---${record("taken")}`;
}

async function startBind(t: Parameters<typeof startDaemon>[0], folder: string, port: number) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "zone"), zoneText);
  const configuration = join(folder, "named.conf");
  writeFileSync(
    configuration,
    `options {
  directory "${folder}"; pid-file none; session-keyfile none; recursion no;
  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };
};
controls { };
key "publish.test" { algorithm hmac-sha256; secret "${secret}"; };
zone "bind.test" {
  type primary; file "zone";
  update-policy { grant publish.test zonesub ANY; };
};
`,
  );
  await startDaemon(t, "named", ["-g", "-c", configuration], /\brunning\b/);
}

async function startKnot(t: Parameters<typeof startDaemon>[0], folder: string, port: number) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "zone"), zoneText);
  const configuration = join(folder, "knot.conf");
  writeFileSync(
    configuration,
    `server:
  rundir: "${folder}"
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stdout
    any: info
database:
  storage: "${folder}"
key:
  - id: publish.test
    algorithm: hmac-sha256
    secret: ${secret}
acl:
  - id: publish
    key: publish.test
    action: update
zone:
  - domain: knot.test
    storage: "${folder}"
    file: zone
    zonefile-sync: -1
    acl: publish
`,
  );
  await startDaemon(t, "knotd", ["-c", configuration], /server started/);
}

async function answersOf(client: DnsClient, name: string, type: number): Promise<string[]> {
  const message = decodeMessage(await client.ask(encodeMessage(makeQuery(wire(name), type))));
  assert.ok(!("error" in message));
  return message.answer.map(({ rdata }) => formatRdata(type, rdata)).toSorted();
}
