// SPDX-License-Identifier: Apache-2.0

// What an edge says of its queries: counters, and a log from which any answer can be given again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { RRType } from "@meridian/dns";
import {
  counterShape,
  FixedCounter,
  formatLogLine,
  makeLogBuffer,
  QueryLogReader,
  QueryLogWriter,
  SnapshotCounters,
  type LogRecord,
} from "@meridian/edge";
import { SelectionLayout } from "@meridian/snapshot";
import { boundModel } from "./bound-model.ts";
import { TestServer } from "./test-server.ts";

const privacy = { prefixIpv4: 24, prefixIpv6: 56 };

function loggedServer(): { server: TestServer; reader: QueryLogReader } {
  const buffer = makeLogBuffer(1 << 20);
  const server = new TestServer(boundModel, { log: new QueryLogWriter(buffer, privacy) });
  return { server, reader: new QueryLogReader(buffer) };
}

test("a logged query, asked again of its revision and sequence at its time, gives the same bytes", () => {
  const { server, reader } = loggedServer();
  const random = new Pcg32(9);
  const names = [
    "app.example.org.",
    "link.example.org.",
    "never.example.org.",
    "example.org.",
    "x.example.org.",
  ];
  for (let round = 0; round < 300; round++) {
    server.nowMs += random.next32() % 30_000;
    const name = names[round % names.length] ?? ".";
    const edns = {
      options: [{ code: 8, data: Uint8Array.of(0, 1, 24, 0, 203, 0, random.next32() % 200) }],
    };
    const source = Uint8Array.of(198, 51, random.next32(), random.next32());
    server.ask(name, round % 2 === 0 ? RRType.A : RRType.HTTPS, {
      edns,
      source,
      isTcp: round % 3 === 0,
    });
  }
  const records: LogRecord[] = [];
  reader.drain((record) => records.push(record));
  assert.equal(records.length, 300);
  const replay = new TestServer(boundModel);
  for (const record of records) {
    replay.nowMs = record.timeMs;
    const bytes = replay.askBytes(record.packet, { source: record.client, isTcp: record.isTcp });
    assert.deepEqual(bytes, record.answer);
  }
});

test("a line names what was asked, by whom (a prefix) and what was chosen", () => {
  const { server, reader } = loggedServer();
  server.ask("App.example.org.", RRType.A, { source: Uint8Array.of(203, 0, 113, 9) });
  const lines: string[] = [];
  reader.drain((record) =>
    lines.push(
      formatLogLine(record, {
        endpoint: (index) => server.world.endpointName(index),
        view: (index) => String(index),
      }),
    ),
  );
  const line: Record<string, unknown> = JSON.parse(lines[0] ?? "{}");
  const { name, type, client, rcode, endpoints, transport, revision, time } = line;
  assert.deepEqual(
    { name, type, client, rcode, endpoints, transport, revision, time },
    {
      name: "App.example.org.",
      type: "A",
      client: "203.0.113.0/24",
      rcode: "NOERROR",
      endpoints: ["endpoint/default/eu/eu-1"],
      transport: "udp",
      revision: 1,
      time: "2023-11-14T22:13:20.000Z",
    },
  );
});

test("queries are counted by transport, rcode, zone, target and endpoint", () => {
  const server = new TestServer(boundModel);
  server.ask("lone.example.org.", RRType.A);
  server.ask("lone.example.org.", RRType.A, { isTcp: true });
  server.ask("nowhere.example.org.", RRType.A);
  server.ask("example.com.", RRType.A, { edns: {} });
  server.askBytes(new Uint8Array(3));
  const fixed = new Uint32Array(server.counters.fixedBuffer);
  assert.deepEqual(
    [FixedCounter.udpQueries, FixedCounter.tcpQueries, FixedCounter.silent, FixedCounter.edns].map(
      (at) => fixed[at],
    ),
    [4, 1, 1, 1],
  );
  assert.deepEqual(
    [0, 3, 5].map((rcode) => fixed[FixedCounter.firstRcode + rcode]),
    [2, 1, 1],
  );
  const { zones, policies, pools } = server.world;
  const layout = new SnapshotCounters({
    zones: zones.zones.length,
    policies: policies.policyCount,
    pools: pools.poolCount,
    endpoints: pools.endpointCount,
  });
  const words = new Uint32Array(server.counters.snapshotBuffer);
  const eu = [...Array(pools.endpointCount).keys()].findIndex(
    (index) => pools.memberName(index) === "eu-1",
  );
  assert.equal(words[0], 3);
  assert.equal(words[layout.poolBase + pools.poolOfEndpoint(eu)], 2);
  assert.equal(words[layout.endpointBase + eu], 2);
});

test("an answer without a record is counted as empty, a referral or a name that is not there is none", () => {
  const server = new TestServer(boundModel);
  const fixed = new Uint32Array(server.counters.fixedBuffer);
  server.ask("lone.example.org.", RRType.A);
  server.ask("nowhere.example.org.", RRType.A);
  server.ask("example.com.", RRType.A);
  assert.equal(fixed[FixedCounter.empty], 0);
  server.ask("lone.example.org.", RRType.MX);
  assert.equal(fixed[FixedCounter.empty], 1);
});

test("answers are counted by node, branch and audience, once a query", () => {
  const server = new TestServer(boundModel);
  const { world } = server;
  const selection = new SelectionLayout(world);
  const layout = new SnapshotCounters(counterShape(world, selection));
  for (const last of [1, 2, 3])
    server.ask("app.example.org.", RRType.A, { source: Uint8Array.of(203, 0, 113, last) });
  server.ask("app.example.org.", RRType.AAAA, { source: Uint8Array.of(198, 51, 100, 1) });
  const words = new Uint32Array(server.counters.snapshotBuffer);
  assert.equal(words.length * 4, layout.bytes);
  const counted = (base: number, count: number): number[] =>
    [...words.subarray(base, base + count)].filter((value) => value > 0).toSorted((a, b) => a - b);
  assert.deepEqual(counted(layout.nodeBase, selection.nodes), [4]);
  assert.deepEqual(counted(layout.branchBase, selection.branches), [1, 3]);
  assert.deepEqual(counted(layout.audienceBase, selection.audiences), [1, 3]);
});
