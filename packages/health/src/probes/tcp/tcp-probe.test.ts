// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultTiming, type TcpCheck } from "../../check.ts";
import { dialers } from "../../testing/dialers.ts";
import { closedPort, listenTcp, runProbe, targetAt } from "../../testing/probe-run.ts";
import { TcpProbe } from "./tcp-probe.ts";

for (const { how, dialer } of dialers()) {
  function probeAt(port: number, fields: Partial<TcpCheck> = {}): TcpProbe {
    const check: TcpCheck = { ...defaultTiming, kind: "tcp", ...fields };
    return new TcpProbe(targetAt(port, check), check, dialer);
  }

  test(`TcpProbe passes once connected (over ${how})`, async (context) => {
    const port = await listenTcp(context, () => undefined);
    assert.deepEqual(await runProbe(probeAt(port)), { outcome: "pass", reason: "connected" });
  });

  test(`TcpProbe sends and expects, over several pieces (over ${how})`, async (context) => {
    const port = await listenTcp(context, (socket) => {
      socket.on("data", (bytes: Buffer) => {
        if (bytes.toString() !== "PING\r\n") return;
        socket.write("+PO");
        setTimeout(() => socket.write("NG\r\n"), 10);
      });
    });
    const result = await runProbe(probeAt(port, { send: "PING\r\n", expect: "+PONG" }));
    assert.deepEqual(result, { outcome: "pass", reason: "connected, text found" });
  });

  test(`TcpProbe says how it failed (over ${how})`, async (context) => {
    const refused = await runProbe(probeAt(await closedPort()));
    assert.equal(refused.reason, "connection refused");
    const short = await listenTcp(context, (socket) => socket.end("220 mail\r\n"));
    const ended = await runProbe(probeAt(short, { expect: "SSH-" }));
    assert.equal(ended.reason, "closed before the wanted text");
    const long = await listenTcp(context, (socket) => socket.write("x".repeat(10_000)));
    const lacking = await runProbe(probeAt(long, { expect: "SSH-" }));
    assert.equal(lacking.reason, "answer lacks the wanted text");
    const silent = await listenTcp(context, () => undefined);
    assert.equal(
      (await runProbe(probeAt(silent, { expect: "x" }), 100)).reason,
      "no answer in 100 ms",
    );
  });
}
