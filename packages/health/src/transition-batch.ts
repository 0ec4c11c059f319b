// SPDX-License-Identifier: Apache-2.0

// Transitions in columns, as they travel between threads. On the day on which everything flips there are thousands a second: as objects each
// costs both threads some microseconds and 400 bytes of garbage, and nearly none of them is ever looked at. Here one costs sixteen bytes,
// and is made an object when somebody asks for it. Keys are told once: as strings they took 1.5 µs a transition, most of it to clone.

import { CHILD_MARK, type Verdict } from "./check.ts";
import type { NumberedTransition, Transition } from "./transition.ts";

/** Some transitions, in order; an array of them is one. */
export interface TransitionBatch extends Iterable<Transition> {
  readonly length: number;
  at(index: number): Transition | undefined;
}

/** Transitions by column, each following the one before. Plain data. */
export interface PackedTransitions {
  /** Of the first one; those of the others follow. */
  readonly sequence: number;
  readonly atMs: number;
  /** Four words each: number of the endpoint, codes, milliseconds since `atMs`, milliseconds until the earliest change. */
  readonly words: Uint32Array;
  /** Reasons and vantages, each once, in pairs. */
  readonly said: readonly string[];
  /** Keys by number, of those that were not told before or had another one. */
  readonly learnt: readonly (readonly [number, string])[];
}

const WORDS: readonly Verdict[] = ["unknown", "healthy", "unhealthy"];
const FIELDS = 4;
const SAID_SHIFT = 4;
/** Of what was said, how many are looked at for the same: all may have reasons of their own. */
const SAID_LOOKED_AT_MAX = 8;

/** Packs the transitions of one runner. Its first batch is the first that a `TransitionReader` reads, and none is left out. */
export class TransitionPacker {
  /** Keys by number, as the reader knows them. */
  readonly #told: (string | undefined)[] = [];
  /** By number, the newest run that it is in. */
  readonly #usedIn: (number | undefined)[] = [];
  #run = 0;

  /** Batches that go on where the one before ends: more than one where sequences leave some out, or a clock has stepped back between them. */
  pack(batch: readonly NumberedTransition[]): PackedTransitions[] {
    const packed: PackedTransitions[] = [];
    for (let from = 0; from < batch.length;) {
      const run = this.#packRun(batch, from, endOfRun(batch, from));
      packed.push(run);
      from += run.words.length / FIELDS;
    }
    return packed;
  }

  /** Ends before `to` where a number that is in it already has another key by then. */
  #packRun(batch: readonly NumberedTransition[], from: number, to: number): PackedTransitions {
    const { sequence = 0, atMs = 0 } = batch[from] ?? {};
    const words = new Uint32Array((to - from) * FIELDS);
    const said: string[] = [];
    const learnt: [number, string][] = [];
    this.#run += 1;
    let at = 0;
    for (let index = from; index < to; index++) {
      const each = batch[index];
      if (each === undefined || !this.#learns(each, learnt)) break;
      const code = WORDS.indexOf(each.verdict) | (WORDS.indexOf(each.previous) << 2);
      words[at] = each.endpoint;
      words[at + 1] = code | (placeOf(said, each) << SAID_SHIFT);
      words[at + 2] = each.atMs - atMs;
      words[at + 3] = Math.min(0xffff_ffff, Math.floor(each.earliestChangeMs));
      at += FIELDS;
    }
    return {
      sequence,
      atMs,
      words: at === words.length ? words : words.slice(0, at),
      said,
      learnt,
    };
  }

  #learns({ endpoint, key }: NumberedTransition, learnt: [number, string][]): boolean {
    // Mostly the very same string.
    if (this.#told[endpoint] !== key) {
      if (this.#usedIn[endpoint] === this.#run) return false;
      this.#told[endpoint] = key;
      learnt.push([endpoint, key]);
    }
    this.#usedIn[endpoint] = this.#run;
    return true;
  }
}

/** The first one behind `from` that does not go on where the one before ends. */
function endOfRun(batch: readonly Transition[], from: number): number {
  const first = batch[from];
  let last = first;
  for (let to = from + 1; to < batch.length; to++) {
    const each = batch[to];
    if (first === undefined || last === undefined || each === undefined) return to;
    const sinceMs = each.atMs - first.atMs;
    const isNext = each.sequence === last.sequence + 1 && each.atMs >= last.atMs;
    if (!isNext || sinceMs > 0xffff_ffff || !Number.isInteger(sinceMs)) return to;
    last = each;
  }
  return batch.length;
}

/** Place of a reason and a vantage, which mostly are the ones before; what was said long before is said again. */
function placeOf(said: string[], { reason, vantage }: Transition): number {
  const end = Math.max(0, said.length - SAID_LOOKED_AT_MAX * 2);
  for (let at = said.length - 2; at >= end; at -= 2)
    if (said[at] === reason && said[at + 1] === vantage) return at / 2;
  return said.push(reason, vantage) / 2 - 1;
}

/** Reads what one packer after another has packed: each begins with what is known of no number. */
export class TransitionReader {
  /** Of all that was read, as long as no number has another endpoint: who keeps thousands of batches is not to keep as many tables. */
  #keys: (string | undefined)[] = [];
  /** Whether any of the keys is of a child of a calculated check. */
  #hasChildren = false;

  read(packed: PackedTransitions): SentTransitions {
    const isOther = ([number, key]: readonly [number, string]): boolean =>
      (this.#keys[number] ?? key) !== key;
    // Who was told of an endpoint that had the number before goes on with the keys of then.
    if (packed.learnt.some(isOther)) this.#keys = [...this.#keys];
    for (const [number, key] of packed.learnt) {
      while (this.#keys.length < number) this.#keys.push(undefined);
      this.#keys[number] = key;
      this.#hasChildren ||= key.includes(CHILD_MARK);
    }
    return new SentTransitions(packed, this.#keys, this.#hasChildren);
  }
}

/** Transitions that were packed. */
export class SentTransitions implements TransitionBatch {
  readonly #packed: PackedTransitions;
  readonly #keys: readonly (string | undefined)[];
  /** Whether any of them may be of a child of a calculated check. */
  readonly mayHaveChildren: boolean;

  constructor(
    packed: PackedTransitions,
    keys: readonly (string | undefined)[],
    mayHaveChildren: boolean,
  ) {
    this.#packed = packed;
    this.#keys = keys;
    this.mayHaveChildren = mayHaveChildren;
  }

  get length(): number {
    return this.#packed.words.length / FIELDS;
  }

  verdictAt(index: number): Verdict {
    return WORDS[(this.#packed.words[index * FIELDS + 1] ?? 0) & 3] ?? "unknown";
  }

  keyAt(index: number): string {
    return this.#keys[this.#packed.words[index * FIELDS] ?? 0] ?? "";
  }

  at(index: number): Transition | undefined {
    const { words, said, atMs, sequence } = this.#packed;
    const from = index * FIELDS;
    if (from < 0 || from >= words.length) return undefined;
    const code = words[from + 1] ?? 0;
    const place = (code >>> SAID_SHIFT) * 2;
    return {
      key: this.keyAt(index),
      verdict: this.verdictAt(index),
      previous: WORDS[(code >>> 2) & 3] ?? "unknown",
      reason: said[place] ?? "",
      vantage: said[place + 1] ?? "",
      atMs: atMs + (words[from + 2] ?? 0),
      earliestChangeMs: words[from + 3] ?? 0,
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
