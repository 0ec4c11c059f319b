// SPDX-License-Identifier: Apache-2.0

import type { LoadSource } from "../check.ts";

type JsonSource = Extract<LoadSource, { kind: "json" }>;

const decoder = new TextDecoder();

/** The keys that lead to a load, outermost first. */
export function partsOf({ path, pointer }: Pick<JsonSource, "path" | "pointer">): string[] {
  return pointer === undefined
    ? path.split(".")
    : pointer
        .slice(1)
        .split("/")
        .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * The number below `parts` of a JSON body, divided by `full`; undefined where the body is no JSON, they lead nowhere or
 * the value is no number ≥ 0. Numeric parts index arrays.
 */
export function readJsonLoad(
  body: Uint8Array,
  parts: readonly string[],
  full: number,
): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch {
    return undefined;
  }
  for (const part of parts) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([key]) => key === part)?.[1];
  }
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return undefined;
  return value / full;
}
