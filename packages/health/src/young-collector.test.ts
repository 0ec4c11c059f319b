// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { PerformanceObserver, constants } from "node:perf_hooks";
import { youngCollector } from "./young-collector.ts";

test("youngCollector() gives a function that collects young garbage alone", async () => {
  const collect = youngCollector();
  assert.ok(collect !== undefined);
  const kinds = new Promise<readonly unknown[]>((resolve) => {
    const observer = new PerformanceObserver((list) => {
      observer.disconnect();
      resolve(list.getEntries().map(kindOf));
    });
    observer.observe({ entryTypes: ["gc"] });
  });
  collect();
  for (const kind of await kinds) assert.equal(kind, constants.NODE_PERFORMANCE_GC_MINOR);
  assert.equal("gc" in globalThis, false);
});

function kindOf(entry: object): unknown {
  const detail = "detail" in entry ? entry.detail : undefined;
  return typeof detail === "object" && detail !== null && "kind" in detail
    ? detail.kind
    : undefined;
}
