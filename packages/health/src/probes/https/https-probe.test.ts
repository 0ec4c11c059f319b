// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import { test, type TestContext } from "node:test";
import { defaultHttpFields, defaultTiming, type HttpsCheck } from "../../check.ts";
import { makeCertificates, opensslMissing, type Leaf } from "../../testing/certificates.ts";
import { closedPort, listen, listenTcp, runProbe, targetAt } from "../../testing/probe-run.ts";
import { HttpExchange } from "../http/http-exchange.ts";
import { HttpsProbe } from "./https-probe.ts";

const host = "svc.example.org";
const certificates = opensslMissing === false ? makeCertificates() : undefined;
const needs = { skip: opensslMissing };

function probeAt(port: number, fields: Partial<HttpsCheck> = {}): HttpsProbe {
  const check: HttpsCheck = {
    ...defaultTiming,
    ...defaultHttpFields,
    kind: "https",
    insecureSkipVerify: false,
    http2: false,
    ...(certificates === undefined ? {} : { caPem: certificates.caPem }),
    ...fields,
  };
  return new HttpsProbe(targetAt(port, check, host), check, new HttpExchange(check));
}

interface Seen {
  readonly servername: string[];
  readonly versions: string[];
  requests: number;
}

/** An HTTPS server; `http2` makes it offer HTTP/2 as well. */
async function serve(
  context: TestContext,
  leaf: Leaf | undefined,
  http2: boolean,
): Promise<{ port: number; seen: Seen }> {
  const seen: Seen = { servername: [], versions: [], requests: 0 };
  const options = { key: leaf?.key ?? "", cert: leaf?.cert ?? "" };
  const server = http2
    ? createSecureServer({ ...options, allowHTTP1: true }, (request, response) => {
        seen.versions.push(request.httpVersion);
        seen.requests++;
        response.writeHead(200, { "endpoint-load-metrics": "TEXT cpu_utilization=0.5" });
        response.end("all good here");
      })
    : createServer(options, (request, response) => {
        seen.versions.push(request.httpVersion);
        seen.requests++;
        response.writeHead(request.url === "/" ? 200 : 503);
        response.end("all good here");
      });
  server.on("secureConnection", (socket: { servername?: string | false }) => {
    if (typeof socket.servername === "string") seen.servername.push(socket.servername);
  });
  server.on("tlsClientError", () => undefined);
  const port = await listen(server);
  context.after(() => server.close());
  return { port, seen };
}

test("HttpsProbe validates the certificate, sends SNI and judges the answer", needs, async (t) => {
  const { port, seen } = await serve(t, certificates?.good, false);
  assert.deepEqual(await runProbe(probeAt(port)), { outcome: "pass", reason: "HTTP status 200" });
  assert.deepEqual(await runProbe(probeAt(port, { path: "/x" })), {
    outcome: "fail",
    reason: "HTTP status 503, wanted 200-299",
  });
  assert.equal((await runProbe(probeAt(port, { bodyContains: "good" }))).outcome, "pass");
  assert.deepEqual(new Set(seen.servername), new Set([host]));
});

test(
  "HttpsProbe says what is wrong with a certificate, and sends nothing then",
  needs,
  async (t) => {
    const reasonOf = async (
      leaf: Leaf | undefined,
      fields?: Partial<HttpsCheck>,
    ): Promise<string> => {
      const { port, seen } = await serve(t, leaf, false);
      const result = await runProbe(probeAt(port, fields));
      assert.equal(result.outcome, "fail");
      assert.equal(seen.requests, 0);
      return result.reason;
    };
    assert.equal(await reasonOf(certificates?.expired), "certificate expired on 2021-03-15");
    assert.equal(await reasonOf(certificates?.notYet), "certificate is valid from 2090-01-01 only");
    assert.equal(await reasonOf(certificates?.otherName), "certificate is for other.example.org");
    assert.equal(
      await reasonOf(certificates?.good, { serverName: "www.example.org" }),
      `certificate is for ${host}`,
    );
    const otherAuthority = certificates?.good.cert ?? "";
    assert.equal(
      await reasonOf(certificates?.good, { caPem: otherAuthority, serverName: host }).then(
        (reason) => /issuer is not trusted|not valid/.test(reason),
      ),
      true,
    );
  },
);

test("HttpsProbe with insecureSkipVerify takes any certificate", needs, async (t) => {
  for (const leaf of [certificates?.expired, certificates?.otherName]) {
    const { port } = await serve(t, leaf, false);
    const result = await runProbe(probeAt(port, { insecureSkipVerify: true }));
    assert.equal(result.outcome, "pass");
  }
});

test("HttpsProbe uses HTTP/2 where both sides want it", needs, async (t) => {
  const { port, seen } = await serve(t, certificates?.good, true);
  const load = { kind: "orca" } as const;
  const result = await runProbe(probeAt(port, { http2: true, bodyContains: "good", load }));
  assert.deepEqual(result, {
    outcome: "pass",
    reason: "HTTP status 200",
    load: { load: 0.5, source: "orca" },
  });
  const wrong = await runProbe(probeAt(port, { http2: true, bodyContains: "bad" }));
  assert.equal(wrong.reason, "HTTP status 200, body lacks the wanted text");
  const bare = await runProbe(probeAt(port, { http2: true }));
  assert.equal(bare.outcome, "pass");
  const old = await runProbe(probeAt(port, { http2: false }));
  assert.equal(old.outcome, "pass");
  assert.deepEqual(seen.versions, ["2.0", "2.0", "2.0", "1.1"]);
});

test("HttpsProbe with keepAlive makes one handshake for many probes", needs, async (t) => {
  for (const http2 of [false, true]) {
    const { port, seen } = await serve(t, certificates?.good, true);
    const probe = probeAt(port, { keepAlive: true, http2 });
    for (let turn = 0; turn < 3; turn++) {
      assert.equal((await runProbe(probe)).outcome, "pass");
    }
    assert.equal(seen.requests, 3);
    assert.equal(seen.servername.length, 1);
    probe.close();
  }
});

test("HttpsProbe names refused, plain-text and silent servers", async (t) => {
  const refused = await runProbe(probeAt(await closedPort()));
  assert.equal(refused.reason, "connection refused");
  const plain = await listenTcp(t, (socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n"));
  assert.equal((await runProbe(probeAt(plain))).reason, "TLS handshake failed");
  const closing = await listenTcp(t, (socket) => {
    socket.once("data", () => socket.end());
  });
  const closed = await runProbe(probeAt(closing));
  assert.equal(closed.reason, "connection closed during the TLS handshake");
  const silent = await listenTcp(t, () => undefined);
  assert.equal((await runProbe(probeAt(silent), 150)).reason, "no answer in 150 ms");
});
