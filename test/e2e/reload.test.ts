// SPDX-License-Identifier: Apache-2.0

// Files that change under a running server: what is right is taken over, what is wrong is refused as a whole with a clear error, and
// the answers stay.

import assert from "node:assert/strict";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { document, plainDocuments } from "./documents.ts";
import { ServerProcess, freePort, temporaryFolder, until } from "./process.ts";

const SEEN_MS_MAX = 60_000;
const ADDRESS = "192.0.2.1";

/** Something done to the one file of documents, and what is said of it. */
interface Damage {
  readonly name: string;
  readonly apply: (path: string) => void;
  readonly said: RegExp;
}

const damages: readonly Damage[] = [
  {
    name: "a misspelt field",
    apply: (path) => writeFileSync(path, plainDocuments(ADDRESS).replace("origin", "orign")),
    said: /orign.*expected|did you mean|field-unknown/,
  },
  {
    name: "a file that vanishes",
    apply: (path) => rmSync(path),
    said: /declare nothing|no such file/,
  },
  {
    name: "a binary file",
    apply: (path) => writeFileSync(path, Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28])),
    said: /UTF-8/,
  },
  {
    name: "a file of 100 MB",
    apply: (path) => truncateSync(path, 100 * 1024 * 1024),
    said: /104857600 bytes, expected at most/,
  },
  {
    name: "a policy of 64 levels",
    apply: (path) => writeFileSync(path, plainDocuments(ADDRESS) + deepPolicy(64)),
    said: /policy-too-deep/,
  },
  {
    name: "mappings nested 10,000 deep",
    apply: (path) => writeFileSync(path, `${"[".repeat(10_000)}${"]".repeat(10_000)}`),
    said: /nest/,
  },
];

test("wrong files are refused as a whole, and the answers stay", async (t) => {
  const { server, client, file } = await setUp(t);
  for (const { name, apply, said } of damages) {
    apply(file);
    await until(`${name} to be refused`, SEEN_MS_MAX, async () =>
      said.test(await complaints(server)),
    );
    assert.deepEqual(await ask(client, "www.e2e.example", "A"), [ADDRESS], name);
    assert.match(String(await server.api("/metrics")), /problems\{severity="error"\} [1-9]/, name);
    writeFileSync(file, plainDocuments(ADDRESS));
    await until(`the file to be right again after ${name}`, SEEN_MS_MAX, async () => {
      return (await complaints(server)) === "[][]";
    });
  }
  assert.equal(await server.stop(), 0);
});

test("right files are taken over within moments", async (t) => {
  const { client, file, folder } = await setUp(t);
  writeFileSync(file, plainDocuments("192.0.2.7"));
  const answers = async (address: string): Promise<boolean> =>
    (await ask(client, "www.e2e.example", "A"))[0] === address;
  await until("the new address", SEEN_MS_MAX, () => answers("192.0.2.7"));
  // A second file adds to the first.
  const zone = { origin: "more.example", nameServers: [{ name: "ns.other.example" }] };
  const records = [{ name: "www", type: "A", values: ["192.0.2.8"] }];
  writeFileSync(join(folder, "more.yaml"), document("Zone", "more.example", { ...zone, records }));
  await until("the second zone", SEEN_MS_MAX, async () => {
    return (await ask(client, "www.more.example", "A"))[0] === "192.0.2.8";
  });
  assert.ok(await answers("192.0.2.7"));
});

async function setUp(
  t: TestContext,
): Promise<{ server: ServerProcess; client: DnsClient; file: string; folder: string }> {
  const root = temporaryFolder(t);
  const folder = join(root, "documents");
  mkdirSync(folder);
  const file = join(folder, "zone.yaml");
  writeFileSync(file, plainDocuments(ADDRESS));
  const port = await freePort();
  const stateDir = join(root, "state");
  const server = await ServerProcess.start(t, { files: folder, stateDir, port });
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  assert.deepEqual(await ask(client, "www.e2e.example", "A"), [ADDRESS]);
  return { server, client, file, folder };
}

/** What the server finds wrong with its files, as text; `[][]` where nothing is. */
async function complaints(server: ServerProcess): Promise<string> {
  const status = await server.api("/v1/status");
  assert.ok(typeof status === "object" && status !== null);
  assert.ok("problems" in status && "fileErrors" in status);
  return JSON.stringify(status.fileErrors) + JSON.stringify(status.problems);
}

function deepPolicy(levels: number): string {
  const nodes = Object.fromEntries(
    Array.from({ length: levels }, (_, level) => {
      const below = level + 1 < levels ? { node: `n${level + 1}` } : { pool: "one" };
      return [`n${level}`, { weighted: { branches: [{ ...below, weight: 1 }] } }];
    }),
  );
  const pool = document("Pool", "one", { members: { a: { address: "192.0.2.9" } } });
  return pool + document("TrafficPolicy", "deep", { root: "n0", nodes });
}
