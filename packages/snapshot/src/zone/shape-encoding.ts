// SPDX-License-Identifier: Apache-2.0

import { assert } from "@meridian/core";
import type { SectionWriter } from "../section-writer.ts";
import { SharedTable, type Section } from "../section.ts";
import { ClientLocation, NamesTableId, Shape, SHAPE_WORDS } from "./zone-format.ts";
import type { Binding, ServiceBinding, SrvBinding } from "./zone-writer.ts";

const KEY_IPV4HINT = 4;
const KEY_IPV6HINT = 6;

/** Word indices of what lies in the heap, each an offset with the length behind it, in the order in which it is written. */
const heapWords = [
  Shape.serviceTargetOffset,
  Shape.paramsLowOffset,
  Shape.paramsMiddleOffset,
  Shape.paramsHighOffset,
  Shape.srvTargetOffset,
] as const;

/** What a shape says, wherever it is written: everything of a binding but the target. */
export interface ShapeContent {
  /** Equal for equal shapes. */
  readonly key: string;
  /** Its words, with offsets of 0. */
  readonly words: Uint32Array;
  /** What lies in the heap, as `heapWords`. */
  readonly parts: readonly Uint8Array[];
}

/** The shape of a binding. */
export function shapeOf(binding: Binding): ShapeContent {
  assert(binding.ttlMin >= 0 && binding.ttlMin <= binding.ttlMax, "the TTL bounds are in order");
  const words = new Uint32Array(SHAPE_WORDS);
  words[Shape.ttlMin] = binding.ttlMin;
  words[Shape.ttlMax] = binding.ttlMax;
  words[Shape.answers] = binding.answers ?? 0;
  words[Shape.clientLocation] = binding.clientLocation ?? ClientLocation.inherit;
  words[Shape.objectiveSeconds] = binding.objectiveSeconds ?? 0;
  const service = binding.service ?? defaultService;
  words[Shape.servicePriority] = service.priority;
  // AliasMode has no parameters (RFC 9460 §2.4.2).
  words[Shape.hasHints] = service.hasHints && service.priority > 0 ? 1 : 0;
  const srv = binding.srv ?? defaultSrv;
  words[Shape.srvPriority] = srv.priority;
  words[Shape.srvWeight] = srv.weight;
  words[Shape.srvPort] = srv.port;
  const parts = [service.target, ...paramParts(service), srv.target ?? new Uint8Array(0)];
  return contentOf(words, parts);
}

/** The shape `index` of a names section. */
export function readShape(section: Section, index: number): ShapeContent {
  const at = section.wordBase(NamesTableId.shapes) + index * SHAPE_WORDS;
  const words = section.words.slice(at, at + SHAPE_WORDS);
  const heap = section.table(SharedTable.heap).offset;
  const parts = heapWords.map((word) => {
    const start = heap + words[word]!;
    return section.bytes.subarray(start, start + words[word + 1]!);
  });
  return contentOf(words, parts);
}

/** The words of a shape; what they point at goes to the heap of `writer`. */
export function putShape({ words, parts }: ShapeContent, writer: SectionWriter): Uint32Array {
  const placed = words.slice();
  for (const [index, word] of heapWords.entries()) placed[word] = writer.heap(parts[index]!);
  return placed;
}

function contentOf(words: Uint32Array, parts: readonly Uint8Array[]): ShapeContent {
  for (const [index, word] of heapWords.entries()) {
    words[word] = 0;
    words[word + 1] = parts[index]!.length;
  }
  return { key: `${words.join(" ")}|${parts.map(hex).join(" ")}`, words, parts };
}

const defaultService: ServiceBinding = {
  priority: 1,
  target: new Uint8Array(1),
  params: new Uint8Array(0),
  hasHints: true,
};
const defaultSrv: SrvBinding = { priority: 0, weight: 0, port: 0 };

/** SvcParams are written in rising order of their keys (RFC 9460 §2.2), so the hints split them in three. */
function paramParts({ params }: ServiceBinding): Uint8Array[] {
  const low: Uint8Array[] = [];
  const middle: Uint8Array[] = [];
  const high: Uint8Array[] = [];
  for (let at = 0; at < params.length;) {
    const key = (params[at]! << 8) | params[at + 1]!;
    const end = at + 4 + ((params[at + 2]! << 8) | params[at + 3]!);
    assert(end <= params.length, "SvcParams are complete");
    assert(key !== KEY_IPV4HINT && key !== KEY_IPV6HINT, "the hints come from the decision");
    const part = key < KEY_IPV4HINT ? low : key < KEY_IPV6HINT ? middle : high;
    part.push(params.subarray(at, end));
    at = end;
  }
  return [Buffer.concat(low), Buffer.concat(middle), Buffer.concat(high)];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
