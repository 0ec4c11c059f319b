// SPDX-License-Identifier: Apache-2.0
import { parseName } from "@meridian/dns";

/** A zone as keys are kept of it: its origin, and behind an `@` its view if it is in one. */
export interface KeptZone {
  /** With the last dot. */
  readonly owner: string;
  readonly view?: string;
}

export function keptZoneOf(zone: string): KeptZone {
  // No name of a view has an @.
  const at = zone.lastIndexOf("@");
  const origin = at < 0 ? zone : zone.slice(0, at);
  return {
    owner: origin === "." ? "." : `${origin}.`,
    ...(at < 0 ? {} : { view: zone.slice(at + 1) }),
  };
}

/** The apex of a zone, in a view or not. Origins of the model are names that were read before. */
export function apexOf(zone: string): Uint8Array {
  const name = parseName(keptZoneOf(zone).owner);
  if (name instanceof Uint8Array) return name;
  throw new Error(`Cannot sign zone "${zone}": ${name.error}`);
}
