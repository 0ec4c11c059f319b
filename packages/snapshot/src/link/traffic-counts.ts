// SPDX-License-Identifier: Apache-2.0

// What an edge tells control each second of where it sent clients, as far as it has counted more than it has told:
//
//   traffic   f64 epoch, f64 revision, f64 ms, 4 × u32 count of entries, then the entries: policies, pools and endpoints as u64 key, u32
//             count; audiences as u32 place among the words of the revision's audiences, u32 count
//
// What has no room waits for the next message: the largest go first. So a message is bounded, and nothing is lost.

import { FrameKind, encodeFrame } from "./frame.ts";

const HEADER_BYTES = 3 * 8 + 4 * 4;
const KEYED_BYTES = 12;
const PLACED_BYTES = 8;

/** Entries of each part of a message. */
export const TRAFFIC_ENTRIES_MAX = { policies: 512, pools: 512, endpoints: 1024, audiences: 1024 };

/** Answers of a policy or pool, or answers that name an endpoint. */
export interface KeyedCount {
  /** Of the policy, pool or endpoint (`key64`). */
  readonly key: bigint;
  readonly count: number;
}

/** Queries of an audience of a node that looks at where clients are. */
export interface AudienceWord {
  /** Index among the audiences of the revision (`SelectionLayout`). */
  readonly word: number;
  readonly count: number;
}

/** Where an edge sent clients since it last said so. */
export interface TrafficCounts {
  readonly epoch: number;
  /** What `word` of an audience is of. */
  readonly revision: number;
  /** Milliseconds in which these were counted. */
  readonly elapsedMs: number;
  /** Queries that a policy decided. */
  readonly policies: readonly KeyedCount[];
  /** Queries for names that are bound to a pool. */
  readonly pools: readonly KeyedCount[];
  /** Answers with endpoints from which traffic is moved away, or is about to be. */
  readonly endpoints: readonly KeyedCount[];
  readonly audiences: readonly AudienceWord[];
}

export function encodeTrafficCounts(counts: TrafficCounts): Uint8Array {
  const { epoch, revision, elapsedMs, policies, pools, endpoints, audiences } = counts;
  const keyed = [...policies, ...pools, ...endpoints];
  const size = HEADER_BYTES + keyed.length * KEYED_BYTES + audiences.length * PLACED_BYTES;
  const payload = new Uint8Array(size);
  const view = new DataView(payload.buffer);
  [epoch, revision, elapsedMs].forEach((value, index) => view.setFloat64(index * 8, value, true));
  [policies, pools, endpoints, audiences].forEach((part, index) =>
    view.setUint32(24 + index * 4, part.length, true),
  );
  let at = HEADER_BYTES;
  for (const { key, count } of keyed) {
    view.setBigUint64(at, key, true);
    view.setUint32(at + 8, count, true);
    at += KEYED_BYTES;
  }
  for (const { word, count } of audiences) {
    view.setUint32(at, word, true);
    view.setUint32(at + 4, count, true);
    at += PLACED_BYTES;
  }
  return encodeFrame({ kind: FrameKind.traffic, payload });
}

export function decodeTrafficCounts(payload: Uint8Array): TrafficCounts | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const [epoch = -1, revision = -1, elapsedMs = -1] = [0, 8, 16].map((at) =>
    view.getFloat64(at, true),
  );
  const isWhole = [epoch, revision, elapsedMs].every(
    (value) => Number.isSafeInteger(value) && value >= 0,
  );
  const [policies = 0, pools = 0, endpoints = 0, audiences = 0] = [24, 28, 32, 36].map((at) =>
    view.getUint32(at, true),
  );
  const max = TRAFFIC_ENTRIES_MAX;
  const isBounded =
    policies <= max.policies &&
    pools <= max.pools &&
    endpoints <= max.endpoints &&
    audiences <= max.audiences;
  const keyedCount = policies + pools + endpoints;
  const size = HEADER_BYTES + keyedCount * KEYED_BYTES + audiences * PLACED_BYTES;
  if (!isWhole || !isBounded || payload.length !== size) return undefined;
  const keyed = (from: number, count: number): KeyedCount[] =>
    Array.from({ length: count }, (_, index) => {
      const at = HEADER_BYTES + (from + index) * KEYED_BYTES;
      return { key: view.getBigUint64(at, true), count: view.getUint32(at + 8, true) };
    });
  const placedAt = HEADER_BYTES + keyedCount * KEYED_BYTES;
  return {
    ...{ epoch, revision, elapsedMs },
    policies: keyed(0, policies),
    pools: keyed(policies, pools),
    endpoints: keyed(policies + pools, endpoints),
    audiences: Array.from({ length: audiences }, (_, index) => {
      const at = placedAt + index * PLACED_BYTES;
      return { word: view.getUint32(at, true), count: view.getUint32(at + 4, true) };
    }),
  };
}
