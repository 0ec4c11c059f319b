// SPDX-License-Identifier: Apache-2.0
// The scalars that the kinds share. By convention the `error` of a schema here is not a sentence
// but what was wanted ("a whole number from 1 to 65535"): `issues.ts` makes the sentence, with the
// value found, so that every message reads alike.
import { parseDuration } from "@meridian/core";
import * as z from "zod";
import { addressBytes, addressKind, isHostName, parsePrefix } from "./address.ts";

/** A whole number of a closed range. */
export function wholeNumber(min: number, max: number): z.ZodInt {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A number of a closed range. */
export function numberBetween(min: number, max: number): z.ZodNumber {
  const error = `a number from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
}

/** A number that is not negative, in a unit of the user's choice. */
export function amount(): z.ZodNumber {
  const error = `a number from 0 to ${Number.MAX_SAFE_INTEGER}`;
  return z.number({ error }).min(0, { error }).max(Number.MAX_SAFE_INTEGER, { error });
}

/** Text of 1 to `lengthMax` characters. */
export function text(lengthMax: number): z.ZodString {
  const error = `text of 1 to ${lengthMax} characters`;
  return z.string({ error }).min(1, { error }).max(lengthMax, { error });
}

/** Text of 0 to `lengthMax` characters. */
export function textOrEmpty(lengthMax: number): z.ZodString {
  const error = `text of at most ${lengthMax} characters`;
  return z.string({ error }).max(lengthMax, { error });
}

/** Text of a form that is described in words. */
export function textLike(pattern: RegExp, wanted: string): z.ZodString {
  return z.string({ error: wanted }).regex(pattern, { error: wanted });
}

/** `true` or `false`. */
export function flag(): z.ZodBoolean {
  return z.boolean({ error: "true or false" });
}

/** One of some words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(
  words: Words,
): z.ZodEnum<z.core.util.ToEnum<Words[number]>> {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

/** A list; `lengthMin` and `lengthMax` bound its length. */
export function list<Item extends z.ZodType>(
  item: Item,
  lengthMin: number,
  lengthMax: number,
): z.ZodArray<Item> {
  const many = `${lengthMin === 0 ? "at most" : `${lengthMin} to`} ${lengthMax} items`;
  const error = `a list of ${many}`;
  return z.array(item, { error }).min(lengthMin, { error }).max(lengthMax, { error });
}

/** A map by name. */
export function mapOf<Value extends z.ZodType>(value: Value): z.ZodRecord<z.ZodString, Value> {
  return z.record(nameText, value, { error: "a mapping from names" });
}

const nameWanted = "a name of 1 to 63 characters a-z, 0-9 and -, first and last no -";
const nameText = textLike(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, nameWanted);

/** The name of a document, or a reference to one of the same namespace. */
export function name(): z.ZodString {
  return nameText.clone();
}

/** A reference to a document of the same namespace, or of another one as NAMESPACE/NAME. */
export function reference(): z.ZodString {
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  return textLike(
    new RegExp(`^(${label}/)?${label}$`),
    "a name of 1 to 63 characters a-z, 0-9 and -, first and last no -, or NAMESPACE/NAME",
  );
}

const domainLikeForm = /^[a-z0-9_*]([a-z0-9._*-]{0,251}[a-z0-9_*])?$/;

/** Whether `domainLikeName()` accepts a text. */
export function isDomainLikeName(value: string): boolean {
  return domainLikeForm.test(value);
}

/** The name of a Zone or Record document, which may be the domain name itself. */
export function domainLikeName(): z.ZodString {
  return textLike(
    domainLikeForm,
    "a name of 1 to 253 characters a-z, 0-9, -, _, * and ., first and last no - or .",
  );
}

/** A duration of one unit, kept as text. */
export function duration(): z.ZodString {
  return textLike(/^[0-9]{1,9}(ms|s|m|h)$/, "a duration such as 250ms, 10s, 5m or 72h");
}

/** A duration above zero. */
export function positiveDuration(): z.ZodString {
  return duration().refine((value) => parseDuration(value) !== 0, { error: "more than 0" });
}

/** A fully qualified domain name, with or without its last dot; `*` as the first label where asked. */
export function domainName(): z.ZodString {
  const error = "a domain name such as www.example.org";
  return z.string({ error }).refine(isDomainName, { error });
}

/** A host name that is answered as a CNAME. */
export function hostName(): z.ZodString {
  const error = "a host name such as www.example.net";
  const accepted = (value: string): boolean => addressKind(value) === "name";
  return z.string({ error }).refine(accepted, { error });
}

/** The address of an endpoint. */
export function endpointAddress(): z.ZodString {
  const error = "an IPv4 address, an IPv6 address or a host name with a dot";
  return z.string({ error }).refine((value) => addressKind(value) !== undefined, { error });
}

/** An IPv4 or IPv6 address. */
export function ipAddress(): z.ZodString {
  const error = "an IPv4 or IPv6 address";
  return z.string({ error }).refine((value) => addressBytes(value) !== undefined, { error });
}

/** A prefix whose base is the network address. */
export function prefix(): z.ZodString {
  const wanted = (value: unknown): string => {
    const parsed = parsePrefix(typeof value === "string" ? value : "");
    return "wanted" in parsed ? parsed.wanted : "a prefix";
  };
  return z.string({ error: wanted("") }).refine((value) => !("wanted" in parsePrefix(value)), {
    error: (issue) => wanted(issue.input),
  });
}

/** An HTTP or HTTPS address. */
export function httpUrl(): z.ZodString {
  const error = "an address that starts with http:// or https://";
  const accepted = (value: string): boolean => /^https?:\/\//.test(value) && URL.canParse(value);
  return z.string({ error }).refine(accepted, { error });
}

/** An RFC 3339 time. */
export function time(): z.ZodString {
  const error = "a time such as 2026-01-31T12:00:00Z";
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
  return textLike(form, error).refine((value) => !Number.isNaN(Date.parse(value)), { error });
}

/**
 * Lets exactly one of some optional members be there, in each of some groups. Checked whatever else is wrong with the
 * object, so that all its problems are told at once; in the JSON schema it becomes a `oneOf` of
 * `required`, which a structural schema may hold.
 */
export function exactlyOne<Schema extends z.ZodObject>(
  schema: Schema,
  ...groups: readonly (readonly string[])[]
): Schema {
  let checked = schema;
  for (const members of groups) {
    checked = checked.refine((value) => presentMembers(value, members).length === 1, {
      error: `exactly one of ${members.join(", ")}`,
      when: (payload) => isObject(payload.value),
    });
  }
  const rules = groups.map((members) => ({
    oneOf: members.map((member) => ({ required: [member] })),
  }));
  return checked.meta(rules.length === 1 ? { ...rules[0] } : { allOf: rules });
}

/** The members of an object, of those named, that are there. */
export function presentMembers(value: object, members: readonly string[]): string[] {
  const present = new Set(Object.keys(value));
  return members.filter((member) => present.has(member));
}

/** An object that takes no other fields. */
export function object<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape, { error: objectError });
}

function objectError(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== "invalid_type") return undefined;
  return issue.input === null ? "a mapping ({} where nothing is to be set)" : "a mapping";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether `domainName()` accepts a text. */
export function isDomainName(value: string): boolean {
  return value === "." || isHostName(value.startsWith("*.") ? value.slice(2) : value);
}

/**
 * Whether a text of bytes is surely accepted by both `domainName()` and `domainLikeName()`: a host name in lower case, perhaps behind
 * `*.`, whose last label begins with a letter. Others may be, too. (A million names: 0.3 s less than making texts of them.)
 */
export function isPlainDomainName(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 253) return false;
  const hasWildcard = bytes[start] === 0x2a && bytes[start + 1] === 0x2e;
  let labelStart = hasWildcard ? start + 2 : start;
  let before = 0x2e;
  for (let at = labelStart; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x2e) {
      if (before === 0x2e || before === 0x2d || at - labelStart > 63) return false;
      labelStart = at + 1;
    } else if (byte === 0x2d) {
      if (before === 0x2e) return false;
    } else if (!isLowerOrDigit(byte) && byte !== 0x5f) return false;
    before = byte;
  }
  const first = bytes[labelStart] ?? 0;
  const isLetterFirst = labelStart < end && first >= 0x61 && first <= 0x7a;
  return isLetterFirst && before !== 0x2d && end - labelStart <= 63;
}

function isLowerOrDigit(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
}
