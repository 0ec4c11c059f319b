// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDnsperf } from "./dnsperf.ts";

const sample = `Statistics:

  Queries sent:         350512
  Queries completed:    350500 (100.00%)
  Queries lost:         12 (0.00%)

  Response codes:       NOERROR 350000 (99.86%), NXDOMAIN 500 (0.14%)
  Average packet size:  request 41, response 57
  Run time (s):         2.000571
  Queries per second:   175199.980405

  Average Latency (s):  0.000564 (min 0.000012, max 0.004170)
  Latency StdDev (s):   0.000117
`;

test("parseDnsperf() reads every figure", () => {
  assert.deepEqual(parseDnsperf(sample), {
    sent: 350_512,
    completed: 350_500,
    lost: 12,
    queriesPerSecond: 175_199.980405,
    latency: 564,
    rcodes: { NOERROR: 350_000, NXDOMAIN: 500 },
  });
});

test("parseDnsperf() says what is missing", () => {
  assert.throws(() => parseDnsperf("Error: no such file"), /no "Queries sent"/);
});
