// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { KeyPlace } from "@meridian/control";
import type { ServerOptions } from "./server-options.ts";

const VARIABLE = "MERIDIAN_SEALING_KEY";

/** Where the keys that seal secrets in the store are: a file that was named, the environment, or a file of the state folder. */
export function keyPlaceOf(
  { keyFile, stateDir }: Pick<ServerOptions, "keyFile" | "stateDir">,
  environment: NodeJS.ProcessEnv = process.env,
): KeyPlace {
  const text = environment[VARIABLE];
  if (keyFile !== undefined) return keyFile;
  return text === undefined
    ? join(stateDir, "identity", "sealing.key")
    : { variable: VARIABLE, text };
}
