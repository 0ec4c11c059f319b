// SPDX-License-Identifier: Apache-2.0

/**
 * Keeps one worker alive. Its sockets belong to the main thread, so what is queued in them waits for the next worker.
 *
 *   starting ──ready──► running ──exit──► waiting (back-off) ──► starting
 *       │                  │
 *       └──exit before the first ready: start() rejects        stop(): ──► stopped
 *
 * The first restart is immediate; each further one within `STEADY_MS` of the last waits twice as long, at most
 * `BACKOFF_MS_MAX`, so that a worker that cannot live does not take the machine, and one that can is back within a
 * second.
 */

import { Worker } from "node:worker_threads";

import type { EdgeLogger } from "./edge-logger.ts";
import type { StopMode, WorkerCommand, WorkerReport } from "./transport-control.ts";
import { TransportCounters } from "./transport-counters.ts";
import { errorMessage } from "./transport-error.ts";
import type { WorkerSockets, WorkerStart } from "./transport-worker.ts";

const BACKOFF_MS_FIRST = 25;
const BACKOFF_MS_MAX = 250;
/** A worker that was ready for this long counts as healthy: its next failure is a first one. */
const STEADY_MS = 10_000;
/** After the worker's own bounds on stopping, it is ended. */
const STOP_MS_MAX = 4000;

export interface SupervisorOptions {
  readonly index: number;
  readonly workerModule: URL;
  readonly handlerModule: string;
  readonly handlerData: unknown;
  readonly sockets: WorkerSockets;
  /** See `EdgeOptions.proxies`. */
  readonly proxies: readonly string[];
  /** Of the first worker; those that replace it have no time. */
  readonly standby?: WorkerStart["standby"];
  readonly heapMaxMb: number;
  readonly logger: EdgeLogger;
  readonly onMessage: (message: unknown) => void;
  /** Called when the worker has ended, before another starts: its hazard slot and the like may be cleared. */
  readonly onExit: () => void;
  /** What a new worker has to know: the last message of each kind, oldest first. */
  readonly replay: () => Iterable<unknown>;
}

export type SupervisorState = "idle" | "starting" | "running" | "waiting" | "stopped";

export class Supervisor {
  readonly counters: TransportCounters = new TransportCounters();
  readonly #options: SupervisorOptions;
  readonly #controlWord = new SharedArrayBuffer(4);
  #state: SupervisorState = "idle";
  #worker: Worker | undefined;
  #restarts = 0;
  #failuresInRow = 0;
  #readyAt = 0;
  #lastError: string | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #onReady: () => void = () => undefined;
  #onFirstFailure: ((error: Error) => void) | undefined;
  #onStopped: () => void = () => undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** How often the worker was replaced. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Why it was replaced last. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Resolves when the worker serves; rejects with its error if it ends before. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onFirstFailure = reject;
      this.#spawn();
    });
  }

  /** Delivers a message to the handler module. A worker that is being replaced gets it by `replay`. */
  post(message: unknown): void {
    this.#command({ kind: "message", message });
  }

  /** Whether it lets threads that have work to do run for a while before it answers; one that replaces it does not. */
  setPatient(isPatient: boolean): void {
    this.#command({ kind: "patience", isPatient });
  }

  /** Resolves when the worker has ended, at the latest after a few seconds. Idempotent; the first mode holds. */
  stop(mode: StopMode): Promise<void> {
    this.#stopping ??= this.#stop(mode);
    return this.#stopping;
  }

  async #stop(mode: StopMode): Promise<void> {
    clearTimeout(this.#waiting);
    const worker = this.#worker;
    this.#state = "stopped";
    if (worker === undefined) return;
    const ended = new Promise<void>((resolve) => {
      this.#onStopped = resolve;
    });
    this.#command({ kind: "stop", mode });
    const deadline = setTimeout(() => void worker.terminate(), STOP_MS_MAX);
    await ended;
    clearTimeout(deadline);
  }

  #command(command: WorkerCommand): void {
    const worker = this.#worker;
    if (worker === undefined) return;
    // The message first: a worker that sees the word move finds it in its port.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    worker.postMessage(command);
    Atomics.add(new Int32Array(this.#controlWord), 0, 1);
  }

  #spawn(): void {
    const { index, sockets, proxies, handlerModule, handlerData, heapMaxMb } = this.#options;
    const start: WorkerStart = {
      kind: "meridian-edge-worker",
      index,
      sockets,
      proxies,
      standby: this.#restarts === 0 ? this.#options.standby : undefined,
      handlerModule,
      handlerData,
      controlWord: this.#controlWord,
      counters: this.counters.memory,
    };
    this.#state = "starting";
    const worker = new Worker(this.#options.workerModule, {
      workerData: start,
      name: `edge ${index}`,
      resourceLimits: { maxOldGenerationSizeMb: heapMaxMb },
    });
    this.#worker = worker;
    let failure: Error | undefined;
    worker.on("message", (report: unknown) => this.#take(report));
    worker.on("error", (error: unknown) => {
      failure = error instanceof Error ? error : new Error(errorMessage(error));
    });
    worker.on("exit", (code) => {
      this.#ended(failure ?? new Error(`the worker exited with code ${code}`));
    });
    for (const message of this.#options.replay()) this.#command({ kind: "message", message });
  }

  #take(report: unknown): void {
    if (!isReport(report)) return;
    if (report.kind === "message") {
      this.#options.onMessage(report.message);
      return;
    }
    if (this.#state === "starting") this.#state = "running";
    this.#readyAt = performance.now();
    this.#onFirstFailure = undefined;
    this.#onReady();
  }

  #ended(error: Error): void {
    this.#worker = undefined;
    this.#options.onExit();
    if (this.#state === "stopped") {
      this.#onStopped();
      return;
    }
    if (this.#onFirstFailure !== undefined) {
      this.#state = "stopped";
      this.#onFirstFailure(error);
      return;
    }
    this.#restart(error);
  }

  #restart(error: Error): void {
    const wasSteady = this.#state === "running" && performance.now() - this.#readyAt >= STEADY_MS;
    this.#failuresInRow = wasSteady ? 1 : this.#failuresInRow + 1;
    const backoff = BACKOFF_MS_FIRST * 2 ** (this.#failuresInRow - 2);
    const delayMs = this.#failuresInRow === 1 ? 0 : Math.min(backoff, BACKOFF_MS_MAX);
    this.#restarts += 1;
    this.#lastError = error.message;
    this.#state = "waiting";
    this.#options.logger.error(`Edge worker ${this.#options.index} stopped: ${error.message}`, {
      worker: this.#options.index,
      restarts: this.#restarts,
      restartInMs: delayMs,
      stack: error.stack,
    });
    this.#waiting = setTimeout(() => this.#spawn(), delayMs);
  }
}

function isReport(value: unknown): value is WorkerReport {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    (value.kind === "ready" || value.kind === "message")
  );
}
