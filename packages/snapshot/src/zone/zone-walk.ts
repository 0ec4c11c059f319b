// SPDX-License-Identifier: Apache-2.0

// All that a zone holds, owner by owner, in no order that means anything. For who takes the zone as a whole: a transfer, a comparison.

import type { NamesChunk } from "./names-chunk.ts";
import {
  BOUND_SET,
  NODE_HEADER_BYTES,
  NO_CUT,
  NodeFlag,
  RR_HEADER_BYTES,
  SET_BYTES,
  Shape,
} from "./zone-format.ts";
import type { LoadedZone } from "./zone-table.ts";

/** One record in class IN. */
export interface WalkedRecord {
  /** Wire form, lower case. */
  readonly owner: Uint8Array;
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly rdata: Uint8Array;
  /** Offsets in the rdata at which the zone's origin may be replaced by a pointer; none where -1. */
  readonly cutA: number;
  readonly cutB: number;
}

/** Types (`BoundType`) for which an owner is bound to one policy or pool. */
export interface WalkedBinding {
  readonly owner: Uint8Array;
  readonly mask: number;
  /** Index of the policy or pool × 2 + `TargetKind`, or `NO_TARGET`. */
  readonly target: number;
  readonly ttlMax: number;
  /** Of the owner. */
  readonly isOccluded: boolean;
}

/** One owner with what it holds. */
export interface WalkedOwner {
  readonly owner: Uint8Array;
  /** A delegation. */
  readonly isCut: boolean;
  /** Below a delegation or a DNAME: not the zone's own. */
  readonly isOccluded: boolean;
  readonly records: readonly WalkedRecord[];
  readonly bindings: readonly WalkedBinding[];
}

/** The owners in one of a zone's names sections that hold something. */
export function* walkChunk(zone: LoadedZone, chunk: NamesChunk): Generator<WalkedOwner> {
  const { words, bucketBase, bucketMask, nodesBase } = chunk;
  for (let bucket = 0; bucket <= bucketMask; bucket++) {
    const entry = words[bucketBase + bucket * 2 + 1]!;
    if (entry === 0) continue;
    const walked = walkNode(zone, chunk, nodesBase + entry - 1);
    if (walked !== undefined) yield walked;
  }
}

/** One owner, at a byte offset in the section of names; undefined where it holds nothing. */
export function walkNode(
  zone: LoadedZone,
  chunk: NamesChunk,
  node: number,
): WalkedOwner | undefined {
  const { bytes, words, nodesBase } = chunk;
  const setCount = bytes[node + 2]!;
  const nameBytes = bytes[node + 1]!;
  const nameStart = node + NODE_HEADER_BYTES + setCount * SET_BYTES;
  if (setCount === 0 || !(nameStart + nameBytes <= bytes.length)) return undefined;
  const owner = new Uint8Array(nameBytes + zone.origin.length);
  owner.set(bytes.subarray(nameStart, nameStart + nameBytes));
  owner.set(zone.origin, nameBytes);
  const isCut = (bytes[node]! & NodeFlag.isCut) !== 0;
  const isOccluded = bytes[node + 3] !== 0;
  const records: WalkedRecord[] = [];
  const bindings: WalkedBinding[] = [];
  for (let set = 0; set < setCount; set++) {
    const word = (node + NODE_HEADER_BYTES + set * SET_BYTES) >>> 2;
    const head = words[word]!;
    const count = head >>> 16;
    if (count === BOUND_SET) {
      const binding = bindingAt(chunk, word);
      if (binding !== undefined) bindings.push({ owner, isOccluded, ...binding });
      continue;
    }
    const ttl = words[word + 1]!;
    let at = nodesBase + words[word + 2]!;
    for (let record = 0; record < count; record++) {
      const length = bytes[at]! | (bytes[at + 1]! << 8);
      const data = at + RR_HEADER_BYTES;
      // What no writer of ours wrote.
      if (!(data + length <= bytes.length)) return undefined;
      const rdata = bytes.subarray(data, data + length);
      const [cutA, cutB] = [cutOf(bytes[at + 2]!), cutOf(bytes[at + 3]!)];
      records.push({ owner, type: head & 0xffff, ttl, rdata, cutA, cutB });
      at = data + length;
    }
  }
  return { owner, isCut, isOccluded, records, bindings };
}

function bindingAt(
  chunk: NamesChunk,
  word: number,
): Pick<WalkedBinding, "mask" | "target" | "ttlMax"> | undefined {
  const { words } = chunk;
  const link = words[word + 1]!;
  const shape = words[word + 2]!;
  if (!(link < chunk.linkCount && shape < chunk.shapeCount)) return undefined;
  const ttlMax = words[chunk.shapeAt(shape) + Shape.ttlMax]!;
  return { mask: words[word]! & 0xffff, target: chunk.targetOf(link), ttlMax };
}

function cutOf(byte: number): number {
  return byte === NO_CUT ? -1 : byte;
}
