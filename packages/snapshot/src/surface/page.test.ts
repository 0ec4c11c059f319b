// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pageOf, parsePageRequest, PAGE_ITEMS_MAX, type Page } from "./page.ts";

function page(items: readonly string[], query: Readonly<Record<string, string>>): Page<string> {
  const request = parsePageRequest(query);
  assert.ok(typeof request !== "string");
  return pageOf(
    items,
    request,
    (item) => item,
    (item) => `<${item}>`,
  );
}

/** All pages from `token` on, of a list that may be another one at each. */
function rest(limit: number, token: string | undefined, itemsAt: () => string[]): string[] {
  const found: string[] = [];
  for (let next = token; next !== undefined;) {
    const { items, continue: more } = page(itemsAt(), { limit: String(limit), continue: next });
    found.push(...items);
    next = more;
  }
  return found;
}

test("pages put together are the list, whatever their size", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string()), fc.integer({ min: 1, max: 9 }), (items, limit) => {
      const all = rest(limit, "", () => items);
      assert.deepEqual(
        all,
        items.map((item) => `<${item}>`),
      );
    }),
  );
});

test("what stays in a list that changes between two pages is shown once", () => {
  const before = ["a", "b", "c", "d"];
  const { continue: token } = page(before, { limit: "2" });
  assert.deepEqual(
    rest(2, token, () => ["0", ...before]),
    ["<c>", "<d>"],
  );
  assert.deepEqual(
    rest(2, token, () => ["b", "c", "d"]),
    ["<c>", "<d>"],
  );
});

test("where the last item is gone, the next page starts at its place", () => {
  const { continue: token } = page(["a", "b", "c"], { limit: "2" });
  assert.deepEqual(
    rest(2, token, () => ["a", "x", "c"]),
    ["<c>"],
  );
});

test("limits and tokens that cannot be are named", () => {
  for (const limit of ["0", "1.5", "x", String(PAGE_ITEMS_MAX + 1)])
    assert.equal(
      parsePageRequest({ limit }),
      `Limit is "${limit}", expected a whole number from 1 to ${PAGE_ITEMS_MAX}`,
    );
  assert.equal(
    parsePageRequest({ continue: "!" }),
    'Continue is "!", expected what the page before gave',
  );
});
