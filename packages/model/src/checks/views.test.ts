// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModel } from "../load.ts";

const server = "nameServers: [{ name: ns1.example.net }]";

function problemsOf(documents: readonly string[]): string[] {
  const text = documents
    .map((each) => `apiVersion: meridian.dev/v1alpha1\n${each}`)
    .join("\n---\n");
  const { model, problems } = loadModel([{ path: "all.yaml", bytes: Buffer.from(text) }], {
    now: 0,
  });
  assert.equal(
    model === undefined,
    problems.some(({ severity }) => severity === "error"),
  );
  return problems
    .filter(({ severity }) => severity === "error")
    .map(({ found, wanted }) => `${String(found)}; ${wanted}`);
}

function view(name: string, more: string): string {
  return `kind: View\nmetadata: { name: ${name} }\nspec: { ${more} }`;
}

function zone(name: string, more: string): string {
  return `kind: Zone\nmetadata: { name: ${name} }\nspec: { origin: example.org, ${server}, ${more} }`;
}

test("an origin may be there once in each view and once in none", () => {
  const internal = view("internal", "priority: 1, match: [{ clients: [10.0.0.0/8] }]");
  const zones = [zone("a", "ttl: 1m"), zone("b", "view: internal")];
  const record = `kind: RecordSet\nmetadata: { name: www }\nspec: { name: www.example.org, type: A, view: internal, values: [10.0.0.1] }`;
  assert.deepEqual(problemsOf([internal, ...zones, record]), []);
  assert.deepEqual(problemsOf([internal, ...zones, zone("c", "view: internal")]), [
    "example.org@internal again after all.yaml:11; each zone in one document",
  ]);
  assert.match(problemsOf([...zones, record]).join(), /internal/);
  const other = problemsOf([internal, zone("b", "view: internal, catalog: {}")]);
  assert.match(other.join(), /no secondary, catalog or publishTo beside it/);
});

test("a zone of a view that is signed as another one goes out only where that one has a chain", () => {
  const internal = view("internal", "priority: 1, match: [{ clients: [10.0.0.0/8] }]");
  const sent = "view: internal, transfers: { allow: [{ clients: [10.0.0.0/8] }] }";
  const outer = (denial: string): string => zone("a", `dnssec: { denial: ${denial} }`);
  assert.deepEqual(problemsOf([internal, outer("nsec"), zone("b", sent)]), []);
  assert.match(
    problemsOf([internal, outer("compact"), zone("b", sent)]).join(),
    /zone example\.org by whose keys it is signed denies by compact records/,
  );
  assert.deepEqual(problemsOf([internal, outer("compact"), zone("b", `${sent}, dnssec: {}`)]), []);
});

test("views that cannot be told apart are refused", () => {
  const keys = "tsigKeys: { staff: { secret: { file: staff } } }";
  const one = view("one", `priority: 1, match: [{ key: staff }], ${keys}`);
  const other = view("other", `priority: 1, match: [{ key: staff }], ${keys}`);
  assert.equal(problemsOf([one]).length, 0);
  assert.deepEqual(problemsOf([one, other]), [
    '1, which View "one" at all.yaml:1 has; another one in each view',
    'the key staff, which View "one" at all.yaml:1 has; another one in each view',
  ]);
  assert.match(problemsOf([view("v", "priority: 1, match: [{ key: none }]")]).join(), /keys that/);
});
