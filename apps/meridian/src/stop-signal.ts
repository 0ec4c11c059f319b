// SPDX-License-Identifier: Apache-2.0

import { ExitCode } from "./exit-code.ts";

/** Resolves on the first SIGTERM or SIGINT; a second one ends the process at once. */
export function whenStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolveStop) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(ExitCode.interrupted));
        resolveStop(signal);
      });
    }
  });
}

/** Aborted when that is told, for what waits until then. */
export function abortedBy(stop: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  void stop.then(() => controller.abort());
  return controller.signal;
}
