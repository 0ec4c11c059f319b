// SPDX-License-Identifier: Apache-2.0

// 5,046 recorded cases on which BIND, NSD, Knot and PowerDNS agree: against the query path in this process, then against the
// ordinary edge over UDP and TCP. The data is not part of the repository: CONFORMANCE_DATA names the folder that holds it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { decodeMessage, encodeMessage, makeQuery, type Message } from "@meridian/dns";
import { needsConformanceData } from "../needs.ts";
import { tcpClient, udpClient } from "./dns-client.ts";
import { batchCases } from "./ferret-batches.ts";
import {
  actualAnswer,
  expectedAnswer,
  queryType,
  readCases,
  type FerretCase,
} from "./ferret-cases.ts";
import { RunningEdge } from "./running-edge.ts";
import { TestServer, wire, type TestModel } from "./test-server.ts";

const CASES = 5046;
/** Few enough that no socket buffer overflows. */
const IN_FLIGHT = 32;
const skip = needsConformanceData();

test("the query path answers every recorded case as four servers do", { skip }, () => {
  const verdict = new Verdict();
  for (const { cases } of batchCases(readCases())) {
    const server = new TestServer(modelOf(cases));
    for (const one of cases) {
      verdict.judge(one, "udp", server.ask(one.query.name, queryType(one)));
      verdict.judge(one, "tcp", server.ask(one.query.name, queryType(one), { isTcp: true }));
    }
  }
  verdict.conclude(2 * CASES);
});

test("the edge answers every recorded case over UDP and over TCP", { skip }, async () => {
  const verdict = new Verdict();
  const edge = await RunningEdge.start();
  const { address, port } = edge.address;
  const udp = await udpClient(address, port);
  for (const { cases } of batchCases(readCases())) {
    await edge.serve(modelOf(cases));
    // A connection a batch: the edge may close one that is idle while it loads.
    const tcp = await tcpClient(address, port);
    for (let from = 0; from < cases.length; from += IN_FLIGHT) {
      const asked = cases.slice(from, from + IN_FLIGHT).map(async (one) => {
        const packet = encodeMessage(makeQuery(wire(one.query.name), queryType(one)));
        const [overUdp, overTcp] = await Promise.all([udp.ask(packet), tcp.ask(packet)]);
        verdict.judge(one, "udp", decode(overUdp));
        verdict.judge(one, "tcp", decode(overTcp));
      });
      await Promise.all(asked);
    }
    tcp.close();
  }
  udp.close();
  await edge.close();
  verdict.conclude(2 * CASES);
});

function modelOf(cases: readonly FerretCase[]): TestModel {
  return { zones: cases.map(({ apex, zone }) => ({ origin: apex, text: zone })) };
}

function decode(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message));
  return message;
}

/** Counts what was compared, and keeps what differs. */
class Verdict {
  #compared = 0;
  readonly #wrong: string[] = [];

  judge(one: FerretCase, transport: string, message: Message): void {
    this.#compared += 1;
    const actual = actualAnswer(one, message);
    const expected = expectedAnswer(one);
    if (isDeepStrictEqual(actual, expected)) return;
    const { id, tag, query, zone } = one;
    this.#wrong.push(
      JSON.stringify({ id, tag, transport, query, zone, actual, expected }, undefined, 1),
    );
  }

  conclude(compared: number): void {
    assert.equal(
      this.#wrong.length,
      0,
      `${this.#wrong.length} answers differ, the first: ${this.#wrong[0]}`,
    );
    assert.equal(this.#compared, compared);
  }
}
