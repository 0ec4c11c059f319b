// SPDX-License-Identifier: Apache-2.0

import { packChangeSets, type ChangeSet } from "./change-set.ts";
import { TELL_AFTER_MS, TELL_AGAIN_AFTER_MS } from "./limits.ts";
import { TransitionPacker } from "./transition-batch.ts";
import type { NumberedTransition } from "./transition.ts";
import type { KeeperReport, VerdictReport } from "./verdict-messages.ts";

/**
 * What has changed is told a few milliseconds later, unless something else is told before: whoever hears of it writes logs and journals,
 * for which nobody waits, while clients wait for the worker that shares the core with both. With the order unchanged.
 */
export class ReportOutbox {
  readonly #tell: (report: VerdictReport) => void;
  readonly #packer = new TransitionPacker();
  #sets: ChangeSet[] = [];
  #transitions: NumberedTransition[] = [];
  #timer: NodeJS.Timeout | undefined;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(tell: (report: VerdictReport) => void) {
    this.#tell = tell;
  }

  send(report: KeeperReport): void {
    if (report.kind === "changed") {
      this.#sets.push(report.changeSet);
      this.#wait();
    } else if (report.kind === "transitions") {
      for (const transition of report.batch) this.#transitions.push(transition);
      this.#wait();
    } else {
      this.#flush();
      this.#tell(report);
    }
  }

  #wait(): void {
    if (this.#timer !== undefined) return;
    const isAgain = performance.now() - this.#toldAtMs < TELL_AGAIN_AFTER_MS;
    this.#timer = setTimeout(this.#flush, isAgain ? TELL_AGAIN_AFTER_MS : TELL_AFTER_MS);
  }

  /** Change sets of many turns of the event loop, and the transitions that made them, as one message. */
  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [sets, batch] = [this.#sets, this.#transitions];
    if (sets.length === 0 && batch.length === 0) return;
    this.#sets = [];
    this.#transitions = [];
    this.#toldAtMs = performance.now();
    const transitions = this.#packer.pack(batch);
    this.#tell({ kind: "changed", changes: packChangeSets(sets), transitions });
  };
}
