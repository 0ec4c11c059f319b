// SPDX-License-Identifier: Apache-2.0
import { parseName } from "@meridian/dns";

/** Origins of the model are names that were read before. */
export function apexOf(origin: string): Uint8Array {
  const name = parseName(origin === "." ? origin : `${origin}.`);
  if (name instanceof Uint8Array) return name;
  throw new Error(`Cannot sign zone "${origin}": ${name.error}`);
}
