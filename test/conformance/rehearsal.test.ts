// SPDX-License-Identifier: Apache-2.0

// A worker that rehearses before it answers counts nothing of it, and answers as any other.

import assert from "node:assert/strict";
import { test } from "node:test";
import { queryHandlerModule, type HandlerModule, type HandlerReport } from "@meridian/edge";
import { OverlayWriter } from "@meridian/snapshot";
import { loadModel, TestServer, wire } from "./test-server.ts";
import { encodeMessage, makeQuery, RRType } from "@meridian/dns";

const zone = {
  origin: "example.org.",
  text: `$ORIGIN example.org.
@ 60 IN SOA ns root 1 2 3 4 5
@ 60 IN NS ns
ns 60 IN A 192.0.2.1
www 60 IN A 192.0.2.2
`,
};

test("rehearse() leaves counters, top names and answers as they were", async () => {
  const world = loadModel({ zones: [zone] });
  const overlay = new OverlayWriter(world.initialSlots());
  const module: HandlerModule = await import(queryHandlerModule.href);
  const reports: HandlerReport[] = [];
  const binding = await module.createHandler(
    { kind: "query" },
    { index: 0, role: "udp", post: (report) => reports.push(report as HandlerReport) },
  );
  binding.rehearse?.();
  binding.onMessage({
    kind: "snapshot",
    revision: 1,
    world: world.share(),
    overlay: overlay.buffer,
    slotCount: overlay.slotCount,
  });
  binding.rehearse?.();

  const buffers = reports.flatMap((report) =>
    report.kind === "buffers"
      ? [report.counters, report.topNames]
      : report.kind === "serving"
        ? [report.counters]
        : [],
  );
  assert.equal(buffers.length, 3);
  for (const buffer of buffers)
    assert.ok(
      new Uint32Array(buffer).every((word) => word === 0),
      "nothing was counted",
    );

  const packet = encodeMessage(makeQuery(wire("www.example.org."), RRType.A, { edns: {} }));
  const output = new Uint8Array(1232);
  binding.handler.beginBatch();
  const source = Uint8Array.of(198, 51, 100, 7);
  const length = binding.handler.handle(
    ...[packet, 0, packet.length, output, 0, output.length, source, 0, 4, false],
  );
  binding.handler.endBatch();
  assert.deepEqual(output.slice(0, length), new TestServer(world).askBytes(packet));
});
