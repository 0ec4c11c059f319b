// SPDX-License-Identifier: Apache-2.0

import { PACKED_MIN, TELL_AFTER_MS } from "./limits.ts";
import { packTransitions } from "./transition-batch.ts";
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
    for (const report of together(this.#waiting.splice(0))) this.#tell(report);
  };
}

/** The transitions of many turns of the event loop as one batch, which comes after the change sets that they made. */
function together(reports: readonly VerdictReport[]): readonly VerdictReport[] {
  const batches = reports.flatMap((report) =>
    report.kind === "transitions" ? [report.batch] : [],
  );
  const count = batches.reduce((sum, { length }) => sum + length, 0);
  const packed = count < PACKED_MIN ? undefined : packTransitions(batches.flat());
  if (packed === undefined) return reports;
  const lastAt = reports.findLastIndex(({ kind }) => kind === "transitions");
  return reports.flatMap((report, at): readonly VerdictReport[] => {
    if (report.kind !== "transitions") return [report];
    return at === lastAt ? [{ kind: "packed transitions", batch: packed }] : [];
  });
}
