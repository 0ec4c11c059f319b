// SPDX-License-Identifier: Apache-2.0

import { packChangeSets, type ChangeSet } from "./change-set.ts";
import { PACKED_MIN, TELL_AFTER_MS } from "./limits.ts";
import { packTransitions } from "./transition-batch.ts";
import type { Transition } from "./transition.ts";
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

/** Change sets of many turns of the event loop as one message, and the transitions that made them as another one behind it. */
function together(reports: readonly VerdictReport[]): readonly VerdictReport[] {
  if (reports.length < PACKED_MIN) return reports;
  const sets: ChangeSet[] = [];
  const batches: (readonly Transition[])[] = [];
  const others: VerdictReport[] = [];
  for (const report of reports)
    if (report.kind === "changed") sets.push(report.changeSet);
    else if (report.kind === "transitions") batches.push(report.batch);
    else others.push(report);
  const batch = batches.flat();
  const packed = packTransitions(batch);
  const transitions: VerdictReport[] =
    packed !== undefined
      ? [{ kind: "packed transitions", batch: packed }]
      : batches.map((each) => ({ kind: "transitions", batch: each }));
  // Of all else there is at most one, which has come last.
  const changes: VerdictReport[] =
    sets.length === 0 ? [] : [{ kind: "packed changes", packed: packChangeSets(sets) }];
  return [...changes, ...transitions, ...others];
}
