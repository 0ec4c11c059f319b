// SPDX-License-Identifier: Apache-2.0

// A back end in a thread of its own: an fsync of some milliseconds, or a change set of 50 MB, must not hold up the thread that turns verdicts into
// answers. Methods cross as messages; what they mean is said in store-backend.ts.

import { Worker } from "node:worker_threads";
import { MeridianError } from "@meridian/core";
import type { StoreBackend } from "./store-backend.ts";
import { unavailable } from "./store-error.ts";
import type { StoreLocation } from "./store-location.ts";

export type BackendMethod = keyof StoreBackend;

export interface BackendQuestion {
  readonly id: number;
  readonly method: BackendMethod;
  readonly parameters: readonly unknown[];
}

/** An error as it crosses between threads, where it would lose its class. */
export interface BackendFailure {
  readonly code: string | undefined;
  readonly causedBy: "user" | "system";
  readonly message: string;
}

export type BackendAnswer<Value = unknown> =
  | { readonly kind: "opened" }
  | { readonly kind: "value"; readonly id: number; readonly value: Value }
  | { readonly kind: "failure"; readonly id: number; readonly failure: BackendFailure }
  | { readonly kind: "notOpened"; readonly failure: BackendFailure }
  | { readonly kind: "report"; readonly message: string };

export interface BackendStart {
  readonly location: StoreLocation;
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: Error) => void;
  readonly isPressing: boolean;
}

export class BackendThread implements StoreBackend {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #report: (message: string) => void;
  readonly #opened = Promise.withResolvers<void>();
  #lastId = 0;
  /** Questions that keep the process alive: all but those that wait for a change. */
  #pressing = 0;
  #ended: Error | undefined;

  private constructor(start: BackendStart, report: (message: string) => void) {
    this.#report = report;
    this.#worker = new Worker(new URL("./store-worker.ts", import.meta.url), { workerData: start });
    this.#worker.on("message", (answer: BackendAnswer<never>) => this.#take(answer));
    this.#worker.on("error", (error) =>
      this.#end(error instanceof Error ? error : new Error(String(error))),
    );
    this.#worker.on("exit", () => this.#end(new Error("it was closed")));
  }

  /** Rejects with what the back end threw when it was opened. */
  static async open(
    start: BackendStart,
    report: (message: string) => void,
  ): Promise<BackendThread> {
    const thread = new BackendThread(start, report);
    await thread.#opened.promise;
    // A store alone keeps no process alive; a question that waits for its answer does.
    thread.#worker.unref();
    return thread;
  }

  readonly head: StoreBackend["head"] = (...all) => this.#ask("head", all);
  readonly get: StoreBackend["get"] = (...all) => this.#ask("get", all);
  readonly list: StoreBackend["list"] = (...all) => this.#ask("list", all);
  readonly commit: StoreBackend["commit"] = (...all) => this.#ask("commit", all);
  readonly changesAfter: StoreBackend["changesAfter"] = (...all) => this.#ask("changesAfter", all);
  readonly cancelWait: StoreBackend["cancelWait"] = (...all) => this.#ask("cancelWait", all);
  readonly history: StoreBackend["history"] = (...all) => this.#ask("history", all);
  readonly tryAcquireLease: StoreBackend["tryAcquireLease"] = (...all) =>
    this.#ask("tryAcquireLease", all);
  readonly renewLease: StoreBackend["renewLease"] = (...all) => this.#ask("renewLease", all);
  readonly releaseLease: StoreBackend["releaseLease"] = (...all) => this.#ask("releaseLease", all);
  readonly compact: StoreBackend["compact"] = (...all) => this.#ask("compact", all);
  readonly verify: StoreBackend["verify"] = (...all) => this.#ask("verify", all);
  readonly startLoad: StoreBackend["startLoad"] = (...all) => this.#ask("startLoad", all);
  readonly loadDocuments: StoreBackend["loadDocuments"] = (...all) =>
    this.#ask("loadDocuments", all);
  readonly loadChangeSets: StoreBackend["loadChangeSets"] = (...all) =>
    this.#ask("loadChangeSets", all);
  readonly finishLoad: StoreBackend["finishLoad"] = (...all) => this.#ask("finishLoad", all);
  readonly abortLoad: StoreBackend["abortLoad"] = (...all) => this.#ask("abortLoad", all);

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    await this.#ask("close", []);
    await this.#worker.terminate();
  }

  #ask<Value>(method: BackendMethod, parameters: readonly unknown[]): Promise<Value> {
    if (this.#ended !== undefined) return Promise.reject(diedOf(this.#ended));
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const id = ++this.#lastId;
    const isPressing = method !== "changesAfter";
    this.#waiting.set(id, { resolve, reject, isPressing });
    if (isPressing && ++this.#pressing === 1) this.#worker.ref();
    const question: BackendQuestion = { id, method, parameters };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    this.#worker.postMessage(question);
    return promise;
  }

  #take(answer: BackendAnswer<never>): void {
    switch (answer.kind) {
      case "opened":
        this.#opened.resolve();
        return;
      case "notOpened":
        this.#opened.reject(errorOf(answer.failure));
        void this.#worker.terminate();
        return;
      case "report":
        this.#report(answer.message);
        return;
      case "value":
        this.#takeWaiting(answer.id)?.resolve(answer.value);
        return;
      case "failure":
        this.#takeWaiting(answer.id)?.reject(errorOf(answer.failure));
    }
  }

  #takeWaiting(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting?.isPressing === true && --this.#pressing === 0) this.#worker.unref();
    return waiting;
  }

  #end(cause: Error): void {
    this.#ended ??= cause;
    this.#opened.reject(diedOf(cause));
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(diedOf(cause));
  }
}

function diedOf(cause: Error): MeridianError {
  return unavailable(`Cannot ask the store: its thread ended: ${cause.message}`, cause);
}

function errorOf({ code, causedBy, message }: BackendFailure): Error {
  return code === undefined ? new Error(message) : new MeridianError(code, causedBy, message);
}
