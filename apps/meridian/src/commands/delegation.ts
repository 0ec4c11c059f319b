// SPDX-License-Identifier: Apache-2.0

// `meridian delegation ZONE`: what the parent of a zone has to hold for the world to find it; `meridian doctor` asks whether it does.

import type { CommandInput } from "../command.ts";
import { delegatedZone, parentOf, recordLines } from "../doctor/delegated-zone.ts";
import { ExitCode } from "../exit-code.ts";
import { print, printJson } from "../output.ts";

/** Prints NS and glue. */
export async function delegation(input: CommandInput): Promise<ExitCode> {
  const zone = await delegatedZone(input);
  const lines = recordLines(zone);
  if (input.isJson()) {
    printJson({ zone: zone.origin, parent: parentOf(zone.origin), records: lines });
    return ExitCode.done;
  }
  print(`; For the zone "${parentOf(zone.origin)}", the parent of "${zone.origin}":`);
  for (const line of lines) print(line);
  return ExitCode.done;
}
