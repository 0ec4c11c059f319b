// SPDX-License-Identifier: Apache-2.0

// The file of a TSIG key, as `tsig-keygen` writes it and `nsupdate -k` and `kdig -k` read it, so that a secret is in no list of processes:
//
//   key "NAME" { algorithm hmac-sha256; secret "BASE64"; };

import { tsigAlgorithms, tsigKey, type TsigKey } from "@meridian/dns";
import { CommandError, ExitCode } from "../exit-code.ts";
import { readFile } from "./zone-copy.ts";

const FORM =
  /^\s*key\s+"?([^\s"{]+)"?\s*\{\s*algorithm\s+"?([\w-]+)"?\s*;\s*secret\s+"([\w+/=]+)"\s*;\s*\}\s*;\s*$/;

/**
 * The key in a file.
 *
 * @throws CommandError where there is none.
 */
export function keyInFile(path: string): TsigKey {
  const bytes = readFile(path);
  const [, name = "", algorithm = "", secret] =
    FORM.exec(bytes === undefined ? "" : Buffer.from(bytes).toString()) ?? [];
  const key = tsigKey(name, algorithm.toLowerCase(), secret);
  if (key !== undefined) return key;
  const found = bytes === undefined ? "it cannot be read" : "it holds something else";
  throw new CommandError(
    ExitCode.invalid,
    `Cannot use the key file ${path}: ${found}, expected key "NAME" { algorithm ${tsigAlgorithms.join(" | ")}; secret "BASE64"; };`,
  );
}
