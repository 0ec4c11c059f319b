// SPDX-License-Identifier: Apache-2.0

// What differs between two documents, by path: objects member by member, lists item by item, everything else as a whole.

import { formatPath, type Path } from "@meridian/model";
import { canonicalJson } from "./canonical.ts";

/** One place that differs; `before` or `after` is absent where there was nothing. */
export interface Difference {
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Differences from one JSON value to another, in the order of their paths; undefined stands for nothing. */
export function differences(before: unknown, after: unknown): Difference[] {
  return [...differ(before, after, [])];
}

function* differ(before: unknown, after: unknown, path: Path): Generator<Difference> {
  if (before === undefined && after === undefined) return;
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
    for (const name of names)
      yield* differ(ownOf(before, name), ownOf(after, name), [...path, name]);
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let index = 0; index < length; index++)
      yield* differ(before[index], after[index], [...path, index]);
    return;
  }
  if (before !== undefined && after !== undefined && canonicalJson(before) === canonicalJson(after))
    return;
  yield {
    path: formatPath(path),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function ownOf(value: object, name: string): unknown {
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}
