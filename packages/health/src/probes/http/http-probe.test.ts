// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { defaultHttpFields, defaultTiming, type HttpCheck } from "../../check.ts";
import { dialers } from "../../testing/dialers.ts";
import { closedPort, listenTcp, portOf, runProbe, targetAt } from "../../testing/probe-run.ts";
import { HttpExchange } from "./http-exchange.ts";
import { HttpProbe } from "./http-probe.ts";

function check(fields: Partial<HttpCheck> = {}): HttpCheck {
  return { ...defaultTiming, ...defaultHttpFields, kind: "http", ...fields };
}

for (const { how, dialer } of dialers()) {
  function probeAt(port: number, fields: Partial<HttpCheck> = {}, hostName?: string): HttpProbe {
    const spec = check(fields);
    return new HttpProbe(targetAt(port, spec, hostName), new HttpExchange(spec), dialer);
  }

  const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  /** What a probe makes of a server that sends `answer` and, unless told otherwise, leaves the connection open. */
  async function resultOf(
    context: Parameters<typeof listenTcp>[0],
    answer: string,
    fields: Partial<HttpCheck> = {},
    end = false,
  ): Promise<string> {
    const port = await listenTcp(context, (socket) => {
      socket.once("data", () => {
        socket.write(answer, "latin1");
        if (end) socket.end();
      });
    });
    const result = await runProbe(probeAt(port, fields), 300);
    return `${result.outcome}: ${result.reason}`;
  }

  test(`HttpProbe sends the request it is told to (over ${how})`, async (context) => {
    let request = "";
    const port = await listenTcp(context, (socket) => {
      socket.on("data", (bytes: Buffer) => {
        request += bytes.toString("latin1");
        socket.write(ok);
      });
    });
    const fields = { path: "/healthz?full=1", headers: { "X-Probe": "1" } };
    const result = await runProbe(probeAt(port, fields, "svc.example.org"));
    assert.deepEqual(result, { outcome: "pass", reason: "HTTP status 200" });
    assert.equal(
      request,
      `GET /healthz?full=1 HTTP/1.1\r\nHost: svc.example.org:${port}\r\nUser-Agent: meridian-health\r\n` +
        "Accept: */*\r\nConnection: close\r\nX-Probe: 1\r\n\r\n",
    );
  });

  test(`HttpProbe judges the status by its ranges and follows no redirect (over ${how})`, async (context) => {
    assert.equal(
      await resultOf(context, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
      "fail: HTTP status 500, wanted 200-299",
    );
    const moved = "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    assert.equal(await resultOf(context, moved), "fail: HTTP status 301, wanted 200-299");
    const statusRanges = [
      { from: 200, to: 399 },
      { from: 418, to: 418 },
    ];
    assert.equal(await resultOf(context, moved, { statusRanges }), "pass: HTTP status 301");
    assert.equal(
      await resultOf(context, "HTTP/1.1 404 No\r\n\r\n", { statusRanges }),
      "fail: HTTP status 404, wanted 200-399,418",
    );
  });

  test(`HttpProbe finds text wholly within the first 5120 bytes only (vector 17) (over ${how})`, async (context) => {
    const at = (offset: number, chunked: boolean): string => {
      const body = `${"x".repeat(offset - 1)}ready${"x".repeat(2000)}`;
      if (!chunked) return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      const pieces = body.match(/.{1,1000}/g) ?? [];
      const chunks = pieces.map((piece) => `${piece.length.toString(16)};e=1\r\n${piece}\r\n`);
      return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\n\r\n`;
    };
    const fields = { bodyContains: "ready" };
    for (const chunked of [false, true]) {
      assert.equal(await resultOf(context, at(5116, chunked), fields), "pass: HTTP status 200");
      assert.equal(
        await resultOf(context, at(5118, chunked), fields),
        "fail: HTTP status 200, body lacks the wanted text",
      );
    }
    const untilClose = "HTTP/1.0 200 OK\r\n\r\nnot yet";
    assert.match(await resultOf(context, untilClose, fields, true), /body lacks/);
    const endless = "HTTP/1.1 200 OK\r\n\r\ndata: ready\n";
    assert.equal(await resultOf(context, endless, fields), "pass: HTTP status 200");
  });

  test(`HttpProbe returns the load that came with the answer (over ${how})`, async (context) => {
    const body = '{"load":{"cpu":45}}';
    const answer =
      "HTTP/1.1 200 OK\r\nEndpoint-Load-Metrics: TEXT cpu_utilization=0.3\r\n" +
      `Content-Length: ${body.length}\r\n\r\n${body}`;
    const port = await listenTcp(context, (socket) => {
      socket.once("data", () => socket.write(answer));
    });
    const orca = await runProbe(probeAt(port, { load: { kind: "orca" } }));
    assert.deepEqual(orca.load, { load: 0.3, source: "orca" });
    const half = await runProbe(probeAt(port, { load: { kind: "orca", full: 0.5 } }));
    assert.deepEqual(half.load, { load: 0.6, source: "orca" });
    const json = await runProbe(
      probeAt(port, { load: { kind: "json", path: "load.cpu", full: 100 } }),
    );
    assert.deepEqual(json.load, { load: 0.45, source: "json" });
  });

  test(`HttpProbe names what is wrong with a server (over ${how})`, async (context) => {
    const refused = await runProbe(probeAt(await closedPort()));
    assert.deepEqual(refused, { outcome: "fail", reason: "connection refused" });
    const cases: readonly (readonly [string, string, boolean?])[] = [
      ["", "closed without an answer", true],
      ["HTTP/1.1 200 OK\r\nA: b\r\n", "closed within the answer", true],
      ["SSH-2.0-OpenSSH_9.2\r\n", "answer is not HTTP"],
      ["\u0016\u0003\u0001\n\r\n", "answer is not HTTP"],
      ["HTTP/2.0 200 OK\r\n\r\n", "answer is not HTTP"],
      ["HTTP/1.1 2000 OK\r\n\r\n", "answer is not HTTP"],
      ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "header is malformed"],
      ["HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "header is malformed"],
      ["HTTP/1.1 200 OK\r\nA: b\n\r\n", "line does not end with CRLF"],
      ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "content length is malformed"],
      [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "both content length and chunks",
      ],
      [`HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(4000)}\r\n`, "headers are longer than 16384 bytes"],
      [`HTTP/1.1 200 OK\r\nA: ${"b".repeat(20_000)}`, "headers are longer than 16384 bytes"],
      ["HTTP/1.1 100 Continue\r\n\r\n".repeat(9), "too many interim answers"],
    ];
    for (const [answer, reason, end] of cases) {
      assert.equal(
        await resultOf(context, answer, {}, end),
        `fail: ${reason}`,
        answer.slice(0, 40),
      );
    }
    const interim = `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok}`;
    assert.equal(await resultOf(context, interim), "pass: HTTP status 200");
  });

  test(`HttpProbe gives up on a server that drips its headers (over ${how})`, async (context) => {
    let isClosed = false;
    const port = await listenTcp(context, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const timer = setInterval(() => socket.write("A: b\r\n"), 20);
      socket.on("close", () => {
        isClosed = true;
        clearInterval(timer);
      });
    });
    const result = await runProbe(probeAt(port), 200);
    assert.equal(result.reason, "no answer in 200 ms");
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(isClosed);
  });

  test(`HttpProbe with keepAlive uses one connection, and a new one once the server has closed it (over ${how})`, async (context) => {
    let connections = 0;
    const port = await listenTcp(context, (socket) => {
      connections++;
      let requests = 0;
      socket.on("data", () => {
        socket.write(ok);
        if (++requests === 3) setTimeout(() => socket.destroy(), 5);
      });
    });
    const probe = probeAt(port, { keepAlive: true });
    for (let turn = 0; turn < 3; turn++) {
      assert.equal((await runProbe(probe)).outcome, "pass");
    }
    assert.equal(connections, 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal((await runProbe(probe)).outcome, "pass");
    assert.equal(connections, 2);
    probe.close();
  });

  test(`HttpProbe reaches IPv6 addresses and brackets them in Host (over ${how})`, async (context) => {
    let host = "";
    const server = createServer((request, response) => {
      host = request.headers.host ?? "";
      response.end("ok");
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.on("error", reject);
    server.listen(0, "::1", resolve);
    const isListening = await promise.then(
      () => true,
      () => false,
    );
    if (!isListening) {
      context.skip("needs IPv6 on loopback");
      return;
    }
    context.after(() => server.close());
    const port = portOf(server.address());
    const spec = check();
    const probe = new HttpProbe(
      { ...targetAt(port, spec), address: "::1" },
      new HttpExchange(spec),
      dialer,
    );
    assert.equal((await runProbe(probe)).outcome, "pass");
    assert.equal(host, `[::1]:${port}`);
  });
}
