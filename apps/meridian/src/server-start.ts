// SPDX-License-Identifier: Apache-2.0

// What may go wrong when a server starts, as whoever has started it is told.

import { reasonOf } from "@meridian/core";
import type { Api, Embedded, Logger } from "@meridian/control";
import { formatProblem } from "@meridian/model";
import { CommandError, ExitCode } from "./exit-code.ts";
import { whileShown } from "./progress.ts";
import type { ServerOptions } from "./server-options.ts";

/** At the start, so that a taken port shows at once; gives what is listened on. */
export async function startApi(
  api: Api,
  { http }: Pick<ServerOptions, "http">,
): Promise<string | undefined> {
  try {
    return await api.start();
  } catch (error) {
    const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    if (!isTaken) throw error;
    throw new CommandError(
      ExitCode.refused,
      `Cannot serve HTTP on ${http ?? ""}: the address is in use; give another --http, or "none"`,
    );
  }
}

/** Resolves when answers come from a snapshot: where they come from disk already, the files are read behind them. */
export function startControl(
  embedded: Embedded,
  { standby }: Pick<ServerOptions, "standby">,
  logger: Logger,
): Promise<void> {
  const isAnswering = embedded.isReady;
  const started = loadFiles(embedded).finally(() => standby?.comeForward());
  if (!isAnswering) return started;
  started.catch((error: unknown) => {
    logger.error({ reason: reasonOf(error) }, "Cannot read the files");
  });
  return Promise.resolve();
}

/** Starts the control plane; where the files give it nothing to serve, the error shows each problem with its place. */
async function loadFiles(embedded: Embedded): Promise<void> {
  try {
    await whileShown((passed) => `Reading and compiling the files: ${passed} s`, embedded.start());
  } catch (error) {
    const { problems, fileErrors } = embedded;
    const errors = problems.filter(({ severity }) => severity === "error").map(formatProblem);
    if (embedded.world !== undefined || errors.length + fileErrors.length === 0) throw error;
    throw new CommandError(
      ExitCode.invalid,
      [
        ...fileErrors,
        ...errors,
        "Cannot start: the files have errors, and no state is stored",
      ].join("\n"),
    );
  }
}
