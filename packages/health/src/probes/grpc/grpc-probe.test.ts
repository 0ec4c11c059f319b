// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createSecureServer, createServer, type ServerHttp2Stream } from "node:http2";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { defaultTiming, type GrpcCheck } from "../../check.ts";
import { makeCertificates, opensslMissing } from "../../testing/certificates.ts";
import { closedPort, listen, listenTcp, runProbe, targetAt } from "../../testing/probe-run.ts";
import { GrpcProbe } from "./grpc-probe.ts";
import { decodeHealthStatus, encodeHealthRequest } from "./health-message.ts";

function probeAt(port: number, fields: Partial<GrpcCheck> = {}): GrpcProbe {
  const check: GrpcCheck = {
    ...defaultTiming,
    kind: "grpc",
    service: "",
    tls: false,
    insecureSkipVerify: false,
    ...fields,
  };
  return new GrpcProbe(targetAt(port, check, "svc.example.org"), check);
}

/** A health server that answers by service name: a status number, or a gRPC error code as text. */
function answerHealth(statuses: Readonly<Record<string, number | string>>) {
  return (stream: ServerHttp2Stream): void => {
    const pieces: Buffer[] = [];
    stream.on("data", (bytes: Buffer) => pieces.push(bytes));
    stream.on("end", () => {
      const request = Buffer.concat(pieces);
      const service = request.length > 7 ? request.subarray(7).toString() : "";
      const status = statuses[service] ?? "5";
      if (typeof status === "string") {
        stream.respond(
          { "content-type": "application/grpc", "grpc-status": status },
          { endStream: true },
        );
        return;
      }
      stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const message = status === 0 ? [] : [0x08, status];
      stream.end(Buffer.from([0, 0, 0, 0, message.length, ...message]));
    });
  };
}

async function serve(
  context: TestContext,
  statuses: Readonly<Record<string, number | string>>,
): Promise<number> {
  const server = createServer();
  server.on("stream", answerHealth(statuses));
  const port = await listen(server);
  context.after(() => server.close());
  return port;
}

test("GrpcProbe passes on SERVING only", async (context) => {
  const port = await serve(context, { "": 1, "shop.Cart": 1, down: 2, odd: 0, denied: "7" });
  const reasonOf = async (service: string): Promise<string> => {
    const result = await runProbe(probeAt(port, { service }));
    return `${result.outcome}: ${result.reason}`;
  };
  assert.equal(await reasonOf(""), "pass: health SERVING");
  assert.equal(await reasonOf("shop.Cart"), "pass: health SERVING");
  assert.equal(await reasonOf("down"), "fail: health NOT_SERVING, wanted SERVING");
  assert.equal(await reasonOf("odd"), "fail: health UNKNOWN, wanted SERVING");
  assert.equal(await reasonOf("missing"), "fail: gRPC status 5, wanted 0");
  assert.equal(await reasonOf("denied"), "fail: gRPC status 7, wanted 0");
});

test("GrpcProbe says what is no gRPC server", async (context) => {
  assert.equal((await runProbe(probeAt(await closedPort()))).reason, "connection refused");
  const http1 = await listenTcp(context, (socket) => socket.end("HTTP/1.1 400 Bad\r\n\r\n"));
  assert.equal((await runProbe(probeAt(http1))).reason, "answer is not HTTP/2");
  const silent = await listenTcp(context, () => undefined);
  assert.equal((await runProbe(probeAt(silent), 150)).reason, "no answer in 150 ms");
  const web = createServer((_request, response) => {
    response.writeHead(404);
    response.end();
  });
  const port = await listen(web);
  context.after(() => web.close());
  assert.equal((await runProbe(probeAt(port))).reason, "HTTP status 404, wanted 200");
});

test("GrpcProbe over TLS validates the certificate", { skip: opensslMissing }, async (context) => {
  const certificates = makeCertificates();
  const server = createSecureServer({ ...certificates.good });
  server.on("stream", answerHealth({ "": 1 }));
  const port = await listen(server);
  context.after(() => server.close());
  const trusting = await runProbe(probeAt(port, { tls: true, caPem: certificates.caPem }));
  assert.equal(trusting.reason, "health SERVING");
  const strict = await runProbe(probeAt(port, { tls: true }));
  assert.equal(strict.reason, "certificate issuer is not trusted");
});

test("decodeHealthStatus() never throws and reads what a server may send", () => {
  const framed = (...message: number[]): Uint8Array =>
    Uint8Array.of(0, 0, 0, 0, message.length, ...message);
  assert.equal(decodeHealthStatus(framed(0x08, 1)), 1);
  assert.equal(decodeHealthStatus(framed()), 0);
  assert.equal(decodeHealthStatus(framed(0x12, 2, 9, 9, 0x08, 2)), 2);
  assert.equal(decodeHealthStatus(framed(0x12, 9, 9)), undefined);
  assert.equal(decodeHealthStatus(Uint8Array.of(1, 0, 0, 0, 0)), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const status = decodeHealthStatus(bytes);
      assert.ok(status === undefined || status >= 0);
    }),
  );
  assert.deepEqual([...encodeHealthRequest("ab")], [0, 0, 0, 0, 4, 0x0a, 2, 0x61, 0x62]);
});
