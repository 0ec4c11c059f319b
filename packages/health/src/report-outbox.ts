// SPDX-License-Identifier: Apache-2.0

import { TELL_AFTER_MS } from "./limits.ts";
import type { VerdictReport } from "./verdict-messages.ts";

/**
 * What has changed is told a few milliseconds later, unless something else is told before: whoever hears of it writes logs and journals,
 * for which nobody waits, while clients wait for the worker that shares the core with both. With the order unchanged.
 */
export class ReportOutbox {
  readonly #tell: (report: VerdictReport) => void;
  readonly #waiting: VerdictReport[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (report: VerdictReport) => void) {
    this.#tell = tell;
  }

  send(report: VerdictReport): void {
    this.#waiting.push(report);
    if (report.kind === "changed" || report.kind === "transitions")
      this.#timer ??= setTimeout(this.#flush, TELL_AFTER_MS);
    else this.#flush();
  }

  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const report of this.#waiting.splice(0)) this.#tell(report);
  };
}
