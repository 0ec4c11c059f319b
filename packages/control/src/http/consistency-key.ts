// SPDX-License-Identifier: Apache-2.0

import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeDurably } from "@meridian/snapshot/disk";

const KEY_BYTES = 32;

/** The same for all controls that share the key that seals what is in their store. */
export function sharedConsistencyKey(sealingKey: Uint8Array): Uint8Array {
  return createHmac("sha256", sealingKey).update("Meridian consistency tokens").digest();
}

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
