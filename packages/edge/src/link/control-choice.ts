// SPDX-License-Identifier: Apache-2.0

// Which of its controls an edge follows: one after the other, but none that has lost its store while another has not. Each of them says so every second on
// the stream of reports. Where all have lost it, each is as good as the others.

/** A word of a control is believed for that long. */
const WORD_MS = 3000;

interface Word {
  readonly isCurrent: boolean;
  readonly atMs: number;
}

export class ControlChoice {
  readonly #controls: readonly string[];
  readonly #words = new Map<string, Word>();
  #turn = 0;

  /** URLs; one at least. */
  constructor(controls: readonly string[]) {
    this.#controls = controls;
  }

  /** A control has said whether it knows what its store holds. Times are of one monotonic clock. */
  heard(url: string, isCurrent: boolean, nowMs: number): void {
    this.#words.set(url, { isCurrent, atMs: nowMs });
  }

  /** The one to dial next. */
  next(nowMs: number): string {
    let url = "";
    for (let tries = 0; tries < this.#controls.length; tries++) {
      url = this.#controls[this.#turn++ % this.#controls.length] ?? "";
      if (!this.isWorse(url, nowMs)) break;
    }
    return url;
  }

  /** Whether this one has lost its store, and another has not. */
  isWorse(url: string, nowMs: number): boolean {
    const isSaid = (each: string, isCurrent: boolean): boolean => {
      const word = this.#words.get(each);
      return word?.isCurrent === isCurrent && nowMs - word.atMs < WORD_MS;
    };
    return isSaid(url, false) && this.#controls.some((each) => isSaid(each, true));
  }
}
