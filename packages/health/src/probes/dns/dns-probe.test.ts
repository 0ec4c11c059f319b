// SPDX-License-Identifier: Apache-2.0

import { Pcg32 } from "@meridian/core";
import {
  decodeMessage,
  encodeMessage,
  parseIpv4,
  Rcode,
  RRType,
  type Message,
} from "@meridian/dns";
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test, type TestContext } from "node:test";
import { defaultTiming, type DnsCheck } from "../../check.ts";
import { portOf, runProbe, targetAt } from "../../testing/probe-run.ts";
import { DnsProbe } from "./dns-probe.ts";

function probeAt(port: number, fields: Partial<DnsCheck> = {}): DnsProbe {
  const check: DnsCheck = {
    ...defaultTiming,
    kind: "dns",
    queryName: "www.example.org.",
    queryType: "A",
    rcodes: ["NOERROR"],
    ...fields,
  };
  return new DnsProbe(targetAt(port, check), check, new Pcg32(7));
}

/** A name server on loopback; `answer` makes the datagrams sent back for a query. */
async function serve(
  context: TestContext,
  answer: (query: Message) => readonly (Message | Uint8Array)[],
): Promise<number> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, from) => {
    const query = decodeMessage(bytes);
    if ("error" in query) return;
    for (const each of answer(query)) {
      socket.send(each instanceof Uint8Array ? each : encodeMessage(each), from.port, from.address);
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.bind(0, "127.0.0.1", resolve);
  await promise;
  context.after(() => socket.close());
  return portOf(socket.address());
}

function reply(query: Message, rcode: number, addresses: readonly string[] = []): Message {
  const owner = query.question[0]?.name ?? new Uint8Array(1);
  return {
    ...query,
    rcode,
    flags: { ...query.flags, qr: true },
    answer: addresses.map((address) => {
      const rdata = parseIpv4(address) ?? new Uint8Array(4);
      return { owner, type: RRType.A, class: 1, ttl: 5, rdata };
    }),
  };
}

test("DnsProbe passes on an accepted rcode and the wanted answer", async (context) => {
  const port = await serve(context, (query) => [
    reply(query, Rcode.NOERROR, ["192.0.2.1", "192.0.2.2"]),
  ]);
  assert.deepEqual(await runProbe(probeAt(port)), { outcome: "pass", reason: "rcode NOERROR" });
  const wanted = await runProbe(probeAt(port, { answerContains: "192.0.2.2" }));
  assert.equal(wanted.outcome, "pass");
  const lacking = await runProbe(probeAt(port, { answerContains: "192.0.2.9" }));
  assert.equal(lacking.reason, "rcode NOERROR, answer lacks the wanted text");
});

test("DnsProbe fails on another rcode unless it is accepted", async (context) => {
  const port = await serve(context, (query) => [reply(query, Rcode.REFUSED)]);
  const strict = await runProbe(probeAt(port));
  assert.deepEqual(strict, { outcome: "fail", reason: "rcode REFUSED, wanted NOERROR" });
  const lenient = await runProbe(probeAt(port, { rcodes: ["NOERROR", "REFUSED"] }));
  assert.equal(lenient.outcome, "pass");
});

test("DnsProbe ignores garbage, another id, another question and echoes", async (context) => {
  const port = await serve(context, (query) => {
    const good = reply(query, Rcode.NOERROR, ["192.0.2.1"]);
    const other = good.question.map((question) => ({ ...question, type: RRType.AAAA }));
    return [
      Uint8Array.of(1, 2, 3),
      { ...good, id: (query.id + 1) & 0xffff, rcode: Rcode.SERVFAIL },
      { ...good, question: other, rcode: Rcode.SERVFAIL },
      query,
      good,
    ];
  });
  assert.deepEqual(await runProbe(probeAt(port)), { outcome: "pass", reason: "rcode NOERROR" });
});

test("DnsProbe says that a port is closed, and a silent server times out", async (context) => {
  const silent = await serve(context, () => []);
  assert.equal((await runProbe(probeAt(silent), 100)).reason, "no answer in 100 ms");
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.bind(0, "127.0.0.1", resolve);
  await promise;
  const port = portOf(socket.address());
  const closed = Promise.withResolvers<void>();
  socket.close(() => {
    closed.resolve();
  });
  await closed.promise;
  assert.equal((await runProbe(probeAt(port), 500)).reason, "connection refused");
});
