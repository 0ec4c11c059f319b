// SPDX-License-Identifier: Apache-2.0

// What must be true of a names section before it is asked. Its nodes are not looked at: a million of them would take longer than all
// else together. A look-up ends by its probe bound wherever a bucket leads, and the query path looks at links, shapes and records.

import { ANSWERS_MAX } from "../policies/policies-format.ts";
import { SharedTable, type Section } from "../section.ts";
import { isInHeap, strideError } from "../section-check.ts";
import { NamesTableId, NO_CUT, RR_HEADER_BYTES, SHAPE_WORDS, Shape } from "./zone-format.ts";

/** Why a names section cannot be served, or undefined. */
export function namesError(section: Section): string | undefined {
  const strides = strideError(section, "Names", {
    [NamesTableId.buckets]: 8,
    [NamesTableId.nodes]: 1,
    [NamesTableId.shapes]: SHAPE_WORDS * 4,
    [NamesTableId.linkKinds]: 1,
  });
  if (strides !== undefined) return strides;
  const links = section.count(SharedTable.links);
  if (section.count(NamesTableId.linkKinds) !== links)
    return `Names section has ${links} links, expected a kind of each`;
  return shapeError(section);
}

/** Whether the RR at `at` ends by `end`, its cuts inside its rdata. Returns the offset behind it, or −1. */
export function recordEnd(bytes: Uint8Array, at: number, end: number, originBytes: number): number {
  const data = at + RR_HEADER_BYTES;
  if (data > end) return -1;
  const length = bytes[at]! | (bytes[at + 1]! << 8);
  if (data + length > end) return -1;
  const cutA = bytes[at + 2]!;
  if (cutA === NO_CUT) return data + length;
  const cutB = bytes[at + 3]!;
  const isA = cutA + originBytes <= (cutB === NO_CUT ? length : cutB);
  return isA && (cutB === NO_CUT || cutB + originBytes <= length) ? data + length : -1;
}

function shapeError(section: Section): string | undefined {
  const base = section.wordBase(NamesTableId.shapes);
  for (let shape = 0; shape < section.count(NamesTableId.shapes); shape++) {
    const word = (index: number): number => section.words[base + shape * SHAPE_WORDS + index] ?? 0;
    const pieces = [
      Shape.serviceTargetOffset,
      Shape.paramsLowOffset,
      Shape.paramsMiddleOffset,
      Shape.paramsHighOffset,
      Shape.srvTargetOffset,
    ];
    if (pieces.some((index) => !isInHeap(section, word(index), word(index + 1))))
      return `Names section has shape ${shape} outside its heap`;
    if (word(Shape.answers) > ANSWERS_MAX)
      return `Names section has shape ${shape} with ${word(Shape.answers)} answers, expected at most ${ANSWERS_MAX}`;
  }
  return undefined;
}
