// SPDX-License-Identifier: Apache-2.0

// Waiting until what was applied is live: served by every edge that control heard of in the last 3 s.

import type { ApiClient } from "../api-client.ts";
import type { Applied, EdgeBehind } from "../api-requests.ts";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { complain } from "../output.ts";
import { Progress } from "../progress.ts";

const ASK_MS = 100;
/** A revision that is not live by then is left to itself. */
const WAIT_MS_MAX = 10 * 60_000;
/** Edges that a line names. */
const NAMED_MAX = 5;

/** Waits for what `applied` says was published, where `--wait` is given; says how far it has come. */
export async function waitIfTold(
  input: CommandInput,
  applied: Applied | undefined,
): Promise<ExitCode> {
  if (!input.flag("wait") || applied === undefined || applied.dryRun) return ExitCode.done;
  return waitUntilLive(clientOf(input), applied.snapshot);
}

async function waitUntilLive(api: ApiClient, snapshot: number): Promise<ExitCode> {
  const progress = new Progress();
  const endMs = performance.now() + WAIT_MS_MAX;
  try {
    for (;;) {
      const seen = await api.get("/v1/publication", { revision: String(snapshot) });
      const [waiting, silent] = [namesOf(seen.waiting), namesOf(seen.silent)];
      if (seen.state === "live") {
        progress.close();
        complain(`Snapshot ${snapshot} is live on ${edges(seen.serving)}${silentText(silent)}`);
        return ExitCode.done;
      }
      if (seen.state === "withdrawn") {
        progress.close();
        complain(`Snapshot ${snapshot} was taken back: ${seen.reason ?? "nobody said why"}`);
        return ExitCode.refused;
      }
      if (performance.now() > endMs) {
        progress.close();
        complain(`Snapshot ${snapshot} is not live yet: waiting for ${waiting}`);
        return ExitCode.failed;
      }
      progress.show(`Snapshot ${snapshot}: waiting for ${waiting}`);
      await new Promise((resolve) => {
        setTimeout(resolve, ASK_MS);
      });
    }
  } finally {
    progress.close();
  }
}

function edges(count: number): string {
  return count === 1 ? "1 edge" : `${count} edges`;
}

function silentText(names: string): string {
  return names === "" ? "" : `; nothing was heard of ${names}`;
}

function namesOf(edgesBehind: readonly EdgeBehind[]): string {
  const names = edgesBehind.map(({ name }) => name);
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : "";
  return `${names.slice(0, NAMED_MAX).join(", ")}${more}`;
}
