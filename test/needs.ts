// SPDX-License-Identifier: Apache-2.0

// What a test needs from the host. On a developer's machine a test without its program is skipped and says how to get
// it; in continuous integration (MERIDIAN_CI=1) that is an error, since a skipped test proves nothing.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * For the `skip` option of `node:test`: false where `program` is on the PATH (or in the folders of system programs),
 * else the reason with the command that installs it.
 *
 * @throws Error where the program is missing and MERIDIAN_CI is 1.
 */
export function needs(program: string, aptPackage: string): string | false {
  if (programPath(program) !== undefined) return false;
  return missing(`${program} is not installed; apt-get install ${aptPackage}`);
}

/** As `needs`, for the folder of conformance data that CONFORMANCE_DATA names. */
export function needsConformanceData(): string | false {
  if (process.env["CONFORMANCE_DATA"] !== undefined) return false;
  // Not an error in continuous integration, either: the data is not part of this repository.
  return "CONFORMANCE_DATA is not set, expected the folder that holds ferret.jsonl.gz";
}

/** Absolute path of `program`, or undefined. Daemons live in sbin, which is not on every user's PATH. */
export function programPath(program: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return [...folders, "/usr/sbin", "/sbin", "/usr/local/sbin"]
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

function missing(reason: string): string {
  if (process.env["MERIDIAN_CI"] === "1") throw new Error(`Cannot skip a test in CI: ${reason}`);
  return reason;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
