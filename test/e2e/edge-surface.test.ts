// SPDX-License-Identifier: Apache-2.0

// What is asked of edges on their own machines: metrics, readiness, why, and any answer again; and the replacing of one under load.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { addressesIn, ask, queryFor } from "./ask.ts";
import { failoverDocuments } from "./documents.ts";
import { joinedEdge, startPairPlane } from "./edge-processes.ts";
import { busyFactor, freePort, meridian, until } from "./process.ts";

const LOOK_MS_MAX = 60_000;
/** Control is heard of every second. */
const STALE_S_MAX = 5;
const NAMES = ["eu-0", "eu-1", "us-0", "us-1"];
const NAME = "www.e2e.example";

test("each of four edges tells what it serves and why, cut off too, and is replaced without a lost query", async (t) => {
  const plane = await startPairPlane(
    t,
    { primary: "127.0.0.43", secondary: "127.0.0.44", intervalMs: 400, timeoutMs: 300 },
    failoverDocuments,
  );
  const { pair, primary, control, folder } = plane;
  const machines = await Promise.all(
    NAMES.map(async (name) => {
      const [port, http] = [await freePort(), await freePort()];
      const log = join(folder, `${name}.jsonl`);
      const edge = await joinedEdge(t, plane, name, port, [
        ...["--http", `127.0.0.1:${http}`, "--query-log", log, "--query-log-sample", "1"],
      ]);
      return { name, edge, port, http: `http://127.0.0.1:${http}`, log };
    }),
  );
  await Promise.all(
    machines.map(async ({ edge }) => {
      await edge.start(/"msg":"Asked locally"/);
      await edge.whenLogged(/"msg":"Serving a new revision"/);
    }),
  );
  const clients = await Promise.all(machines.map(({ port }) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  const untilAnswered = (address: string): Promise<unknown> =>
    until(`the answer ${address} of all`, LOOK_MS_MAX * busyFactor(), async () => {
      const answers = await Promise.all(clients.map((client) => ask(client, NAME, "A")));
      return answers.every((found) => found.join(" ") === address);
    });
  await untilAnswered(pair.primary);
  primary.kill();
  await untilAnswered(pair.secondary);
  await Promise.all(clients.map((client) => ask(client, "nowhere.e2e.example", "A")));

  for (const { edge, http } of machines) {
    const metrics = await (await fetch(`${http}/metrics`)).text();
    assert.match(metrics, /^meridian_snapshot_revision 1$/m);
    assert.match(metrics, /^meridian_link_connected 1$/m);
    assert.match(metrics, /^meridian_link_isolated 0$/m);
    assert.match(metrics, /^meridian_dns_responses_total\{rcode="NXDOMAIN"\} 1$/m);
    assert.match(metrics, /^meridian_zone_queries_total\{zone="e2e.example."\} [1-9]/m);
    await until("news of control", LOOK_MS_MAX, async () => {
      const text = await (await fetch(`${http}/metrics`)).text();
      return Number(/^meridian_link_stale_seconds (.+)$/m.exec(text)?.[1]) < STALE_S_MAX;
    });
    assert.equal((await fetch(`${http}/readyz`)).status, 200);
    // Names of clients and of what is configured are for the local socket alone.
    assert.equal((await fetch(`${http}/v1/endpoints`)).status, 404);
    const explained = await meridian("explain", NAME, "--state", edge.stateDir);
    assert.equal(explained.code, 0, explained.stderr);
    assert.match(explained.stdout, new RegExp(`A ${pair.secondary.replaceAll(".", "\\.")}`));
  }

  const [first] = machines;
  assert.ok(first !== undefined);
  const { edge, log, http } = first;
  const endpoints = await meridian("get", "endpoints", "--state", edge.stateDir);
  assert.match(endpoints.stdout, /endpoint\/default\/primary\/\S+ .*unhealthy.*seen from here/);
  const own = await meridian("get", "edges", "--state", edge.stateDir);
  assert.match(own.stdout, /eu-0 .*true +serving/);
  const history = await meridian("health", "history", "--state", edge.stateDir);
  assert.match(history.stdout, /endpoint\/default\/primary/);
  for (const kind of ["pools", "policies", "health", "latches"])
    assert.equal((await meridian("get", kind, "--state", edge.stateDir)).code, 0, kind);
  const missing = await meridian("get", "records", "--state", edge.stateDir);
  assert.match(missing.stderr, /expected control for documents/);

  // Every answer of the log comes out again, of before and after the flip; also once control is gone and the edge judges by itself.
  await control.kill();
  await edge.whenLogged(/this edge judges by itself/);
  await primary.start();
  await untilAnswered(pair.primary);
  assert.match(await (await fetch(`${http}/metrics`)).text(), /^meridian_link_isolated 1$/m);
  assert.equal((await fetch(`${http}/readyz`)).status, 200);
  await until("the lines of the query log", LOOK_MS_MAX, () =>
    readFileSync(log, "utf8").trimEnd().endsWith("}"),
  );
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  const answers = new Map(lines.map((line) => [answerIn(line), line]));
  assert.ok(answers.size >= 3, "answers of before, during and after the failover");
  for (const line of answers.values()) {
    const replayed = await meridian("explain", "--replay", line, "--state", edge.stateDir);
    assert.equal(replayed.code, 0, `${line}\n${replayed.stdout}${replayed.stderr}`);
  }
  const past = await meridian("explain", NAME, "--at", "1", "--state", edge.stateDir);
  assert.equal(past.code, 0, past.stderr);
  assert.match(past.stdout, /revision 1,/);

  // Another process takes the sockets over while queries come.
  await control.start(/"msg":"Serving edges"/);
  await edge.whenLogged(/"msg":"Follows control again"/);
  const [client] = clients;
  assert.ok(client !== undefined);
  const lost: unknown[] = [];
  let isReplaced = false;
  const asking = (async (): Promise<number> => {
    let count = 0;
    for (; !isReplaced; count++) {
      const found = await client
        .ask(queryFor(NAME, "A"))
        .then(addressesIn, (error: unknown) => [String(error)]);
      if (found.join(" ") !== pair.primary) lost.push(found);
    }
    return count;
  })();
  const before = edge.pid;
  await edge.replace(/"msg":"Asked locally"/);
  isReplaced = true;
  assert.ok((await asking) > 10);
  assert.deepEqual(lost, []);
  assert.notEqual(edge.pid, before);
  const metrics = await (await fetch(`${http}/metrics`)).text();
  assert.match(metrics, /^meridian_link_connected 1$/m);
  assert.equal((await meridian("explain", NAME, "--state", edge.stateDir)).code, 0);
});

function answerIn(line: string): string {
  const parsed: unknown = JSON.parse(line);
  assert.ok(typeof parsed === "object" && parsed !== null);
  const hex: unknown = Reflect.get(parsed, "answer");
  // Without the id of the query.
  return typeof hex === "string" ? hex.slice(4) : "";
}
