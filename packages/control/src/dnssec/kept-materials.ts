// SPDX-License-Identifier: Apache-2.0

// What a process that answers itself signs its zones with, in its state folder, for the time before its store is open: answers that come
// from disk at the start are signed, too. Sealed with the key file, as the keys in the store are.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "@meridian/snapshot/disk";
import { fieldsOf } from "../documents/document-key.ts";
import { sealOf, type KeyPlace } from "../state/sealing-key.ts";

const FILE = "zone-signing.sealed";

/** The materials that were kept last (`encodeSigningMaterial()`); none where there are none, or they cannot be opened. */
export function keptMaterials(stateFolder: string, keyPlace: KeyPlace): readonly string[] {
  const path = join(stateFolder, FILE);
  if (!existsSync(path)) return [];
  const text = openedText(path, keyPlace);
  if (text === undefined) return [];
  return Object.values(fieldsOf(JSON.parse(text))).filter((each) => typeof each === "string");
}

/** Who has another key, or none, is told by the keeper of the keys in a moment. */
function openedText(path: string, keyPlace: KeyPlace): string | undefined {
  try {
    return sealOf(keyPlace, false).open(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

/** Keeps materials, by origin, in the place of those before. */
export function keepMaterials(
  stateFolder: string,
  keyPlace: KeyPlace,
  materials: ReadonlyMap<string, string>,
): void {
  const path = join(stateFolder, FILE);
  if (materials.size === 0 && !existsSync(path)) return;
  const text = JSON.stringify(Object.fromEntries(materials));
  writeDurably(path, sealOf(keyPlace, false).seal(text));
}
