// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FRESH_MS_MAX, publicationOf, type EdgeMoment } from "./publication-state.ts";

const moment = fc.record({
  name: fc.stringMatching(/^[a-z]{1,4}$/),
  revision: fc.nat({ max: 5 }),
  silentMs: fc.oneof(fc.nat({ max: 2 * FRESH_MS_MAX }), fc.constant(Infinity)),
});

test("publicationOf() says live when all that were heard of within 3 s serve it, and lists the others", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(moment, { selector: ({ name }) => name }),
      fc.nat({ max: 5 }),
      fc.nat({ max: 5 }),
      (edges: EdgeMoment[], revision, published) => {
        const view = publicationOf(revision, published, edges);
        const heard = edges.filter(({ silentMs }) => silentMs <= 3000);
        const isServed = heard.every((edge) => edge.revision >= revision);
        assert.equal(view.state, isServed && published >= revision ? "live" : "pending");
        assert.equal(view.serving + view.waiting.length, heard.length);
        const names = new Set([...view.waiting, ...view.silent].map(({ name }) => name));
        assert.ok(edges.every(({ name, revision: at }) => at >= revision || names.has(name)));
      },
    ),
  );
});

test("a silent edge holds nothing up and is listed with its age", () => {
  const edges = [
    { name: "a", revision: 7, silentMs: 12 },
    { name: "b", revision: 6, silentMs: 3001 },
    { name: "c", revision: 0, silentMs: Infinity },
  ];
  assert.deepEqual(publicationOf(7, 7, edges), {
    revision: 7,
    state: "live",
    serving: 1,
    waiting: [],
    silent: [
      { name: "b", revision: 6, silentMs: 3001 },
      { name: "c", revision: 0 },
    ],
  });
  assert.equal(publicationOf(8, 7, edges).state, "pending");
});
