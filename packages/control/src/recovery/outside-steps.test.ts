// SPDX-License-Identifier: Apache-2.0

// Steps that look at or change something outside, with receivers that answer well, badly, not at all and without end.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stepOf, stepScene } from "../testing/step-scene.ts";
import { inverse } from "./kubernetes-step.ts";
import type { Outcome } from "./run-advance.ts";
import { signature } from "./webhook-step.ts";

async function receiver(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return `http://127.0.0.1:${address.port}/`;
}

test("a webhook is signed, bears the same key at each try, and is tried again until it is taken", async (t) => {
  const { folder, does } = stepScene(t);
  writeFileSync(join(folder, "default", "key"), "secret\n");
  const seen: { headers: IncomingHttpHeaders; body: string }[] = [];
  let status = 503;
  const url = await receiver(t, (request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      seen.push({ headers: request.headers, body });
      response.writeHead(status).end("busy");
    });
  });
  const webhook = { url, signingKey: { file: "key" }, message: '{"n":1}', retries: 1 };
  const first = await does(stepOf({ webhook }));
  assert.deepEqual(first, {
    result: "going",
    detail: "default/p/0000000a: it answered 503: busy",
    isTry: true,
  });
  status = 204;
  const taken = await does(stepOf({ webhook }, { tries: 1 }));
  assert.deepEqual(taken, { result: "done", detail: "it answered 204", isTry: true });
  const undone = await does(stepOf({ webhook }, { state: "undoing" }));
  assert.equal(undone.result, "done");
  status = 500;
  assert.equal((await does(stepOf({ webhook }, { tries: 1 }))).result, "failed");
  const keys = seen.map(({ headers }) => headers["idempotency-key"]);
  assert.deepEqual(keys, ["0000000a/s", "0000000a/s", "0000000a/s/rollback", "0000000a/s"]);
  const [{ headers, body } = { headers: {}, body: "" }] = seen;
  const [, at = "", mac] =
    /^t=(\d+),v1=([0-9a-f]+)$/.exec(String(headers["meridian-signature"])) ?? [];
  assert.equal(mac, createHmac("sha256", "secret").update(`${at}.${body}`).digest("hex"));
  assert.equal(signature("secret", Number(at), body), `t=${at},v1=${mac}`);
  assert.match(body, /"phase":"run".+"message":\{"n":1\}/);
});

test("a webhook that hangs, answers without end, redirects or is not there costs a try, and no memory", async (t) => {
  const { does } = stepScene(t);
  let sent = 0;
  const url = await receiver(t, ({ url: path }, response) => {
    if (path === "/hangs") return;
    if (path === "/away") {
      response.writeHead(307, { location: "/" }).end();
      return;
    }
    response.writeHead(path === "/" ? 200 : 500);
    const more = (): void => {
      while (!response.destroyed && sent < 1e10) {
        sent += 65_536;
        if (!response.write(Buffer.alloc(65_536, 0x61))) break;
      }
    };
    response.on("drain", more);
    more();
  });
  const does1 = (path: string): Promise<Outcome> =>
    does(stepOf({ webhook: { url: url + path, tryTimeout: "300ms" } }));
  assert.match((await does1("hangs")).detail, /timeout|aborted/i);
  assert.match((await does1("away")).detail, /it answered 307/);
  const before = process.memoryUsage().rss;
  const endless = await does1("endless");
  assert.match(endless.detail, /it answered 500: a{200}$/);
  assert.ok(sent < 1e9, `${sent} bytes were taken`);
  assert.ok(process.memoryUsage().rss - before < 200e6);
  const gone = await does(stepOf({ webhook: { url: "http://127.0.0.1:9/" } }));
  assert.equal(gone.result, "going");
  const noSecret = { url, token: { file: "none" } };
  assert.match((await does(stepOf({ webhook: noSecret }))).detail, /Cannot read the secret/);
});

test("a condition of Prometheus is met by every series, and by no data, NaN or nonsense never", async (t) => {
  const { does } = stepScene(t);
  const answers: string[] = [];
  const vector = (...values: string[]): string =>
    JSON.stringify({
      status: "success",
      data: {
        resultType: "vector",
        result: values.map((value) => ({ metric: {}, value: [1, value] })),
      },
    });
  const url = await receiver(t, (request, response) => {
    request.resume();
    response.end(answers.shift() ?? vector("1"));
  });
  const condition = { source: { url }, query: "up", above: 2 };
  const step = stepOf({ waitForPrometheus: condition });
  for (const bad of [vector(), vector("NaN"), vector("3", "1"), vector("+Inf"), "<html>"]) {
    answers.push(bad);
    const ended = new AbortController();
    const waiting = does(step, ended.signal);
    while (answers.length > 0) await sleep(5);
    ended.abort();
    assert.notEqual((await waiting).result, "done", bad);
  }
  answers.push(vector("3", "4"));
  assert.deepEqual(await does(step), { result: "done", detail: "3, 4, wanted above 2" });
});

test("inverse() gives back what a merge patch takes", () => {
  const before = { spec: { replicas: 2, paused: true, list: [1] }, data: "x" };
  const patch = { spec: { replicas: 5, paused: null, fresh: { a: 1 }, list: [] }, data: { b: 1 } };
  assert.deepEqual(inverse(patch, before), {
    spec: { replicas: 2, paused: true, fresh: null, list: [1] },
    data: "x",
  });
});
