// SPDX-License-Identifier: Apache-2.0

// The commands against a running server: what they print, what they change, and their exit codes.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { failoverDocuments, plainDocuments, type Pair } from "./documents.ts";
import {
  EndpointProcess,
  ServerProcess,
  freePort,
  meridian,
  temporaryFolder,
  until,
} from "./process.ts";

const SEEN_MS_MAX = 60_000;

test("drain moves answers away, says what it empties, and undrain brings them back", async (t) => {
  const { flags, answer, pair } = await setUp(t);
  const unasked = await meridian("drain", "pool/default/primary", "--reason", "test", ...flags);
  assert.equal(unasked.code, 3);
  assert.match(unasked.stderr, /Empties pool\/default\/primary[^]*add --yes/);
  assert.deepEqual(await answer(), [pair.primary]);

  const drained = await meridian(
    ...["drain", "pool/default/primary", "--reason", "test", "--for", "10m", "--yes", ...flags],
  );
  assert.equal(drained.code, 0, drained.stderr);
  await until(
    "the other endpoint",
    SEEN_MS_MAX,
    async () => (await answer())[0] === pair.secondary,
  );
  const shifts = await meridian("get", "shifts", "--output", "json", ...flags);
  const [shift] = parsedRows(shifts.stdout);
  assert.equal(shift?.["target"], "pool/default/primary");
  assert.equal(shift?.["reason"], "test");

  assert.equal((await meridian("undrain", "pool/default/primary", ...flags)).code, 0);
  await until("the first endpoint", SEEN_MS_MAX, async () => (await answer())[0] === pair.primary);
  assert.equal((await meridian("undrain", "pool/default/primary", ...flags)).code, 4);
});

test("drain refuses what is not said well, each with its exit code", async (t) => {
  const { flags } = await setUp(t);
  const drain = async (...args: readonly string[]): Promise<number | null> =>
    (await meridian("drain", ...args, ...flags)).code;
  assert.equal(await drain("pool/default/primary"), 2, "no reason");
  assert.equal(await drain("pool/default/nope", "--reason", "x"), 4, "no such pool");
  assert.equal(await drain("nonsense", "--reason", "x"), 2, "no target");
  assert.equal(await drain("pool/*/primary", "--reason", "x"), 2, "a glob alone");
  assert.equal(
    await drain("pool/default/primary", "--reason", "x", "--for", "100h"),
    2,
    "too long",
  );
  const matching = ["endpoint/default/*/only", "--all-matching", "--reason", "x"];
  assert.equal(await drain(...matching, "--percent", "10", "--yes"), 0);
  const shifts = await meridian("get", "shifts", "--output", "json", ...flags);
  assert.equal(parsedRows(shifts.stdout).length, 2);
});

test("get, health history, explain and snapshot show what is served, as text and as JSON", async (t) => {
  const { flags, pair } = await setUp(t);
  const counts = {
    endpoints: 2,
    pools: 2,
    policies: 1,
    records: 1,
    health: 2,
    sites: 0,
    latches: 0,
  };
  for (const [kind, count] of Object.entries(counts)) {
    const { code, stdout, stderr } = await meridian("get", kind, "--output", "json", ...flags);
    assert.equal(code, 0, stderr);
    assert.equal(parsedRows(stdout).length, count, kind);
  }
  const table = await meridian("get", "endpoints", ...flags);
  assert.match(
    table.stdout,
    /^ENDPOINT +ADDRESS .*\nendpoint\/default\/primary\/only +127\.0\.0\.51:/,
  );
  assert.doesNotMatch(table.stdout, /\u001B/);
  const history = await meridian("health", "history", "endpoint/default/primary", ...flags);
  assert.match(history.stdout, /endpoint\/default\/primary\/only +healthy +unknown/);
  const explained = await meridian("explain", "www.e2e.example", ...flags);
  assert.match(explained.stdout, /failover "tiers"[^]*endpoint\/default\/primary\/only: healthy/);
  assert.match(explained.stdout, new RegExp(`A ${pair.primary.replaceAll(".", "\\.")}`));
  assert.equal((await meridian("explain", "a..b", ...flags)).code, 2);
  const missing = await meridian("explain", "missing.e2e.example", ...flags);
  assert.equal(missing.code, 4, missing.stderr);
  assert.match(missing.stdout, /^missing\.e2e\.example\. A: no such name\n/);
  const foreign = await meridian("explain", "www.elsewhere.example", "--output", "json", ...flags);
  assert.equal(foreign.code, 4, foreign.stderr);
  assert.match(foreign.stdout, /"outcome": "not served here"/);
  assert.equal((await meridian("snapshot", "verify", ...flags)).code, 0);
  const inspected = await meridian("snapshot", "inspect", "--revision", "1", ...flags);
  assert.match(inspected.stdout, /^Revision 1, seed \d+, hash [0-9a-f]{64}\nKIND/);
  assert.equal((await meridian("snapshot", "diff", "1", "1", ...flags)).code, 0);
  assert.equal((await meridian("snapshot", "diff", "1", "9", ...flags)).code, 4);
});

test("the query log has a line for each query asked, and explain --replay gives its bytes again", async (t) => {
  const { flags, ask6, log, server } = await setUp(t);
  for (let query = 0; query < 10; query++) assert.deepEqual(await ask6(), ["2001:db8::1"]);
  const lines = (): string[] =>
    readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes('"type":"AAAA"'));
  await until("ten lines", SEEN_MS_MAX, () => lines().length === 10);
  const line = lines().at(-1) ?? "";
  assert.match(line, /"client":"127\.0\.0\.0\/24"/);
  const replayed = await meridian("explain", "--replay", line, ...flags);
  assert.equal(replayed.code, 0, replayed.stdout + replayed.stderr);
  const top = await meridian("get", "--top", "names", "--output", "json", ...flags);
  assert.equal(parsedRows(top.stdout)[0]?.["name"], "www.e2e.example.");
  const named = String(await server.api("/metrics?top=1"));
  assert.match(named, /top_name_queries\{name="www\.e2e\.example\."\} \d+/);
  assert.doesNotMatch(String(await server.api("/metrics")), /top_name/);
  assert.match(String(await server.api("/metrics")), /dns_queries_total\{transport="udp"\} 1\d\n/);
});

test("delegation tells what the parent of a served zone has to hold", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "child.yaml");
  const stateDir = join(folder, "child");
  writeFileSync(files, plainDocuments("192.0.2.1"));
  await ServerProcess.start(t, { files, stateDir, port: await freePort() });
  const printed = await meridian("delegation", "e2e.example", "--state", stateDir);
  assert.equal(printed.code, 0, printed.stderr);
  assert.match(printed.stdout, /^e2e\.example\. +86400 IN NS +ns\.e2e\.example\.$/m);
  assert.match(printed.stdout, /^ns\.e2e\.example\. +86400 IN A +127\.0\.0\.1$/m);
  assert.equal((await meridian("delegation", "nowhere.example", "--state", stateDir)).code, 4);
});

test("commands say that there is no server, and check shows every problem with its place", async (t) => {
  const folder = temporaryFolder(t);
  const nobody = await meridian("get", "pools", "--state", folder);
  assert.equal(nobody.code, 5);
  assert.match(nobody.stderr, /^Cannot reach Meridian: no process holds the state folder/);
  const file = join(folder, "zone.yaml");
  writeFileSync(file, plainDocuments("192.0.2.1"));
  assert.equal((await meridian("check", file)).code, 0);
  writeFileSync(file, plainDocuments("192.0.2.1").replace("nameServers", "nameservers"));
  const checked = await meridian("check", file);
  assert.equal(checked.code, 2);
  assert.match(checked.stdout, /zone\.yaml:2:\d+: error: .*did you mean "nameServers"/);
  const json: unknown = JSON.parse((await meridian("check", file, "-o", "json")).stdout);
  assert.ok(typeof json === "object" && json !== null && "ok" in json);
  assert.equal(json.ok, false);
  assert.equal((await meridian("frobnicate")).code, 2);
});

interface Setting {
  readonly server: ServerProcess;
  readonly pair: Pair;
  /** `--state FOLDER`. */
  readonly flags: readonly string[];
  readonly answer: () => Promise<string[]>;
  readonly ask6: () => Promise<string[]>;
  readonly log: string;
}

async function setUp(t: TestContext): Promise<Setting> {
  const folder = temporaryFolder(t);
  const pair: Pair = {
    port: await freePort(),
    primary: "127.0.0.51",
    secondary: "127.0.0.52",
    intervalMs: 200,
    timeoutMs: 100,
  };
  const endpoints = [pair.primary, pair.secondary].map(
    (address) => new EndpointProcess(t, address, pair.port),
  );
  await Promise.all(endpoints.map((endpoint) => endpoint.start()));
  const files = join(folder, "documents");
  mkdirSync(files);
  writeFileSync(join(files, "pair.yaml"), failoverDocuments(pair));
  const [port, stateDir, log] = [await freePort(), join(folder, "state"), join(folder, "queries")];
  const server = await ServerProcess.start(t, {
    files,
    stateDir,
    port,
    flags: ["--query-log", log, "--query-log-sample", "1"],
  });
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  const answer = (): Promise<string[]> => ask(client, "www.e2e.example", "A");
  await until("the first endpoint", SEEN_MS_MAX, async () => (await answer())[0] === pair.primary);
  const ask6 = (): Promise<string[]> => ask(client, "www.e2e.example", "AAAA");
  return { server, pair, flags: ["--state", stateDir], answer, ask6, log };
}

function parsedRows(text: string): Record<string, unknown>[] {
  const rows: unknown = JSON.parse(text);
  assert.ok(Array.isArray(rows));
  return rows.map((row: object) => Object.fromEntries(Object.entries(row)));
}
