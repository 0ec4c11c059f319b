// SPDX-License-Identifier: Apache-2.0

// What a vantage says of all targets, as reports: all of it each second, in as many bytes whatever it is, and changes at once, as long as
// they are few. So that reports cost the same on the worst day, changes may take a small share of the bytes of a table each second; what is
// more waits for the next one.

import { encodeReport, reportTableBytes, type Report, type ReportChange } from "@meridian/snapshot";
import type { OwnOpinions } from "./own-opinions.ts";

/** Bytes of changes a second: of a table's, in percent, and at least. */
const CHANGES_PERCENT_MAX = 4;
const CHANGES_BYTES_MIN = 1024;
const ENTRY_BYTES = 75;

export interface OpinionReportsOptions {
  /** Tells this run of the process from others. */
  readonly session: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** A code of `Suspicion`. */
  readonly suspicion: () => number;
  readonly onReport: (payload: Uint8Array) => void;
}

export class OpinionReports {
  readonly #options: OpinionReportsOptions;
  #own: OwnOpinions;
  #sequence = 0;
  /** Places with opinions that no report has told yet. */
  readonly #untold = new Set<number>();
  #changeBytesLeft = 0;
  #isFlushQueued = false;

  constructor(own: OwnOpinions, options: OpinionReportsOptions) {
    this.#own = own;
    this.#options = options;
  }

  /** The order is another; the next table tells all there is. */
  follow(own: OwnOpinions): void {
    this.#own = own;
    this.#untold.clear();
  }

  /** Reports all there is; to be called each second. */
  tick(): void {
    const { opinions, reasons, sinceSeconds, texts, order } = this.#own;
    this.#untold.clear();
    const tableBytes = reportTableBytes(order.length);
    this.#changeBytesLeft = Math.max(CHANGES_BYTES_MIN, (tableBytes * CHANGES_PERCENT_MAX) / 100);
    this.#report({ form: "table", opinions, reasons, sinceSeconds, texts });
  }

  /** The opinion at a place is another. */
  changed(place: number): void {
    this.#untold.add(place);
    if (this.#isFlushQueued) return;
    this.#isFlushQueued = true;
    queueMicrotask(() => this.#flush());
  }

  /** Changes of one turn of the event loop, as many as there is room for. */
  #flush(): void {
    this.#isFlushQueued = false;
    const changes: ReportChange[] = [];
    const { opinions, reasons, sinceSeconds, texts } = this.#own;
    for (const place of this.#untold) {
      if (this.#changeBytesLeft < ENTRY_BYTES) break;
      this.#changeBytesLeft -= ENTRY_BYTES;
      this.#untold.delete(place);
      const reason = reasons[place] ?? 0;
      changes.push({
        place,
        opinion: opinions[place] ?? 0,
        sinceSeconds: sinceSeconds[place] ?? 0,
        reason,
        text: texts[reason] ?? "",
      });
    }
    if (changes.length > 0) this.#report({ form: "changes", changes });
  }

  #report(
    said:
      | Omit<Extract<Report, { form: "table" }>, HeaderMember>
      | Omit<Extract<Report, { form: "changes" }>, HeaderMember>,
  ): void {
    const { session, nowMs, suspicion, onReport } = this.#options;
    onReport(
      encodeReport({
        suspicion: suspicion(),
        sequence: ++this.#sequence,
        session,
        sentMs: nowMs(),
        print: this.#own.order.print,
        ...said,
      }),
    );
  }
}

type HeaderMember = "suspicion" | "sequence" | "session" | "sentMs" | "print";
