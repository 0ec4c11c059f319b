// SPDX-License-Identifier: Apache-2.0

// What the disk of an edge does not take, as it tells control where that takes it (docs/internals/edge-protocol.md).

import { FrameKind, encodeFrame } from "./frame.ts";

const TEXT_LENGTH_MAX = 1000;
const FOR_MS_MAX = 366 * 86_400_000;

/** Something that a disk has refused, and that is tried again. */
export interface DiskTrouble {
  /** Such as `the overlay`. */
  readonly what: string;
  readonly reason: string;
  /** How long it has lasted. */
  readonly forMs: number;
}

/** Undefined where all is well again. */
export function encodeDiskTrouble(trouble: DiskTrouble | undefined): Uint8Array {
  const { what = "", reason = "", forMs = 0 } = trouble ?? {};
  const text = JSON.stringify({
    what: what.slice(0, TEXT_LENGTH_MAX),
    reason: reason.slice(0, TEXT_LENGTH_MAX),
    forMs: Math.max(0, Math.round(forMs)),
  });
  return encodeFrame({ kind: FrameKind.disk, payload: new TextEncoder().encode(text) });
}

/** `well` where nothing is refused; undefined where it is malformed. */
export function decodeDiskTrouble(payload: Uint8Array): DiskTrouble | "well" | undefined {
  let raw: unknown;
  try {
    raw = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
  if (typeof raw !== "object" || raw === null) return undefined;
  const member = (name: string): unknown => Reflect.get(raw, name);
  const [what, reason, forMs] = [member("what"), member("reason"), member("forMs")];
  if (typeof what !== "string" || typeof reason !== "string") return undefined;
  if (typeof forMs !== "number" || !Number.isSafeInteger(forMs) || forMs < 0) return undefined;
  if (what.length > TEXT_LENGTH_MAX || reason.length > TEXT_LENGTH_MAX) return undefined;
  if (what === "") return "well";
  return { what: printable(what), reason: printable(reason), forMs: Math.min(forMs, FOR_MS_MAX) };
}

/** It is shown on terminals, and an edge may say anything. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, " ");
}
