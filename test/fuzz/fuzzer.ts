// SPDX-License-Identifier: Apache-2.0

// A fuzzer of one entry point: first every input of its corpus (`corpus/NAME/`, seeds and what failed before), then changed ones until
// its share of MERIDIAN_TEST_FUZZ_SECONDS is over. It prints its seed (MERIDIAN_TEST_FUZZ_SEED repeats it) and keeps an input that fails
// as a file of the corpus, to be committed with the repair. An input that never ends is kept by a thread that watches.
//
//   corpus ─► replayed ─┐
//   seeds ──────────────┴─► changed ─► target ─► throws: kept, test fails

import { createHash, randomInt } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { Pcg32 } from "@meridian/core";
import { INPUT_BYTES_MAX, mutate } from "./mutation.ts";

/** Entry points that are fuzzed: the time is shared by all. */
const TARGET_COUNT = 19;
const SECONDS_DEFAULT = 20;
/** Even with no time left, this many inputs are tried. */
const INPUTS_MIN = 50;
/** Between two looks at the clock. */
const INPUTS_PER_LOOK = 16;
/** A single input may take this long, on a machine that does much else. */
const INPUT_MS_MAX = 5_000;
/** Past it an input is taken never to end. */
const HANG_MS = 20_000;
/** Words of the watcher's memory: how many inputs were begun, and the length of the newest. */
const WATCH_WORDS = 2;

/** What is fuzzed, and with what. */
export interface FuzzTarget {
  /** Kebab-case; the folder of its corpus. */
  readonly name: string;
  /** Inputs to begin with, besides those of the corpus. */
  readonly seeds: readonly Uint8Array[];
  /** Words of the format, put in here and there. */
  readonly words?: readonly string[];
  /** The format is text; default false. */
  readonly isText?: boolean;
  /** Why it cannot be fuzzed here; default false. */
  readonly skip?: string | false;
  /** Throws where the input does what it must not. */
  readonly run: (input: Uint8Array) => void | Promise<void>;
}

/** Declares the test of one entry point. */
export function fuzz(target: FuzzTarget): void {
  const { skip = false } = target;
  test(`${target.name}: no input does harm`, { skip }, (context) => run(target, context));
}

async function run(target: FuzzTarget, context: TestContext): Promise<void> {
  const seed = Number(process.env["MERIDIAN_TEST_FUZZ_SEED"] ?? randomInt(2 ** 31));
  const seconds = Number(process.env["MERIDIAN_TEST_FUZZ_SECONDS"] ?? SECONDS_DEFAULT);
  context.diagnostic(`MERIDIAN_TEST_FUZZ_SEED=${seed}`);
  const folder = join(import.meta.dirname, "corpus", target.name);
  mkdirSync(folder, { recursive: true });
  const watch = new Watch(folder);
  try {
    const inputs = [...target.seeds];
    for (const file of readdirSync(folder).toSorted()) {
      const input = new Uint8Array(readFileSync(join(folder, file)));
      inputs.push(input);
      await attempt(target, input, watch, `${file} of the corpus`);
    }
    for (const input of target.seeds) await attempt(target, input, watch, "a seed");
    const words = (target.words ?? []).map((word) => new Uint8Array(Buffer.from(word)));
    const material = { inputs, words, isText: target.isText ?? false };
    const random = new Pcg32(seed);
    const endMs = performance.now() + (seconds * 1000) / TARGET_COUNT;
    let tried = 0;
    while (tried < INPUTS_MIN || tried % INPUTS_PER_LOOK !== 0 || performance.now() < endMs) {
      const input = mutate(random, material);
      tried++;
      await attempt(target, input, watch, `input ${tried}`, folder);
    }
    context.diagnostic(`${tried} inputs`);
  } finally {
    await watch.close();
  }
}

/** Runs one input; where it fails and `folder` is given, keeps it there. */
async function attempt(
  target: FuzzTarget,
  input: Uint8Array,
  watch: Watch,
  what: string,
  folder?: string,
): Promise<void> {
  watch.begin(input);
  const startMs = performance.now();
  try {
    await target.run(input);
    const tookMs = Math.round(performance.now() - startMs);
    if (tookMs > INPUT_MS_MAX)
      throw new Error(`It took ${tookMs} ms, expected at most ${INPUT_MS_MAX}`);
  } catch (error) {
    const file = folder === undefined ? undefined : failureFile(input);
    if (folder !== undefined && file !== undefined) writeFileSync(join(folder, file), input);
    throw new Error(
      `${target.name} failed on ${what}${file === undefined ? "" : `, kept as ${file}`}`,
      { cause: error },
    );
  }
}

function failureFile(input: Uint8Array): string {
  return `failure-${createHash("sha256").update(input).digest("hex").slice(0, 12)}.bin`;
}

/** Keeps the newest input where another thread can save it if this one never comes back. */
class Watch {
  readonly #words = new Int32Array(new SharedArrayBuffer(WATCH_WORDS * 4));
  readonly #bytes = new Uint8Array(new SharedArrayBuffer(INPUT_BYTES_MAX));
  readonly #worker: Worker;

  constructor(folder: string) {
    const { buffer: words } = this.#words;
    const { buffer: bytes } = this.#bytes;
    const workerData = { words, bytes, folder, hangMs: HANG_MS };
    this.#worker = new Worker(new URL("./watch-worker.ts", import.meta.url), { workerData });
    this.#worker.unref();
  }

  begin(input: Uint8Array): void {
    this.#bytes.set(input.subarray(0, INPUT_BYTES_MAX));
    this.#words[1] = Math.min(input.length, INPUT_BYTES_MAX);
    Atomics.add(this.#words, 0, 1);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
