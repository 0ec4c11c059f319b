// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { defaultTiming, type PrometheusCheck } from "../../check.ts";
import { closedPort, listen, runProbe, targetAt } from "../../testing/probe-run.ts";
import { readPrometheusAnswer } from "./prometheus-answer.ts";
import { PrometheusProbe } from "./prometheus-probe.ts";

function probeAt(port: number, fields: Partial<PrometheusCheck> = {}): PrometheusProbe {
  const check: PrometheusCheck = {
    ...defaultTiming,
    kind: "prometheus",
    url: `http://127.0.0.1:${port}/prom/`,
    query: 'up{instance="{address}:{port}"}',
    comparison: "ge",
    threshold: 1,
    insufficientData: "lastKnown",
    ...fields,
  };
  return new PrometheusProbe(targetAt(8080, check), check);
}

const vector = (...values: string[]): string =>
  JSON.stringify({
    status: "success",
    data: {
      resultType: "vector",
      result: values.map((value) => ({ metric: {}, value: [1700000000, value] })),
    },
  });

async function serve(
  context: TestContext,
  body: string,
  status = 200,
): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(status);
    response.end(body);
  });
  const port = await listen(server);
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port, asked };
}

test("PrometheusProbe asks the instant query and compares the number", async (context) => {
  const { port, asked } = await serve(context, vector("0.75"));
  const reasonOf = async (fields: Partial<PrometheusCheck>): Promise<string> => {
    const result = await runProbe(probeAt(port, fields));
    return `${result.outcome}: ${result.reason}`;
  };
  assert.equal(await reasonOf({}), "fail: value 0.75 is not ge 1");
  assert.equal(await reasonOf({ comparison: "lt" }), "pass: value 0.75 is lt 1");
  assert.equal(
    await reasonOf({ comparison: "gt", threshold: 0.75 }),
    "fail: value 0.75 is not gt 0.75",
  );
  assert.equal(
    await reasonOf({ comparison: "le", threshold: 0.75 }),
    "pass: value 0.75 is le 0.75",
  );
  assert.equal(
    await reasonOf({ comparison: "eq", threshold: 0.75 }),
    "pass: value 0.75 is eq 0.75",
  );
  const url = new URL(asked[0] ?? "", "http://x");
  assert.equal(url.pathname, "/prom/api/v1/query");
  assert.equal(url.searchParams.get("query"), 'up{instance="127.0.0.1:8080"}');
});

test("PrometheusProbe reports the value as load where told to", async (context) => {
  const { port } = await serve(context, vector("0.75"));
  const result = await runProbe(probeAt(port, { comparison: "lt", reportsLoad: true }));
  assert.deepEqual(result.load, { load: 0.75, source: "prometheus" });
});

test("PrometheusProbe without data does what insufficientData says", async (context) => {
  const empty = await serve(context, vector());
  const outcomeOf = async (
    insufficientData: PrometheusCheck["insufficientData"],
  ): Promise<string> => {
    const result = await runProbe(probeAt(empty.port, { insufficientData }));
    return `${result.outcome}: ${result.reason}`;
  };
  assert.equal(await outcomeOf("healthy"), "pass: query gives no series");
  assert.equal(await outcomeOf("unhealthy"), "fail: query gives no series");
  assert.equal(await outcomeOf("lastKnown"), "hold: query gives no series");
  const broken = await serve(context, "oops", 502);
  const status = await runProbe(probeAt(broken.port));
  assert.deepEqual(status, { outcome: "hold", reason: "Prometheus server: HTTP status 502" });
  const gone = await runProbe(probeAt(await closedPort()));
  assert.deepEqual(gone, { outcome: "hold", reason: "Prometheus server: connection refused" });
});

test("readPrometheusAnswer() reads scalars and vectors of one, and never throws", () => {
  const scalar = '{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]}}';
  assert.deepEqual(readPrometheusAnswer(scalar), { kind: "value", value: Infinity });
  assert.deepEqual(readPrometheusAnswer(vector("1", "2")), {
    kind: "none",
    reason: "query gives 2 series, wanted 1",
  });
  assert.deepEqual(readPrometheusAnswer(vector("NaN")), {
    kind: "none",
    reason: "query gives NaN",
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.equal(readPrometheusAnswer(text).kind, "none");
    }),
  );
});
