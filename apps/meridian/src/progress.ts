// SPDX-License-Identifier: Apache-2.0

// What takes long says how far it is, on standard error: on a terminal as one line that is written over and goes when the work is done;
// elsewhere as a line now and then. What is quick says nothing.

/** Erases the line that the cursor is in. */
export const ERASE_LINE = "\r\u001B[2K";
const QUIET_MS = 300;
const TERMINAL_MS = 100;
const PIPE_MS = 10_000;

/** What a Progress writes to. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class Progress {
  readonly #stream: ProgressStream;
  readonly #nowMs: () => number;
  #nextMs: number;
  #isShown = false;

  constructor(
    stream: ProgressStream = process.stderr,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#nextMs = nowMs() + (stream.isTTY === true ? QUIET_MS : PIPE_MS);
  }

  /** Says what is being done, where it is time to. */
  show(text: string): void {
    const nowMs = this.#nowMs();
    if (nowMs < this.#nextMs) return;
    const isTerminal = this.#stream.isTTY === true;
    this.#nextMs = nowMs + (isTerminal ? TERMINAL_MS : PIPE_MS);
    this.#stream.write(isTerminal ? `${ERASE_LINE}${text}` : `${text}\n`);
    this.#isShown = isTerminal;
  }

  /** Says what a step will do that is known to be long, and during which nothing more can be said. */
  announce(text: string): void {
    if (this.#stream.isTTY === true) this.#nextMs = this.#nowMs();
    this.show(text);
  }

  /** The work is done: the line goes. */
  close(): void {
    if (this.#isShown) this.#stream.write(ERASE_LINE);
    this.#isShown = false;
  }
}

/** Shows `text`, which is given the whole seconds since the start, until the work is done. */
export async function whileShown<Value>(
  text: (seconds: number) => string,
  work: Promise<Value>,
): Promise<Value> {
  const progress = new Progress();
  const started = performance.now();
  const timer = setInterval(
    () => progress.show(text(Math.floor((performance.now() - started) / 1000))),
    TERMINAL_MS,
  );
  try {
    return await work;
  } finally {
    clearInterval(timer);
    progress.close();
  }
}
