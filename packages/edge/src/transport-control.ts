// SPDX-License-Identifier: Apache-2.0

/**
 * How the main thread talks to a worker that never returns to its event loop. Commands travel through the worker's
 * message port; a shared word counts them. The turn loop compares that word once a batch (a plain load) and reads the
 * port, synchronously, only when it moved. A worker that lives by its event loop reads the same port by its event.
 */

import { receiveMessageOnPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";

/** "drain": answer what is queued, then stop. "leave": finish the batch in hand; another process reads the sockets. */
export type StopMode = "drain" | "leave";

export type WorkerCommand =
  | { readonly kind: "message"; readonly message: unknown }
  /** Whether this worker lets threads that have work to do run for a while before it answers. */
  | { readonly kind: "patience"; readonly isPatient: boolean }
  | { readonly kind: "stop"; readonly mode: StopMode };

export type WorkerReport =
  | { readonly kind: "ready" }
  | { readonly kind: "message"; readonly message: unknown };

/** The worker's end. */
export class WorkerControl {
  readonly #port: MessagePort;
  readonly #word: Int32Array;
  readonly #onMessage: (message: unknown) => void;
  readonly #onPatience: (isPatient: boolean) => void;
  #seen: number;
  #stop: StopMode | undefined;

  constructor(
    port: MessagePort,
    word: SharedArrayBuffer,
    onMessage: (message: unknown) => void,
    onPatience: (isPatient: boolean) => void,
  ) {
    this.#port = port;
    this.#word = new Int32Array(word);
    this.#onMessage = onMessage;
    this.#onPatience = onPatience;
    this.#seen = Atomics.load(this.#word, 0);
    this.#stop = undefined;
  }

  /** Whether a command came since the last read(). One atomic load. */
  hasMoved(): boolean {
    return Atomics.load(this.#word, 0) !== this.#seen;
  }

  /** Handles every command that waits; returns how to stop once told to. */
  read(): StopMode | undefined {
    // Loaded first: a command that comes while reading moves the word again and is at worst read early.
    this.#seen = Atomics.load(this.#word, 0);
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return this.#stop;
      const command: unknown = received.message;
      if (isCommand(command)) this.#handle(command);
    }
  }

  /** For a worker with an event loop: handles commands as they come; resolves when told to stop. */
  listen(): Promise<StopMode> {
    return new Promise((resolve) => {
      this.#port.on("message", (command: unknown) => {
        if (isCommand(command)) this.#handle(command);
        if (this.#stop !== undefined) resolve(this.#stop);
      });
      const stop = this.read();
      if (stop !== undefined) resolve(stop);
    });
  }

  #handle(command: WorkerCommand): void {
    if (command.kind === "stop") this.#stop = command.mode;
    else if (command.kind === "patience") this.#onPatience(command.isPatient);
    else this.#onMessage(command.message);
  }
}

function isCommand(value: unknown): value is WorkerCommand {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    (value.kind === "message" || value.kind === "patience" || value.kind === "stop")
  );
}
