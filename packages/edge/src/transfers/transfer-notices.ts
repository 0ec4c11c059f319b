// SPDX-License-Identifier: Apache-2.0

/** What an operator is told of a transfer, or of a secondary that is told of a change. */
export interface TransferNotice {
  readonly kind: "transfer";
  /** What it is about, as the log begins with it. */
  readonly what: "Zone transfer" | "Refused a signed request";
  /** The zone, or the name that was asked for. */
  readonly zone: string;
  /** Address of the other side. */
  readonly client: string;
  readonly outcome: string;
}

/** Lines in the log of one second. */
const NOTICES_MAX = 10;

/** At most `NOTICES_MAX` a second: who sends nonsense does not fill the log. */
export class TransferNotices {
  readonly #report: (notice: TransferNotice) => void;
  #second = 0;
  #count = 0;

  constructor(report: (notice: TransferNotice) => void) {
    this.#report = report;
  }

  tell(
    nowSeconds: number,
    zone: string,
    client: string,
    outcome: string,
    what: TransferNotice["what"] = "Zone transfer",
  ): void {
    if (nowSeconds !== this.#second) {
      this.#second = nowSeconds;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count <= NOTICES_MAX) this.#report({ kind: "transfer", what, zone, client, outcome });
  }
}
