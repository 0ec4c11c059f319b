// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { PerformanceObserver, constants } from "node:perf_hooks";
import { GarbageCollections, youngCollector } from "./young-collector.ts";

const MINOR = constants.NODE_PERFORMANCE_GC_MINOR;
const MAJOR = constants.NODE_PERFORMANCE_GC_MAJOR;

test("youngCollector() gives a function that collects young garbage alone", async () => {
  const collect = youngCollector();
  assert.ok(collect !== undefined);
  const kinds = nextKinds(() => true);
  collect();
  for (const kind of await kinds) assert.equal(kind, MINOR);
  assert.equal("gc" in globalThis, false);
});

test("GarbageCollections looks through the whole heap in the calm after so many pieces of work", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const collections = new GarbageCollections(2);
  context.after(() => collections.close());
  collections.soon();
  const young = nextKinds((kind) => kind === MINOR);
  context.mock.timers.tick(120);
  assert.ok((await young).includes(MINOR));
  collections.soon();
  const second = nextKinds((kind) => kind === MINOR);
  context.mock.timers.tick(300);
  assert.ok(!(await second).includes(MAJOR));
  collections.soon();
  const third = nextKinds((kind) => kind === MINOR);
  context.mock.timers.tick(300);
  assert.ok(!(await third).includes(MAJOR), "not yet calm");
  const whole = nextKinds((kind) => kind === MAJOR);
  context.mock.timers.tick(100);
  assert.ok((await whole).includes(MAJOR));
  collections.soon();
  collections.close();
  context.mock.timers.tick(120);
});

/** What is collected up to the first that is waited for. */
function nextKinds(isAwaited: (kind: unknown) => boolean): Promise<readonly unknown[]> {
  const { promise, resolve } = Promise.withResolvers<readonly unknown[]>();
  const kinds: unknown[] = [];
  // What was collected is told in a turn of the loop, and nothing else here brings one on.
  const turns = setInterval(() => {}, 5);
  const observer = new PerformanceObserver((list) => {
    kinds.push(...list.getEntries().map(kindOf));
    if (!kinds.some(isAwaited)) return;
    observer.disconnect();
    clearInterval(turns);
    resolve(kinds);
  });
  observer.observe({ entryTypes: ["gc"] });
  return promise;
}

function kindOf(entry: object): unknown {
  const detail = "detail" in entry ? entry.detail : undefined;
  return typeof detail === "object" && detail !== null && "kind" in detail
    ? detail.kind
    : undefined;
}
