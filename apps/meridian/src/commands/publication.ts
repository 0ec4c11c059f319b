// SPDX-License-Identifier: Apache-2.0

// Waiting until what was applied is live: served by every edge that control heard of in the last 3 s.

import type { ApiClient } from "../api-client.ts";
import { memberOf } from "../api-client.ts";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { complain, rowsOf } from "../output.ts";
import { Progress } from "../progress.ts";

const ASK_MS = 100;
/** A revision that is not live by then is left to itself. */
const WAIT_MS_MAX = 10 * 60_000;
/** Edges that a line names. */
const NAMED_MAX = 5;

/** Waits for what `applied` says was published, where `--wait` is given; says how far it has come. */
export async function waitIfTold(input: CommandInput, applied: unknown): Promise<ExitCode> {
  const snapshot = memberOf(applied, "snapshot");
  const isDone = memberOf(applied, "dryRun") === true || typeof snapshot !== "number";
  if (!input.flag("wait") || isDone) return ExitCode.done;
  return waitUntilLive(clientOf(input), snapshot);
}

async function waitUntilLive(api: ApiClient, snapshot: number): Promise<ExitCode> {
  const progress = new Progress();
  const endMs = performance.now() + WAIT_MS_MAX;
  try {
    for (;;) {
      const seen = await api.get("/v1/publication", { revision: String(snapshot) });
      const [waiting, silent] = [namesIn(seen, "waiting"), namesIn(seen, "silent")];
      if (memberOf(seen, "state") === "live") {
        const serving = Number(memberOf(seen, "serving"));
        progress.close();
        complain(`Snapshot ${snapshot} is live on ${edges(serving)}${silentText(silent)}`);
        return ExitCode.done;
      }
      if (memberOf(seen, "state") === "withdrawn") {
        progress.close();
        complain(`Snapshot ${snapshot} was taken back: ${String(memberOf(seen, "reason"))}`);
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

function namesIn(seen: unknown, member: "waiting" | "silent"): string {
  const names = rowsOf(memberOf(seen, member)).map(({ name }) => String(name));
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : "";
  return `${names.slice(0, NAMED_MAX).join(", ")}${more}`;
}
