// SPDX-License-Identifier: Apache-2.0

// The compiler in a thread of its own, so that reading and compiling a million names holds up neither probes nor failover nor the API.
// A thread that dies (out of memory on a runaway file, say) fails what was asked of it and is started anew with the next question.

import { Worker } from "node:worker_threads";
import { MeridianError } from "@meridian/core";
import type { FailoverBudget } from "@meridian/model";
import type { CompilerFolders, LoadOutcome, LoadRequest } from "./file-compiler.ts";
import type { Page, PageRequest } from "./page.ts";
import type { RecordView } from "./views.ts";

export type CompilerQuestion =
  | { readonly id: number; readonly kind: "load"; readonly request: LoadRequest }
  | { readonly id: number; readonly kind: "records"; readonly request: PageRequest }
  | { readonly id: number; readonly kind: "budget"; readonly name: string };

export interface CompilerAnswer {
  readonly id: number;
  readonly value: unknown;
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: Error) => void;
}

export class CompilerThread {
  readonly #start: CompilerFolders;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(start: CompilerFolders) {
    this.#start = start;
  }

  load(request: LoadRequest): Promise<LoadOutcome> {
    return this.#ask((id) => ({ id, kind: "load", request }));
  }

  records(request: PageRequest): Promise<Page<RecordView>> {
    return this.#ask((id) => ({ id, kind: "records", request }));
  }

  budget(name: string): Promise<FailoverBudget | undefined> {
    return this.#ask((id) => ({ id, kind: "budget", name }));
  }

  /** What is still asked fails, and nothing starts the thread again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #ask<Value>(question: (id: number) => CompilerQuestion): Promise<Value> {
    if (this.#isClosed) return Promise.reject(diedOf(new Error("it was closed")));
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const id = ++this.#lastId;
    this.#waiting.set(id, { resolve, reject });
    const worker = this.#running();
    worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
    worker.postMessage(question(id));
    return promise;
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL("./compiler-worker.ts", import.meta.url), {
      workerData: this.#start,
    });
    worker.on("message", ({ id, value }: { id: number; value: never }) => {
      this.#waiting.get(id)?.resolve(value);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.on("error", (error) =>
      this.#died(worker, error instanceof Error ? error : new Error(String(error))),
    );
    worker.on("exit", () => this.#died(worker, new Error("it was stopped")));
    this.#worker = worker;
    return worker;
  }

  #died(worker: Worker, cause: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(diedOf(cause));
  }
}

function diedOf(cause: Error): MeridianError {
  const message = `Cannot compile: the compiler's thread ended: ${cause.message}`;
  return new MeridianError("COMPILER_DIED", "system", message, { cause });
}
