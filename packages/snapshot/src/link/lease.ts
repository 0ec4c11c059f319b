// SPDX-License-Identifier: Apache-2.0

// How long an edge may answer what panels with fenced hand-over govern. Numbers are little-endian.
//
//   lease  edge     f64 asked, 8 bytes instance, f64 epoch, f64 holds
//   grant  control  f64 asked, f64 lease, f64 epoch, f64 as of, f64 moved, f64 revision, u32 sequence, u32 0
//
// `asked` is of the edge's own clock and comes back as it was: the lease counts from when the edge asked, so that whatever keeps a grant on its way
// shortens it. Control takes it for granted from when it looked at the store. Neither knows the other's clock.

import { FrameKind, encodeFrame } from "./frame.ts";

/** A state of the store. */
export interface StoreMark {
  readonly epoch: number;
  readonly revision: number;
}

/** What an edge says of itself. */
export interface LeaseRequest {
  /** Of the edge's clock, milliseconds. */
  readonly askedAtMs: number;
  /** 16 hex digits: another one for each process. */
  readonly instance: string;
  /** It answers what fenced panels govern as the store said it then, or later. */
  readonly holds: StoreMark;
}

/** What control says of its own knowledge, and how long an edge may act on it. */
export interface LeaseGrant {
  /** That of the request; 0 where none has come on this connection. */
  readonly askedAtMs: number;
  /** From then on. 0 is none. */
  readonly leaseMs: number;
  /** The state of the store that is told. */
  readonly asOf: StoreMark;
  /** Revision of the store that last changed what fenced panels say, by then. */
  readonly movedRevision: number;
  /** Of this snapshot, the first sequence that says it. */
  readonly revision: number;
  readonly sequence: number;
}

const REQUEST_BYTES = 32;
const GRANT_BYTES = 56;
const INSTANCE = /^[0-9a-f]{16}$/;

export function encodeLeaseRequest({ askedAtMs, instance, holds }: LeaseRequest): Uint8Array {
  const payload = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(payload.buffer);
  view.setFloat64(0, askedAtMs, true);
  view.setBigUint64(8, BigInt(`0x${INSTANCE.test(instance) ? instance : "0"}`), true);
  view.setFloat64(16, holds.epoch, true);
  view.setFloat64(24, holds.revision, true);
  return encodeFrame({ kind: FrameKind.lease, payload });
}

export function decodeLeaseRequest(payload: Uint8Array): LeaseRequest | undefined {
  if (payload.length !== REQUEST_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const [askedAtMs, epoch, revision] = [0, 16, 24].map((at) => view.getFloat64(at, true));
  if (!isAmount(askedAtMs) || !isCount(epoch) || !isCount(revision)) return undefined;
  const instance = view.getBigUint64(8, true).toString(16).padStart(16, "0");
  return { askedAtMs, instance, holds: { epoch, revision } };
}

export function encodeGrant(grant: LeaseGrant): Uint8Array {
  const { askedAtMs, leaseMs, asOf, movedRevision, revision, sequence } = grant;
  const payload = new Uint8Array(GRANT_BYTES);
  const view = new DataView(payload.buffer);
  const numbers = [askedAtMs, leaseMs, asOf.epoch, asOf.revision, movedRevision, revision];
  for (const [index, value] of numbers.entries()) view.setFloat64(index * 8, value, true);
  view.setUint32(48, sequence, true);
  return encodeFrame({ kind: FrameKind.grant, payload });
}

export function decodeGrant(payload: Uint8Array): LeaseGrant | undefined {
  if (payload.length !== GRANT_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const at = (index: number): number => view.getFloat64(index * 8, true);
  const [askedAtMs, leaseMs] = [at(0), at(1)];
  const [epoch, asOf, movedRevision, revision] = [at(2), at(3), at(4), at(5)];
  if (!isAmount(askedAtMs) || !isAmount(leaseMs)) return undefined;
  if (!isCount(epoch) || !isCount(asOf) || !isCount(movedRevision) || !isCount(revision))
    return undefined;
  const sequence = view.getUint32(48, true);
  return {
    ...{ askedAtMs, leaseMs, asOf: { epoch, revision: asOf } },
    ...{ movedRevision, revision, sequence },
  };
}

/** Whether one state is another, or came after it. */
export function isAtLeast(mark: StoreMark, other: StoreMark): boolean {
  return mark.epoch === other.epoch ? mark.revision >= other.revision : mark.epoch > other.epoch;
}

function isAmount(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value >= 0;
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0;
}
