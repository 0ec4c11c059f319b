// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Fastify from "fastify";
import { Embedded } from "./embedded.ts";
import { addLatencyRoute } from "./latency-route.ts";
import { LatencySamples } from "./latency-samples.ts";
import { MemoryPersistence, silent } from "./testing/control-fixture.ts";
import { latencyDocuments } from "./testing/latency-documents.ts";

test("POST /v1/latency takes CSV and JSON, refuses what is wrong, and publishes what follows from it", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-latency-route-"));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "rtt.csv"), "192.0.2.0/24,eu,10\n192.0.2.0/24,us,90\n");
  writeFileSync(join(folder, "model.yaml"), latencyDocuments(join(folder, "rtt.csv")));
  const latency = new LatencySamples({
    folder: join(folder, "latency"),
    onChange: () => embedded.recompile(),
  });
  const embedded = new Embedded({
    files: [join(folder, "model.yaml")],
    edge: { publish: () => {} },
    logger: silent,
    persistence: new MemoryPersistence(),
    latencyFolder: join(folder, "latency"),
    probing: false,
    allowEmpty: false,
    vantage: "test",
  });
  const server = Fastify();
  addLatencyRoute(server, embedded, latency);
  context.after(async () => {
    latency.close();
    await Promise.all([embedded.close(), server.close()]);
  });
  await embedded.start();
  const post = async (
    dataSet: string,
    type: string,
    payload: string,
  ): Promise<readonly [number, string]> => {
    const url = `/v1/latency?dataSet=${dataSet}`;
    const headers = { "content-type": type };
    const { statusCode, body } = await server.inject({ method: "POST", url, headers, payload });
    return [statusCode, body];
  };
  const row = "192.0.2.0/24,us,1,100,2026-01-01T00:00:00Z\n";
  assert.deepEqual(await post("other", "text/csv", row), [
    404,
    '{"error":"No latency data set \\"other\\", expected one of: rtt"}',
  ]);
  const [status, body] = await post("rtt", "application/json", '[{"prefix":"x"}]');
  assert.equal(status, 400);
  assert.match(body, /row 1 is .*LATENCY_REFUSED/);
  const { revision } = embedded;
  assert.deepEqual(await post("rtt", "text/csv", row), [200, '{"accepted":1}']);
  const json = '[{"prefix":"192.0.2.0/24","site":"eu","rtt_ms":700,"samples":50}]';
  assert.deepEqual(await post("rtt", "application/json", json), [200, '{"accepted":1}']);
  const deadline = performance.now() + 60_000;
  while (embedded.revision === revision) {
    assert.ok(performance.now() < deadline, "a report is compiled within a minute");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(embedded.revision, revision + 1);
});
