// SPDX-License-Identifier: Apache-2.0

import { systemClock } from "@meridian/core";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createServer } from "node:tls";
import { defaultTiming, type TlsCheck } from "../../check.ts";
import { makeCertificates, opensslMissing, type Leaf } from "../../testing/certificates.ts";
import { closedPort, listen, runProbe, targetAt } from "../../testing/probe-run.ts";
import { TlsProbe } from "./tls-probe.ts";

const certificates = opensslMissing === false ? makeCertificates() : undefined;
const needs = { skip: opensslMissing };

function probeAt(port: number, fields: Partial<TlsCheck> = {}): TlsProbe {
  const check: TlsCheck = {
    ...defaultTiming,
    kind: "tls",
    insecureSkipVerify: false,
    minDaysToExpiry: 0,
    ...(certificates === undefined ? {} : { caPem: certificates.caPem }),
    ...fields,
  };
  return new TlsProbe(targetAt(port, check, "svc.example.org"), check, systemClock);
}

async function serve(context: TestContext, leaf: Leaf | undefined): Promise<number> {
  const server = createServer({ key: leaf?.key ?? "", cert: leaf?.cert ?? "" }, (socket) => {
    socket.on("error", () => socket.destroy());
  });
  server.on("tlsClientError", () => undefined);
  const port = await listen(server);
  context.after(() => server.close());
  return port;
}

test("TlsProbe passes on a handshake with a valid chain", needs, async (context) => {
  const port = await serve(context, certificates?.good);
  const result = await runProbe(probeAt(port, { minDaysToExpiry: 30 }));
  assert.deepEqual(result, { outcome: "pass", reason: "handshake done" });
});

test("TlsProbe fails when the certificate ends too soon", needs, async (context) => {
  const port = await serve(context, certificates?.shortLived);
  assert.equal((await runProbe(probeAt(port))).outcome, "pass");
  const soon = await runProbe(probeAt(port, { minDaysToExpiry: 14 }));
  const expiry = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
  assert.equal(soon.reason, `certificate expires on ${expiry}, wanted 14 days more`);
});

test("TlsProbe fails on an expired certificate and on another's", needs, async (context) => {
  const expired = await runProbe(probeAt(await serve(context, certificates?.expired)));
  assert.equal(expired.reason, "certificate expired on 2021-03-15");
  const other = await runProbe(probeAt(await serve(context, certificates?.otherName)));
  assert.equal(other.reason, "certificate is for other.example.org");
});

test("TlsProbe says that nobody listens", async () => {
  assert.equal((await runProbe(probeAt(await closedPort()))).reason, "connection refused");
});
