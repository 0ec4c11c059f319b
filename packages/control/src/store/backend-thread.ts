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
  readonly #start: BackendStart;
  readonly #entry: URL;
  readonly #report: (message: string) => void;
  readonly #waiting = new Map<number, Waiting>();
  /** The thread, once its back end is open; undefined where it has ended, until somebody asks. */
  #thread: Promise<Worker> | undefined;
  #lastId = 0;
  /** Questions that keep the process alive: all but those that wait for a change. */
  #pressing = 0;
  #isClosed = false;

  private constructor(start: BackendStart, report: (message: string) => void, entry: URL) {
    this.#start = start;
    this.#report = report;
    this.#entry = entry;
  }

  /** Rejects with what the back end threw when it was opened. A thread that ends later fails what was asked of it, and is started anew with the next question. */
  static async open(
    start: BackendStart,
    report: (message: string) => void,
    entry: URL = new URL("./store-worker.ts", import.meta.url),
  ): Promise<BackendThread> {
    const thread = new BackendThread(start, report, entry);
    await thread.#running();
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
    if (this.#isClosed) return;
    const thread = this.#thread;
    if (thread !== undefined) await this.#ask("close", []);
    this.#isClosed = true;
    await (await thread)?.terminate();
  }

  async #ask<Value>(method: BackendMethod, parameters: readonly unknown[]): Promise<Value> {
    if (this.#isClosed) throw diedOf(new Error("it was closed"));
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const worker = await this.#running();
    const question: BackendQuestion = { id: ++this.#lastId, method, parameters };
    const isPressing = method !== "changesAfter";
    this.#waiting.set(question.id, { resolve, reject, isPressing });
    if (isPressing && ++this.#pressing === 1) worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    worker.postMessage(question);
    return promise;
  }

  #running(): Promise<Worker> {
    this.#thread ??= this.#spawn();
    return this.#thread;
  }

  #spawn(): Promise<Worker> {
    const opened = Promise.withResolvers<Worker>();
    const worker = new Worker(this.#entry, { workerData: this.#start });
    let end = new Error("it was stopped");
    let isOpen = false;
    worker.on("message", (answer: BackendAnswer<never>) => {
      if (answer.kind === "opened") {
        // A store alone keeps no process alive; a question that waits for its answer does.
        worker.unref();
        isOpen = true;
        opened.resolve(worker);
      } else if (answer.kind === "notOpened") {
        opened.reject(errorOf(answer.failure));
        void worker.terminate();
      } else this.#take(worker, answer);
    });
    worker.on(
      "error",
      (error) => (end = error instanceof Error ? error : new Error(String(error))),
    );
    worker.on("exit", () => {
      this.#thread = undefined;
      opened.reject(diedOf(end));
      if (isOpen && !this.#isClosed) this.#report(diedOf(end).message);
      this.#endAll(diedOf(end));
    });
    return opened.promise;
  }

  #take(
    worker: Worker,
    answer: Exclude<BackendAnswer<never>, { kind: "opened" | "notOpened" }>,
  ): void {
    if (answer.kind === "report") {
      this.#report(answer.message);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (waiting?.isPressing === true && --this.#pressing === 0) worker.unref();
    if (answer.kind === "value") waiting?.resolve(answer.value);
    else waiting?.reject(errorOf(answer.failure));
  }

  #endAll(error: MeridianError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#pressing = 0;
    for (const { reject } of waiting) reject(error);
  }
}

function diedOf(cause: Error): MeridianError {
  return unavailable(`Cannot ask the store: its thread ended: ${cause.message}`, cause);
}

function errorOf({ code, causedBy, message }: BackendFailure): Error {
  return code === undefined ? new Error(message) : new MeridianError(code, causedBy, message);
}
