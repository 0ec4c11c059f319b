// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { Secrets } from "../secrets/secrets.ts";
import { askNumber, askSeries } from "./ask-prometheus.ts";

const context = {
  secrets: new Secrets("/nonexistent", { MERIDIAN_SECRET_SHOP__PASSWORD: "opensesame" }),
  namespace: "shop",
};

const vector = (...values: readonly string[]): string =>
  JSON.stringify({
    status: "success",
    data: {
      resultType: "vector",
      result: values.map((value, index) => ({
        metric: { instance: `i${index}` },
        value: [1700000000, value],
      })),
    },
  });

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

async function serve(t: TestContext, answer: Answer): Promise<string> {
  const server = createServer((request, response) => answer(response, request));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

test("askNumber() gives the number, or says in words why there is none", async (t) => {
  let answer: Answer = () => undefined;
  const url = await serve(t, (response, request) => answer(response, request));
  const said = async (body: string, status = 200): Promise<string> => {
    answer = (response) => void response.writeHead(status).end(body);
    const found = await askNumber({ url }, "up", context);
    return found.kind === "value" ? `${found.value}` : `${found.kind}: ${found.reason}`;
  };
  assert.equal(await said(vector("0.75")), "0.75");
  assert.equal(await said(vector()), "noData: the query gives no series");
  assert.equal(await said(vector("NaN")), "noData: the query gives NaN");
  assert.equal(await said(vector("+Inf")), "noData: the query gives +Inf");
  assert.equal(await said(vector("1", "2")), "error: the query gives 2 series, expected 1");
  assert.equal(await said("oops"), "error: the answer of the query is not JSON");
  const refusal = '{"status":"error","errorType":"bad_data","error":"parse error: no such thing"}';
  assert.equal(
    await said(refusal, 400),
    "error: the Prometheus server answered 400: parse error: no such thing",
  );
  assert.match(await said(" ".repeat(2_000_000)), /larger than 1048576 bytes/);
  assert.match(
    await said(vector(...Array<string>(1001).fill("1"))),
    /^error: the query gives 1001 series/,
  );
  answer = (response) => void response.writeHead(302, { location: "/elsewhere" }).end();
  assert.deepEqual(await askNumber({ url }, "up", context), {
    kind: "error",
    reason: "the Prometheus server answered 302",
  });
});

test("askNumber() does not wait for a server that hangs, nor fall over one that is gone", async (t) => {
  const url = await serve(t, () => undefined);
  const hung = await askNumber({ url }, "up", { ...context, timeoutMs: 20 });
  assert.deepEqual(hung, { kind: "error", reason: "the Prometheus server did not answer in time" });
  const gone = await askNumber({ url: "http://127.0.0.1:9" }, "up", context);
  assert.ok(gone.kind === "error");
  assert.match(gone.reason, /cannot be reached: /);
});

test("askSeries() logs in as the document says, and gives labels", async (t) => {
  const seen: unknown[] = [];
  const url = await serve(t, (response, { headers, url: path }) => {
    seen.push([path, headers.authorization]);
    response.end(vector("1", "NaN"));
  });
  const basic = { user: "me", password: { env: "PASSWORD" } };
  const found = await askSeries({ url: `${url}/prom/`, basic }, "up", context);
  const login = `Basic ${Buffer.from("me:opensesame").toString("base64")}`;
  assert.deepEqual(seen, [["/prom/api/v1/query", login]]);
  assert.deepEqual(found, {
    kind: "series",
    samples: [
      { labels: { instance: "i0" }, value: 1 },
      { labels: { instance: "i1" }, value: Number.NaN },
    ],
  });
  const token = { env: "NONE" };
  const missing = await askSeries({ url, token }, "up", context);
  assert.ok(missing.kind === "error");
  assert.match(missing.reason, /MERIDIAN_SECRET_SHOP__NONE is not set/);
});
