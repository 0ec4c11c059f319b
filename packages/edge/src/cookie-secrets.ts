// SPDX-License-Identifier: Apache-2.0

// Where the secrets of cookies come from. The servers of an anycast set have the same, since a client's queries come now to one of them,
// now to another: control sends its edges some and rotates them, or each server is given the same file. Before, and alone, a server
// makes its own secret.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { MeridianError, reasonOf } from "@meridian/core";
import { COOKIE_SECRETS_MAX } from "./cookie.ts";
import { SIPHASH_KEY_BYTES } from "./siphash.ts";

/** A secret for a server that is alone. */
export function ownCookieSecret(): Uint8Array {
  return randomBytes(SIPHASH_KEY_BYTES);
}

/** Reads 1 to 4 secrets, a line each of 32 hexadecimal digits; lines with `#` are comments. Throws EDGE_COOKIE_SECRETS_INVALID. */
export function readCookieSecrets(path: string): readonly Uint8Array[] {
  const lines = textOf(path)
    .split("\n")
    .map((line, index) => ({ text: line.trim(), number: index + 1 }))
    .filter(({ text }) => text !== "" && !text.startsWith("#"));
  const wrong = lines.find(({ text }) => !/^[0-9a-fA-F]{32}$/.test(text));
  if (wrong !== undefined)
    throw invalid(path, `line ${wrong.number} is no secret, expected 32 hexadecimal digits`);
  if (lines.length === 0 || lines.length > COOKIE_SECRETS_MAX)
    throw invalid(path, `it holds ${lines.length} secrets, expected 1 to ${COOKIE_SECRETS_MAX}`);
  return lines.map(({ text }) => cookieSecretOf(text));
}

/** A secret of 32 hexadecimal digits. */
export function cookieSecretOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw invalid(path, reasonOf(error));
  }
}

function invalid(path: string, reason: string): MeridianError {
  return new MeridianError(
    "EDGE_COOKIE_SECRETS_INVALID",
    "user",
    `Cannot read cookie secrets from "${path}": ${reason}`,
  );
}
