// SPDX-License-Identifier: Apache-2.0

// What an edge tells control each second of how it answered:
//
//   counts   f64 epoch, f64 revision, f64 ms, f64 queries, f64 servfail, f64 empty     edge to control, after each table

import { FrameKind, encodeFrame } from "./frame.ts";

const MEMBERS = 6;

/** How an edge answered from one revision since it last said so. */
export interface AnswerCounts {
  readonly epoch: number;
  /** The one that the edge serves. */
  readonly revision: number;
  /** Milliseconds in which these were counted. */
  readonly elapsedMs: number;
  readonly queries: number;
  /** Of them answered with SERVFAIL. */
  readonly servfail: number;
  /** Of them answered with NOERROR and no records, referrals aside: names that have nothing of the type that was asked. */
  readonly empty: number;
}

export function encodeAnswerCounts(counts: AnswerCounts): Uint8Array {
  const { epoch, revision, elapsedMs, queries, servfail, empty } = counts;
  const payload = new Uint8Array(MEMBERS * 8);
  const view = new DataView(payload.buffer);
  [epoch, revision, elapsedMs, queries, servfail, empty].forEach((value, index) =>
    view.setFloat64(index * 8, value, true),
  );
  return encodeFrame({ kind: FrameKind.counts, payload });
}

export function decodeAnswerCounts(payload: Uint8Array): AnswerCounts | undefined {
  if (payload.length !== MEMBERS * 8) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const at = (index: number): number => view.getFloat64(index * 8, true);
  const counts = {
    epoch: at(0),
    revision: at(1),
    elapsedMs: at(2),
    queries: at(3),
    servfail: at(4),
    empty: at(5),
  };
  const isWhole = Object.values(counts).every((value) => Number.isSafeInteger(value) && value >= 0);
  return isWhole && counts.servfail + counts.empty <= counts.queries ? counts : undefined;
}
