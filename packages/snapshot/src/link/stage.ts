// SPDX-License-Identifier: Apache-2.0

// What a canary edge is asked, and what it says (docs/internals/edge-protocol.md):
//
//   stage    JSON {epoch, revision, hash, digest}        control to edge, before the manifest
//   status   JSON {epoch, revision, isGood, reason}      edge to control

import { FrameKind, encodeFrame } from "./frame.ts";

const REASON_LENGTH_MAX = 1000;

/** A revision that an edge checks before it serves it. */
export interface Stage {
  readonly epoch: number;
  readonly revision: number;
  /** Of the manifest that `digest` is of: another cut of the revision answers differently. */
  readonly hash: string;
  /** What control's own answers from as much of the revision hash to (`answersDigest`). */
  readonly digest: string;
}

/** What came of it. */
export interface StageStatus {
  readonly epoch: number;
  readonly revision: number;
  readonly isGood: boolean;
  /** Empty for a good one. */
  readonly reason: string;
}

export function encodeStage({ epoch, revision, hash, digest }: Stage): Uint8Array {
  return encodeJson(FrameKind.stage, { epoch, revision, hash, digest });
}

export function decodeStage(payload: Uint8Array): Stage | undefined {
  const { epoch, revision, hash = "", digest } = membersIn(payload);
  if (!isCount(epoch) || !isCount(revision)) return undefined;
  return typeof hash === "string" && typeof digest === "string"
    ? { epoch, revision, hash, digest }
    : undefined;
}

export function encodeStatus({ epoch, revision, isGood, reason }: StageStatus): Uint8Array {
  const cut = reason.slice(0, REASON_LENGTH_MAX);
  return encodeJson(FrameKind.status, { epoch, revision, isGood, reason: cut });
}

export function decodeStatus(payload: Uint8Array): StageStatus | undefined {
  const { epoch, revision, isGood, reason } = membersIn(payload);
  if (!isCount(epoch) || !isCount(revision) || typeof isGood !== "boolean") return undefined;
  return typeof reason === "string" ? { epoch, revision, isGood, reason } : undefined;
}

function encodeJson(kind: FrameKind, value: object): Uint8Array {
  return encodeFrame({ kind, payload: new TextEncoder().encode(JSON.stringify(value)) });
}

function membersIn(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const raw: unknown = JSON.parse(new TextDecoder().decode(payload));
    return typeof raw === "object" && raw !== null ? Object.fromEntries(Object.entries(raw)) : {};
  } catch {
    return {};
  }
}

function isCount(raw: unknown): raw is number {
  return typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0;
}
