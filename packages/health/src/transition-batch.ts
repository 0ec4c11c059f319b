// SPDX-License-Identifier: Apache-2.0

// Transitions in columns, as they travel between threads. On the day on which everything flips there are thousands a second: as objects each
// costs both threads some microseconds and 400 bytes of garbage, and nearly none of them is ever looked at. Here one costs its key and
// twelve bytes, and is made an object when somebody asks for it.

import type { Verdict } from "./check.ts";
import type { Transition } from "./transition.ts";

/** Some transitions, in order; an array of them is one. */
export interface TransitionBatch extends Iterable<Transition> {
  readonly length: number;
  at(index: number): Transition | undefined;
}

/** Transitions by column. Plain data. */
export interface PackedTransitions {
  /** Of the first one; those of the others follow. */
  readonly sequence: number;
  readonly atMs: number;
  readonly keys: readonly string[];
  /** Three words each: codes, milliseconds since `atMs`, milliseconds until the earliest change. */
  readonly words: Uint32Array;
  /** Reasons and vantages, each once, in pairs. */
  readonly said: readonly string[];
}

const WORDS: readonly Verdict[] = ["unknown", "healthy", "unhealthy"];
const FIELDS = 3;
const SAID_SHIFT = 4;

/** Undefined where they do not follow one another, or a clock has stepped back between them. */
export function packTransitions(batch: readonly Transition[]): PackedTransitions | undefined {
  const [first] = batch;
  if (first === undefined) return undefined;
  const { sequence, atMs } = first;
  const words = new Uint32Array(batch.length * FIELDS);
  const said: string[] = [];
  const places = new Map<string, number>();
  let last = "";
  let lastPlace = 0;
  for (let index = 0; index < batch.length; index++) {
    const each = batch[index] ?? first;
    const { verdict, previous, reason, vantage } = each;
    const sinceMs = each.atMs - atMs;
    if (each.sequence !== sequence + index || sinceMs < 0 || !Number.isInteger(sinceMs))
      return undefined;
    const text = `${reason}\n${vantage}`;
    if (text !== last || said.length === 0) {
      last = text;
      lastPlace = places.get(text) ?? said.push(reason, vantage) / 2 - 1;
      places.set(text, lastPlace);
    }
    const code = WORDS.indexOf(verdict) | (WORDS.indexOf(previous) << 2);
    words[index * FIELDS] = code | (lastPlace << SAID_SHIFT);
    words[index * FIELDS + 1] = sinceMs;
    words[index * FIELDS + 2] = Math.min(0xffff_ffff, Math.floor(each.earliestChangeMs));
  }
  return { sequence, atMs, keys: batch.map(({ key }) => key), words, said };
}

/** Transitions that were packed. */
export class SentTransitions implements TransitionBatch {
  readonly #packed: PackedTransitions;

  constructor(packed: PackedTransitions) {
    this.#packed = packed;
  }

  get length(): number {
    return this.#packed.keys.length;
  }

  verdictAt(index: number): Verdict {
    return WORDS[(this.#packed.words[index * FIELDS] ?? 0) & 3] ?? "unknown";
  }

  keyAt(index: number): string {
    return this.#packed.keys[index] ?? "";
  }

  at(index: number): Transition | undefined {
    const { keys, words, said, atMs, sequence } = this.#packed;
    const key = keys[index];
    if (key === undefined) return undefined;
    const code = words[index * FIELDS] ?? 0;
    const place = (code >>> SAID_SHIFT) * 2;
    return {
      key,
      verdict: this.verdictAt(index),
      previous: WORDS[(code >>> 2) & 3] ?? "unknown",
      reason: said[place] ?? "",
      vantage: said[place + 1] ?? "",
      atMs: atMs + (words[index * FIELDS + 1] ?? 0),
      earliestChangeMs: words[index * FIELDS + 2] ?? 0,
      sequence: sequence + index,
    };
  }

  *[Symbol.iterator](): Generator<Transition> {
    for (let index = 0; index < this.length; index++) {
      const transition = this.at(index);
      if (transition !== undefined) yield transition;
    }
  }
}

/** The verdict that one of a batch became. */
export function verdictAt(batch: TransitionBatch, index: number): Verdict {
  return batch instanceof SentTransitions
    ? batch.verdictAt(index)
    : (batch.at(index)?.verdict ?? "unknown");
}
