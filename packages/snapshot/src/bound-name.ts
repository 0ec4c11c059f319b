// SPDX-License-Identifier: Apache-2.0

// What a name and type of a snapshot are decided by: for those who ask why and what if, not for the query path.

import type { NameLookup } from "./zone/name-lookup.ts";
import { Shape, boundTypeBit } from "./zone/zone-format.ts";

/** A set of types of a name that is decided, as the record says. */
export interface BoundSet {
  /** `TargetKind`. */
  readonly targetKind: number;
  /** Index of the policy or pool. */
  readonly target: number;
  /** Seconds. */
  readonly ttlMin: number;
  readonly ttlMax: number;
  /** Endpoints in one answer; 0 leaves it to the policy. */
  readonly answers: number;
  /** `ClientLocation`. */
  readonly clientLocation: number;
}

/** What decides a type of the name that `lookup` has found; undefined where that is no policy or pool. */
export function boundSetOf(lookup: NameLookup, type: number): BoundSet | undefined {
  const { chunk } = lookup;
  const set = lookup.boundSet(boundTypeBit(type));
  if (set < 0 || chunk === undefined) return undefined;
  const shape = chunk.shapeAt(chunk.words[(set >>> 2) + 2] ?? 0);
  const packed = chunk.targetOf(chunk.words[(set >>> 2) + 1] ?? 0);
  const field = (index: number): number => chunk.words[shape + index] ?? 0;
  return {
    targetKind: packed & 1,
    target: packed >> 1,
    ttlMin: field(Shape.ttlMin),
    ttlMax: field(Shape.ttlMax),
    answers: field(Shape.answers),
    clientLocation: field(Shape.clientLocation),
  };
}
