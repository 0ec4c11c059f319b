// SPDX-License-Identifier: Apache-2.0

// The key that every replica of a control plane has in a file, and with which it seals what must not lie in the store in clear.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { MeridianError, reasonOf } from "@meridian/core";
import { writeDurably } from "@meridian/snapshot/disk";

const KEY_BYTES = 32;
const FORM = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Reads the key of a file: 32 bytes in base64. Where there is no file and `mayMake`, one is made (0600). Throws SEALING_KEY_INVALID where there is
 * none, or something else.
 */
export function sealingKey(path: string, mayMake: boolean): Uint8Array {
  if (mayMake && !existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeDurably(path, `${randomBytes(KEY_BYTES).toString("base64")}\n`);
  }
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw invalid(path, `${reasonOf(error)}; copy the file from a control of this store`);
  }
  if (!FORM.test(text))
    throw invalid(path, `it has ${text.length} characters, expected 32 bytes in base64`);
  return Buffer.from(text, "base64");
}

/** What was sealed with another key cannot be opened with that of this file. */
export function foreignKey(path: string): MeridianError {
  return invalid(
    path,
    "what the store holds is sealed with another one; copy the file from a control of this store",
  );
}

function invalid(path: string, reason: string): MeridianError {
  return new MeridianError(
    "SEALING_KEY_INVALID",
    "user",
    `Cannot use the key file "${path}": ${reason}`,
  );
}
