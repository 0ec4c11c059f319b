// SPDX-License-Identifier: Apache-2.0

// Query phase: what a zone has to say about a name (RFC 1034 §4.3.2 step 3, RFC 4592 §2.2, RFC 6672 §3.2). Since every ancestor of
// an owner is an entry too, the closest encloser is found by bisection over the labels: at most seven look-ups for any name.

import type { NamesChunk } from "./names-chunk.ts";
import type { QueryName } from "./query-name.ts";
import { wildcardHash } from "./query-name.ts";
import { BOUND_SET, NODE_HEADER_BYTES, NodeFlag, SET_BYTES } from "./zone-format.ts";
import type { LoadedZone } from "./zone-table.ts";

/** What was found. */
export const Found = {
  /** The name itself; it may hold nothing (an empty non-terminal). */
  exact: 0,
  /** A wildcard stands for the name. */
  wildcard: 1,
  /** A delegation at or above the name. */
  delegation: 2,
  /** A DNAME strictly above the name. */
  dname: 3,
  /** The name does not exist. */
  nothing: 4,
} as const;

/** Where the last look-up ended. One is made per worker; a look-up allocates nothing. */
export class NameLookup {
  /** Set by a look-up that did not end in `Found.nothing`. */
  chunk: NamesChunk | undefined = undefined;
  /** Byte offset of the node in `chunk.bytes`. */
  node: number = 0;
  /** Label of the query name at which the node (or, for a wildcard, its parent) sits. */
  label: number = 0;

  /**
   * Looks `name` up in `zone`, in whose origin it ends. `isParentSide` is true for types that live above a delegation (DS): they
   * are answered at the delegation itself.
   */
  find(zone: LoadedZone, name: QueryName, isParentSide: boolean): number {
    const originLabel = name.labelCount - zone.originLabels;
    let label = 0;
    if (!this.#at(zone, name, 0, originLabel))
      label = this.#closestEncloser(zone, name, originLabel);
    const depth = this.chunk!.bytes[this.node + 3]!;
    if (depth !== 0) {
      label = name.labelCount - (depth - 1);
      this.#at(zone, name, label, originLabel);
    }
    this.label = label;
    return this.#judge(zone, name, originLabel, label, isParentSide);
  }

  /** Looks for the name itself only; for glue. */
  findExact(zone: LoadedZone, name: QueryName): boolean {
    return this.#at(zone, name, 0, name.labelCount - zone.originLabels);
  }

  /** Byte offset of the node's set of `type`, or -1. */
  set(type: number): number {
    return findSet(this.chunk!, this.node, type);
  }

  /** Byte offset of the node's bound set for any type in `mask` (`BoundType`), or -1. */
  boundSet(mask: number): number {
    return findBoundSet(this.chunk!, this.node, mask);
  }

  get flags(): number {
    return this.chunk!.bytes[this.node]!;
  }

  #judge(
    zone: LoadedZone,
    name: QueryName,
    originLabel: number,
    label: number,
    isParentSide: boolean,
  ): number {
    const flags = this.chunk!.bytes[this.node]!;
    if ((flags & NodeFlag.isCut) !== 0 && !(isParentSide && label === 0)) return Found.delegation;
    if (label === 0) return Found.exact;
    if ((flags & NodeFlag.hasDname) !== 0) return Found.dname;
    if ((flags & NodeFlag.hasWildcard) === 0) return Found.nothing;
    return this.#wildcard(zone, name, originLabel, label) ? Found.wildcard : Found.nothing;
  }

  /** Bisects between the name, which does not exist, and the apex, which does. */
  #closestEncloser(zone: LoadedZone, name: QueryName, originLabel: number): number {
    let missing = 0;
    let present = originLabel;
    while (present - missing > 1) {
      const middle = (missing + present) >>> 1;
      if (this.#at(zone, name, middle, originLabel)) present = middle;
      else missing = middle;
    }
    this.#at(zone, name, present, originLabel);
    return present;
  }

  #at(zone: LoadedZone, name: QueryName, label: number, originLabel: number): boolean {
    const hash = name.hashes[label]!;
    const chunk = chunkOf(zone, hash);
    const start = name.starts[label]!;
    const node = findNode(chunk, hash, name.bytes, start, name.starts[originLabel]! - start, 0);
    if (node < 0) return false;
    this.chunk = chunk;
    this.node = node;
    return true;
  }

  #wildcard(zone: LoadedZone, name: QueryName, originLabel: number, label: number): boolean {
    const hash = wildcardHash(name.hashes[label]!);
    const chunk = chunkOf(zone, hash);
    const start = name.starts[label]!;
    const node = findNode(chunk, hash, name.bytes, start, name.starts[originLabel]! - start, 2);
    if (node < 0) return false;
    this.chunk = chunk;
    this.node = node;
    return true;
  }
}

/** `hash >>> 32` would be `hash` itself in JavaScript, hence the case of its own. */
function chunkOf(zone: LoadedZone, hash: number): NamesChunk {
  const bits = zone.chunkBits;
  return zone.chunkAt(bits === 0 ? 0 : hash >>> (32 - bits));
}

/** Whether the zone's origin is one of its owners. */
export function hasApex(zone: LoadedZone): boolean {
  const chunk = chunkOf(zone, zone.originHash);
  return findNode(chunk, zone.originHash, zone.origin, 0, 0, 0) >= 0;
}

/**
 * Byte offset of the node with this hash and the relative name `bytes[start..start + length)`, behind a `*` label where `prefix` is
 * 2; -1 if there is none.
 */
function findNode(
  chunk: NamesChunk,
  hash: number,
  bytes: Uint8Array,
  start: number,
  length: number,
  prefix: number,
): number {
  const words = chunk.words;
  const base = chunk.bucketBase;
  const mask = chunk.bucketMask;
  const wanted = hash >>> 0;
  let bucket = wanted & mask;
  for (let probes = chunk.probesMax; probes > 0; probes--) {
    const at = base + bucket * 2;
    const entry = words[at + 1]!;
    if (entry === 0) return -1;
    if (words[at] === wanted) {
      const node = chunk.nodesBase + entry - 1;
      if (isNamed(chunk.bytes, node, bytes, start, length, prefix)) return node;
    }
    bucket = (bucket + 1) & mask;
  }
  return -1;
}

function isNamed(
  nodes: Uint8Array,
  node: number,
  bytes: Uint8Array,
  start: number,
  length: number,
  prefix: number,
): boolean {
  if (nodes[node + 1] !== length + prefix) return false;
  let at = node + NODE_HEADER_BYTES + nodes[node + 2]! * SET_BYTES;
  if (prefix !== 0) {
    if (nodes[at] !== 1 || nodes[at + 1] !== 0x2a) return false;
    at += 2;
  }
  for (let index = 0; index < length; index++) {
    if (nodes[at + index] !== bytes[start + index]) return false;
  }
  return true;
}

/** Byte offset of the set of `type` in the node at `node`, or -1. */
export function findSet(chunk: NamesChunk, node: number, type: number): number {
  const { bytes, words } = chunk;
  const count = bytes[node + 2]!;
  let at = node + NODE_HEADER_BYTES;
  for (let set = 0; set < count; set++, at += SET_BYTES) {
    const head = words[at >>> 2]!;
    if ((head & 0xffff) === type && head >>> 16 !== BOUND_SET) return at;
  }
  return -1;
}

/** Byte offset of the bound set whose mask meets `mask`, or -1. */
export function findBoundSet(chunk: NamesChunk, node: number, mask: number): number {
  const { bytes, words } = chunk;
  const count = bytes[node + 2]!;
  let at = node + NODE_HEADER_BYTES;
  for (let set = 0; set < count; set++, at += SET_BYTES) {
    const head = words[at >>> 2]!;
    if (head >>> 16 === BOUND_SET && (head & mask) !== 0) return at;
  }
  return -1;
}
