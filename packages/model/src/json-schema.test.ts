// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import {
  crdSchemaOf,
  examples,
  isStoreKind,
  jsonSchemaOf,
  kinds,
  parseDocument,
  parseStoreDocument,
  renderReferences,
  storeKinds,
  storeSchemaOf,
  structuralViolations,
  type JsonSchema,
} from "./index.ts";

describe("schemas", () => {
  for (const kind of [...kinds, ...storeKinds]) {
    test(`${kind} is structural`, () => {
      assert.deepEqual(structuralViolations(crdSchemaOf(kind)), []);
    });

    test(`${kind} describes each field, with its range where it is a number`, () => {
      const bare = [
        ...fieldsOf(isStoreKind(kind) ? storeSchemaOf(kind) : jsonSchemaOf(kind), ""),
      ].flatMap(([path, { description, ...field }]) => {
        if (description === undefined || !description.endsWith(".")) return [path];
        const { minimum, maximum } = field;
        const hasRange = minimum !== undefined && maximum !== undefined && maximum <= 4_294_967_295;
        // Numbers with bounds that do not fit in words say "0 or more" or none.
        return hasRange && !description.includes(String(maximum)) && maximum < 1e9 ? [path] : [];
      });
      assert.deepEqual(bare, []);
    });

    test(`the example of ${kind} is right`, () => {
      const raw: unknown = parse(examples[kind]);
      const { problems } = isStoreKind(kind)
        ? { problems: problemsOf(parseStoreDocument(kind, raw)) }
        : parseDocument(raw, { file: "example", line: 1 });
      assert.deepEqual(problems, []);
    });
  }

  test("exactly one of several members survives as required alone", () => {
    assert.deepEqual(jsonSchemaOf("Record").properties?.["spec"]?.oneOf, [
      { required: ["policy"] },
      { required: ["pool"] },
    ]);
  });
});

describe("structuralViolations()", () => {
  const text = { type: "string" };
  const cases: [string, object, string[]][] = [
    ["a missing type", { properties: { a: {} }, type: "object" }, ["$.a has no type"]],
    ["a reference", { type: "object", $ref: "#" }, ["$ uses $ref"]],
    [
      "fields besides a map",
      { type: "object", properties: { a: text }, additionalProperties: text },
      ["$ has properties and additionalProperties"],
    ],
    ["a closed object", { type: "object", additionalProperties: false }, ["$.* is no schema"]],
    [
      "a type inside a oneOf",
      {
        type: "object",
        properties: { a: text },
        oneOf: [{ properties: { a: text }, type: "object" }],
      },
      ["$.oneOf declares type"],
    ],
    [
      "a field only in a oneOf",
      { type: "object", properties: { a: text }, oneOf: [{ required: ["b"] }] },
      ["$.oneOf names b only there"],
    ],
    ["items without a type", { type: "array", items: {} }, ["$[] has no type"]],
  ];
  for (const [title, schema, violations] of cases) {
    test(`finds ${title}`, () => assert.deepEqual(structuralViolations(schema), violations));
  }
});

test("the reference pages are in step with the schemas", () => {
  const folder = join(import.meta.dirname, "../../../docs/reference");
  for (const [file, page] of renderReferences()) {
    const path = join(folder, file);
    if (process.env["UPDATE_TESTDATA"] === "1") writeFileSync(path, page);
    assert.equal(readFileSync(path, "utf8"), page, `${file}: run with UPDATE_TESTDATA=1`);
  }
});

function problemsOf(result: ReturnType<typeof parseStoreDocument>): readonly object[] {
  return "findings" in result ? result.findings : [];
}

function* fieldsOf(schema: JsonSchema, path: string): Generator<[string, JsonSchema]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield [`${path}.${name}`, field];
    yield* fieldsOf(field, `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* fieldsOf(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) {
    yield* fieldsOf(schema.additionalProperties, `${path}.*`);
  }
}
