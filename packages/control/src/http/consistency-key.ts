// SPDX-License-Identifier: Apache-2.0

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "@meridian/snapshot/disk";

const KEY_BYTES = 32;

/** The key in a state folder that signs what readers have seen; made where it is missing. */
export function consistencyKey(folder: string): Uint8Array {
  const path = join(folder, "consistency.key");
  try {
    const key = readFileSync(path);
    if (key.length === KEY_BYTES) return key;
  } catch {
    // There is none yet.
  }
  const key = randomBytes(KEY_BYTES);
  writeDurably(path, key);
  return key;
}
