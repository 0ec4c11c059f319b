// SPDX-License-Identifier: Apache-2.0

import { lowerName } from "./name.ts";
import { parseName } from "./name-text.ts";
import { tsigAlgorithms, type TsigKey } from "./tsig.ts";

const SECRET_BYTES_MAX = 512;

/** A key from its name, algorithm and secret in base64; undefined where one of them is none, or the secret is not here. */
export function tsigKey(
  name: string,
  algorithm: string,
  secret: string | undefined,
): TsigKey | undefined {
  const wire = parseName(name.endsWith(".") ? name : `${name}.`);
  const known = tsigAlgorithms.find((one) => one === algorithm);
  if (secret === undefined || known === undefined || !(wire instanceof Uint8Array))
    return undefined;
  const bytes = Buffer.from(secret, "base64");
  if (bytes.length === 0 || bytes.length > SECRET_BYTES_MAX) return undefined;
  return { name: lowerName(wire), algorithm: known, secret: bytes };
}
