// SPDX-License-Identifier: Apache-2.0

// Look-ups by place and time. What lasts is kept by where it begins and ends, so that a minute costs as much to add as a second:
//
//   level   changes of the rate from this bin on          part    what the bins of beginning and end get besides
//
//   rate  ┌──────────────────┐
//   ──────┘ bin 3 │ 4 │ 5    └──     level[4] += rate, level[7] −= rate; part[3] += its end, part[6] += its begin…

export class LoadBins {
  readonly placeCount: number;
  readonly binCount: number;
  readonly binSeconds: number;
  readonly #level: Float64Array;
  readonly #part: Float64Array;
  /** Rates at the end of the bin that `next()` gave last, and how many it gave. */
  readonly #levels: Float64Array;
  #read = 0;

  constructor(placeCount: number, binCount: number, binSeconds: number) {
    this.placeCount = placeCount;
    this.binCount = binCount;
    this.binSeconds = binSeconds;
    this.#level = new Float64Array(placeCount * (binCount + 2));
    this.#part = new Float64Array(placeCount * (binCount + 2));
    this.#levels = new Float64Array(placeCount);
  }

  /** One look-up at `start` and `rate` a second from then on, for `seconds`, all of it `weight` times. What lies beyond the last bin is not kept. */
  add(place: number, start: number, seconds: number, rate: number, weight: number): void {
    const { binSeconds, binCount } = this;
    const base = place * (binCount + 2);
    const level = rate * weight;
    const first = Math.floor(start / binSeconds);
    if (first >= binCount) return;
    raise(this.#part, base + first, weight + level * ((first + 1) * binSeconds - start));
    raise(this.#level, base + first + 1, level);
    const end = start + seconds;
    const last = Math.min(binCount, Math.floor(end / binSeconds));
    raise(this.#level, base + last, -level);
    raise(this.#part, base + last, level * (end - last * binSeconds));
  }

  /**
   * Look-ups a second of every place in the next bin, from the first bin on; right once time has come to its end. undefined behind the last.
   */
  next(into: Float64Array): Float64Array | undefined {
    const { binCount, binSeconds, placeCount } = this;
    const bin = this.#read;
    if (bin >= binCount) return undefined;
    this.#read += 1;
    for (let place = 0; place < placeCount; place++) {
      const at = place * (binCount + 2) + bin;
      const level = (this.#levels[place] ?? 0) + (this.#level[at] ?? 0);
      this.#levels[place] = level;
      into[place] = level + (this.#part[at] ?? 0) / binSeconds;
    }
    return into;
  }

  /** Look-ups a second of a place, bin by bin; right up to the bin before the one that time has come to. */
  rates(place: number): Float64Array {
    const { binCount, binSeconds } = this;
    const base = place * (binCount + 2);
    const rates = new Float64Array(binCount);
    let level = 0;
    for (let bin = 0; bin < binCount; bin++) {
      level += this.#level[base + bin] ?? 0;
      rates[bin] = level + (this.#part[base + bin] ?? 0) / binSeconds;
    }
    return rates;
  }
}

function raise(values: Float64Array, at: number, by: number): void {
  values[at] = (values[at] ?? 0) + by;
}
