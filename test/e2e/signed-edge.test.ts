// SPDX-License-Identifier: Apache-2.0

// Edges sign with what control sends them, and take each other's cookies; one goes on after a start without control.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  decodeMessage,
  EdnsOptionCode,
  encodeMessage,
  findOption,
  makeQuery,
  RRType,
} from "@meridian/dns";
import { udpClient } from "../conformance/dns-client.ts";
import { wire } from "../conformance/test-server.ts";
import { joinedEdge, startPairPlane } from "./edge-processes.ts";
import { freePort, until } from "./process.ts";

const SIGNED_MS_MAX = 30_000;
const NOTHING = new Uint8Array(0);
const documents = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: signed.test }
spec:
  origin: signed.test
  nameServers: [{ name: ns.signed.test, addresses: [192.0.2.53] }]
  dnssec: {}
`;

/** The cookie that a server sends to a client that shows `cookie`; nothing without an answer. */
async function cookieOf(port: number, cookie: Uint8Array): Promise<Uint8Array> {
  const client = await udpClient("127.0.0.1", port);
  const options = [{ code: EdnsOptionCode.COOKIE, data: cookie }];
  const edns = { udpSize: 1232, do: false, options };
  try {
    const bytes = await client.ask(
      encodeMessage(makeQuery(wire("signed.test."), RRType.SOA, { edns })),
    );
    const message = decodeMessage(bytes);
    if ("error" in message) return NOTHING;
    return findOption(message.edns?.options ?? [], EdnsOptionCode.COOKIE)?.data ?? NOTHING;
  } catch {
    return NOTHING;
  } finally {
    client.close();
  }
}

test("edges sign with what control sends them, take each other's cookies, and go on without control", async (t) => {
  const given = {
    ...{ primary: "127.0.9.41", secondary: "127.0.9.42" },
    ...{ intervalMs: 1000, timeoutMs: 500 },
  };
  const plane = await startPairPlane(t, given, () => documents);
  const port = await freePort();
  const edge = await joinedEdge(t, plane, "signer", port);
  const packet = encodeMessage(
    makeQuery(wire("gone.signed.test."), RRType.A, { edns: { udpSize: 1232, do: true } }),
  );
  const types = async (): Promise<number[]> => {
    const client = await udpClient("127.0.0.1", port);
    try {
      const message = decodeMessage(await client.ask(packet));
      return "error" in message ? [] : message.authority.map(({ type }) => type);
    } catch {
      return [];
    } finally {
      client.close();
    }
  };
  const isSigned = async (): Promise<boolean> => {
    const found = await types();
    return [RRType.SOA, RRType.NSEC, RRType.RRSIG].every((type) => found.includes(type));
  };
  await edge.start(/"msg":"Answering"|"msg":"Waiting/);
  await until("a signed answer", SIGNED_MS_MAX, isSigned);
  const otherPort = await freePort();
  const other = await joinedEdge(t, plane, "other", otherPort);
  await other.start(/"msg":"Answering"|"msg":"Waiting/);
  const started = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  await until("a cookie of one edge that the other takes", SIGNED_MS_MAX, async () => {
    const made = await cookieOf(port, started);
    const shown = await cookieOf(otherPort, made);
    // One that is not good is replaced.
    return made.length === 24 && Buffer.compare(made, shown) === 0;
  });
  const made = await cookieOf(port, started);
  const kept = join(edge.stateDir, "signing.sealed");
  assert.equal(statSync(kept).mode & 0o777, 0o600);
  await edge.kill();
  await plane.control.kill();
  await edge.start(/"msg":"Answering"/);
  await until("a signed answer without control", SIGNED_MS_MAX, isSigned);
  assert.deepEqual(await cookieOf(port, made), made);
});
