// SPDX-License-Identifier: Apache-2.0

// What routing controls are, as control tells its edges: an edge shows it to who asks on its own machine, whatever has become of control.

import { FRAME_BYTES_MAX, FrameKind, encodeFrame } from "./frame.ts";
import type { StoreMark } from "./lease.ts";

/** As of a state of the store; without items those that were told before. */
export interface ToldControls extends StoreMark {
  /** How old what control knew of the store was. */
  readonly storeAgeMs: number;
  /** As the API lists them. */
  readonly items?: readonly object[];
}

/** The message; undefined where there are more controls than one can hold. */
export function encodeRoutingControls(told: ToldControls): Uint8Array | undefined {
  const payload = new TextEncoder().encode(JSON.stringify(told));
  if (payload.length > FRAME_BYTES_MAX[FrameKind.controls]) return undefined;
  return encodeFrame({ kind: FrameKind.controls, payload });
}

export function decodeRoutingControls(payload: Uint8Array): ToldControls | undefined {
  try {
    const raw: unknown = JSON.parse(new TextDecoder().decode(payload));
    return isTold(raw) ? raw : undefined;
  } catch {
    return undefined;
  }
}

function isTold(raw: unknown): raw is ToldControls {
  if (typeof raw !== "object" || raw === null) return false;
  const items: unknown = Reflect.get(raw, "items");
  return (
    ["epoch", "revision", "storeAgeMs"].every((name) => Number.isFinite(Reflect.get(raw, name))) &&
    (items === undefined ||
      (Array.isArray(items) &&
        items.every(
          (item: unknown) =>
            typeof item === "object" &&
            item !== null &&
            typeof Reflect.get(item, "name") === "string",
        )))
  );
}
