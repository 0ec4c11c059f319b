// SPDX-License-Identifier: Apache-2.0
// The schemas as JSON Schema, in the subset that Kubernetes takes in a CustomResourceDefinition:
// "structural" schemas, in which every value has a type of its own, outside of any oneOf.
import * as z from "zod";
import { type Kind, schemas } from "./documents.ts";
import { scenarioSchema } from "./kinds/scenario.ts";
import { isStoreKind, type StoreKind, storeSchemas } from "./store-kinds.ts";

/** The keywords used here of a JSON schema. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** The values of a map; an object with `properties` has none. */
  readonly additionalProperties?: JsonSchema;
  readonly items?: JsonSchema;
  /** Only of `required`. */
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

/** The schema of a kind as it is written, before defaults are filled in. */
export function jsonSchemaOf(kind: Kind): JsonSchema {
  return simplify(z.toJSONSchema(schemas[kind], { io: "input", target: "draft-7" }));
}

/** The same of a kind that only the API takes. */
export function storeSchemaOf(kind: StoreKind): JsonSchema {
  return simplify(z.toJSONSchema(storeSchemas[kind], { io: "input", target: "draft-7" }));
}

/** The same of a Scenario, which no server takes. */
export function scenarioJsonSchema(): JsonSchema {
  return simplify(z.toJSONSchema(scenarioSchema, { io: "input", target: "draft-7" }));
}

/** The schema of a kind for a CustomResourceDefinition, where `metadata` belongs to Kubernetes. */
export function crdSchemaOf(kind: Kind | StoreKind): JsonSchema {
  const schema = isStoreKind(kind) ? storeSchemaOf(kind) : jsonSchemaOf(kind);
  const { spec = { type: "object" } } = schema.properties ?? {};
  return {
    type: "object",
    description: schema.description ?? `Kind ${kind}.`,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec,
    },
  };
}

/**
 * How a schema breaks the rules of structural schemas (Kubernetes, "Specifying a structural
 * schema"), each with the place; empty where it keeps them.
 */
export function structuralViolations(schema: unknown, place = "$"): string[] {
  if (!isRecord(schema)) return [`${place} is no schema`];
  const violations: string[] = [];
  for (const keyword of Object.keys(schema)) {
    if (!allowedKeywords.has(keyword)) violations.push(`${place} uses ${keyword}`);
  }
  if (typeof schema["type"] !== "string" || schema["type"] === "") {
    violations.push(`${place} has no type`);
  }
  if (schema["properties"] !== undefined && schema["additionalProperties"] !== undefined) {
    violations.push(`${place} has properties and additionalProperties`);
  }
  for (const junctor of ["allOf", "anyOf", "oneOf"]) {
    const parts = schema[junctor];
    for (const part of Array.isArray(parts) ? parts : []) {
      violations.push(...junctorViolations(part, schema, `${place}.${junctor}`));
    }
  }
  for (const [name, property] of Object.entries(recordOf(schema["properties"]))) {
    violations.push(...structuralViolations(property, `${place}.${name}`));
  }
  for (const [keyword, mark] of [
    ["items", "[]"],
    ["additionalProperties", ".*"],
  ] as const) {
    const inner = schema[keyword];
    if (inner !== undefined) violations.push(...structuralViolations(inner, `${place}${mark}`));
  }
  return violations;
}

const allowedKeywords: ReadonlySet<string> = new Set([
  "type",
  "description",
  "default",
  "enum",
  "pattern",
  "format",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "required",
  "properties",
  "additionalProperties",
  "items",
  "allOf",
  "anyOf",
  "oneOf",
  "nullable",
]);

/** Inside of a junctor nothing may be declared that is not declared outside of it. */
function junctorViolations(part: unknown, outside: unknown, place: string): string[] {
  if (!isRecord(part)) return [`${place} is no schema`];
  const violations: string[] = [];
  for (const keyword of ["description", "type", "default", "additionalProperties", "nullable"]) {
    if (part[keyword] !== undefined) violations.push(`${place} declares ${keyword}`);
  }
  const declared = recordOf(recordOf(outside)["properties"]);
  const required = Array.isArray(part["required"]) ? part["required"] : [];
  for (const name of [...required.map(String), ...Object.keys(recordOf(part["properties"]))]) {
    if (declared[name] === undefined) violations.push(`${place} names ${name} only there`);
  }
  for (const junctor of ["allOf", "anyOf", "oneOf"]) {
    const parts = part[junctor];
    for (const inner of Array.isArray(parts) ? parts : []) {
      violations.push(...junctorViolations(inner, outside, `${place}.${junctor}`));
    }
  }
  return violations;
}

/** Rewrites what zod makes into the subset above; what the subset cannot say is left out. */
function simplify(schema: unknown): JsonSchema {
  const source = recordOf(schema);
  const out: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(source)) {
    if (keyword === "const") out["enum"] = [value];
    else if (keyword === "properties") {
      const properties = Object.entries(recordOf(value));
      out[keyword] = Object.fromEntries(properties.map(([name, each]) => [name, simplify(each)]));
    } else if (keyword === "items") out[keyword] = simplify(value);
    else if (keyword === "additionalProperties") {
      if (value !== false) out[keyword] = simplify(value);
    } else if (keyword !== "$schema" && keyword !== "propertyNames") out[keyword] = value;
  }
  return out;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}
