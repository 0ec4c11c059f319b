// SPDX-License-Identifier: Apache-2.0
// Turns what zod reports into Problems: the value found comes from the raw document by the issue's
// path, what was wanted from the `error` texts of the schemas, suggestions from the schema itself.
import * as z from "zod";
import { formatPath, type Path, type ProblemCode } from "./problem.ts";
import { suggest } from "./suggest.ts";

/** A Problem that does not know yet where in a file it is. */
export interface Finding {
  readonly code: ProblemCode;
  readonly path: Path;
  /** Whether the position wanted is that of the last field's name rather than of its value. */
  readonly atKey?: boolean;
  readonly message: string;
  readonly found?: string;
  readonly wanted?: string;
  readonly suggestion?: string | undefined;
}

/** What a schema finds wrong with a raw document; `subject` opens each sentence. */
export function findingsOf(
  error: z.ZodError,
  schema: z.core.$ZodType,
  raw: unknown,
  subject: string,
): Finding[] {
  return error.issues.flatMap((issue) => findingsOfIssue(issue, schema, raw, subject));
}

/** What a value looks like in a message: short, quoted where it is text. */
export function describeValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "empty";
  if (typeof value === "string") return JSON.stringify(shorten(value));
  if (Array.isArray(value)) return value.length === 1 ? "a list of 1" : `a list of ${value.length}`;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "object") return typeof value;
  const keys = Object.keys(value);
  if (keys.length === 0) return "{}";
  const shown = keys.slice(0, 4).map(shorten).join(", ");
  return `a mapping of ${shown}${keys.length > 4 ? ", …" : ""}`;
}

/** The value at a path of a raw document. */
export function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

/** The fields that a schema takes at a path, empty where it takes any or none. */
export function fieldsAt(schema: z.core.$ZodType, path: Path): string[] {
  let at: z.core.$ZodType | undefined = schema;
  for (const step of path) {
    const inner = unwrap(at);
    if (inner instanceof z.ZodObject) at = shapeOf(inner)[String(step)];
    else if (inner instanceof z.ZodRecord) at = inner.valueType;
    else if (inner instanceof z.ZodArray) at = inner.element;
    else return [];
  }
  const inner = unwrap(at);
  return inner instanceof z.ZodObject ? Object.keys(shapeOf(inner)) : [];
}

function findingsOfIssue(
  issue: z.core.$ZodIssue,
  schema: z.core.$ZodType,
  raw: unknown,
  subject: string,
): Finding[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownField(key, path, schema, raw, subject));
  }
  if (issue.code === "invalid_key") return [wrongKey(issue, path, subject)];
  const value = valueAt(raw, path);
  const wanted = issue.message;
  if (value === undefined && path.length > 0) {
    const message = `${subject}: ${formatPath(path)} is missing, expected ${wanted}`;
    return [{ code: "field-missing", path, message, found: "missing", wanted }];
  }
  const found = describeValue(value);
  const words = issue.code === "invalid_value" ? issue.values.map(String) : [];
  const suggestion = typeof value === "string" ? suggest(value, words) : undefined;
  const message = `${subject}: ${formatPath(path) || "the document"} is ${found}, expected ${wanted}`;
  return [{ code: "value-wrong", path, message, found, wanted, suggestion }];
}

function unknownField(
  key: string,
  path: Path,
  schema: z.core.$ZodType,
  raw: unknown,
  subject: string,
): Finding {
  const fields = fieldsAt(schema, path);
  const free = fields.filter((field) => valueAt(raw, [...path, field]) === undefined);
  const wanted = fields.length === 0 ? "no fields" : `one of ${fields.join(", ")}`;
  const message = `${subject}: ${formatPath([...path, key])} is no field, expected ${wanted}`;
  const suggestion = suggest(key, free);
  return {
    code: "field-unknown",
    path: [...path, key],
    atKey: true,
    message,
    found: key,
    wanted,
    suggestion,
  };
}

function wrongKey(issue: z.core.$ZodIssueInvalidKey, path: Path, subject: string): Finding {
  const wanted = issue.issues[0]?.message ?? "a name";
  const found = JSON.stringify(shorten(String(path.at(-1) ?? "")));
  const where = formatPath(path.slice(0, -1));
  const message = `${subject}: ${where} has the name ${found}, expected ${wanted}`;
  return { code: "value-wrong", path, atKey: true, message, found, wanted };
}

function unwrap(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodDefault || at instanceof z.ZodPrefault) {
    at = at.unwrap();
  }
  return at;
}

function shapeOf(schema: z.ZodObject): Readonly<Record<string, z.core.$ZodType>> {
  return schema.shape;
}

function shorten(value: string): string {
  return value.length <= 60 ? value : `${value.slice(0, 57)}…`;
}
