// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { DocumentSet } from "../documents/document-set.ts";
import { CellReader, refuseCells } from "./wanted-cells.ts";

interface Given {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly spec: object;
}

function setOf(documents: readonly Given[]) {
  const writes = documents.map(({ kind, name, namespace = "", spec }) => {
    const metadata = namespace === "" ? { name } : { name, namespace };
    const raw = { apiVersion: "meridian.dev/v1alpha1", kind, metadata, spec };
    return { key: { kind, namespace, name }, text: JSON.stringify(raw) };
  });
  return { writes, set: DocumentSet.empty.with(writes, 1) };
}

function cell(name: string, spec: object): Given {
  return { kind: "Cell", name, spec };
}

const edges = ["a", "b", "c", "d"].map((name) => ({ name }));

function refusalOf(documents: readonly Given[]): string {
  const { writes, set } = setOf(documents);
  try {
    refuseCells(writes, set);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
}

test("refuseCells() says what two Cells have in common", () => {
  const own = { edges, tenants: ["shop"], zones: ["example.org"] };
  assert.equal(refusalOf([cell("one", own), cell("two", { edges: [{ name: "e" }] })]), "");
  for (const [other, what] of [
    [{ edges: [{ name: "b" }] }, "edge/b"],
    [{ edges: [{ name: "e" }], tenants: ["shop"] }, "tenant/shop"],
    [{ edges: [{ name: "e" }], zones: ["Example.ORG."] }, "zone/example.org"],
  ] as const)
    assert.equal(
      refusalOf([cell("one", own), cell("two", other)]),
      `Cannot apply Cell/two: ${what} is in Cell/one, expected in one place`,
    );
});

test("refuseCells() says for how many there is room", () => {
  const shuffled = (count: number, overlap: number): Given =>
    cell("one", {
      edges,
      tenants: Array.from({ length: count }, (_, index) => `t${index}`),
      shuffle: { edges: 2, overlap },
    });
  assert.equal(refusalOf([shuffled(6, 1)]), "");
  assert.match(
    refusalOf([shuffled(7, 1)]),
    /has 7 tenants and zones, each on 2 of 4 edges with at most 1 in common, expected at most 6, for which room was found \(there is none for more than 6\)/,
  );
});

test("read() finds whose a zone is: its own, its namespace's, or by domain", () => {
  const { set } = setOf([
    cell("one", { edges, tenants: ["shop", "bank"], zones: ["Own.Shop.example."] }),
    { kind: "Tenant", name: "shop", spec: { namespaces: ["shop"], domains: ["shop.example"] } },
    { kind: "Tenant", name: "bank", spec: { namespaces: ["bank"] } },
    { kind: "Tenant", name: "other", spec: { namespaces: ["other"], domains: ["other.example"] } },
    ...[
      ["shop", "shop.example"],
      ["shop", "own.shop.example"],
      ["bank", "bank.example"],
      ["other", "other.example"],
    ].map(([namespace = "", name = ""]) => ({
      kind: "Zone",
      name,
      namespace,
      spec: { origin: name },
    })),
  ]);
  const { zones } = new CellReader().read(set, ["files.shop.example", "nobodys.example"]);
  assert.deepEqual(Object.fromEntries([...zones].toSorted(byName)), {
    "bank.example": "tenant/bank",
    "files.shop.example": "tenant/shop",
    "own.shop.example": "zone/own.shop.example",
    "shop.example": "tenant/shop",
  });
});

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
