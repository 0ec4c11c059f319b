// SPDX-License-Identifier: Apache-2.0

const decoder = new TextDecoder();

/**
 * The number at dotted `path` of a JSON body, divided by `full`; undefined where the body is no JSON, the path leads nowhere or
 * the value is no number ≥ 0. Numeric parts index arrays.
 */
export function readJsonLoad(body: Uint8Array, path: string, full: number): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(body));
  } catch {
    return undefined;
  }
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([key]) => key === part)?.[1];
  }
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return undefined;
  return value / full;
}
