// SPDX-License-Identifier: Apache-2.0

// A store in a process of its own, that can be killed and started again while clients use it. Who waits for an answer then gets STORE_UNAVAILABLE.

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { MeridianError } from "@meridian/core";
import type { ChangeSetRequest, DocumentKey, ListQuery, StoredChangeSet } from "@meridian/control";
import type { StorePort } from "./workload.ts";

const ANSWER_TIMEOUT_MS = 10_000;

type Asked =
  | { readonly method: "head" }
  | { readonly method: "get"; readonly key: DocumentKey }
  | { readonly method: "list"; readonly query: ListQuery }
  | { readonly method: "commit"; readonly request: ChangeSetRequest }
  | { readonly method: "acquire"; readonly lease: string; readonly holder: string }
  | { readonly method: "sessionGet"; readonly key: DocumentKey; readonly revision: number }
  | { readonly method: "watch"; readonly from: number };
export type StoreQuestion = Asked & { readonly id: number };

export type StoreAnswer<Value = unknown> =
  | { readonly kind: "opened" }
  | { readonly kind: "value"; readonly id: number; readonly value: Value }
  | {
      readonly kind: "failure";
      readonly id: number;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: "change"; readonly id: number; readonly changeSet: StoredChangeSet };

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: Error) => void;
  readonly onChange: ((changeSet: StoredChangeSet) => void) | undefined;
}

export class StoreProcess {
  readonly #location: string;
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | undefined;
  #opened = Promise.withResolvers<void>();
  #lastId = 0;

  constructor(location: string) {
    this.#location = location;
  }

  /** Resolves when the store is open. */
  async start(): Promise<void> {
    this.#opened = Promise.withResolvers();
    const child = fork(join(import.meta.dirname, "store-process.ts"), [this.#location], {
      execArgv: [],
      serialization: "advanced",
    });
    this.#child = child;
    child.on("message", (answer: StoreAnswer<never>) => this.#take(answer));
    child.on("exit", () => {
      this.#opened.reject(new Error(`The store at ${this.#location} was not opened`));
      for (const { reject } of this.#waiting.values()) reject(unavailable("its process is gone"));
      this.#waiting.clear();
    });
    await this.#opened.promise;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  port(): StorePort {
    return {
      head: () => this.#ask({ method: "head" }),
      get: (key) => this.#ask({ method: "get", key }),
      list: (query) => this.#ask({ method: "list", query }),
      commit: (request) => this.#ask({ method: "commit", request }),
      acquire: (lease, holder) => this.#ask({ method: "acquire", lease, holder }),
      sessionGet: (key, revision) => this.#ask({ method: "sessionGet", key, revision }),
      watch: (from, signal) => this.#watch(from, signal),
    };
  }

  #ask<Value>(asked: Asked, onChange?: (changeSet: StoredChangeSet) => void): Promise<Value> {
    const child = this.#child;
    if (child?.connected !== true) return Promise.reject(unavailable("its process is not there"));
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    this.#waiting.set(id, { resolve, reject, onChange });
    child.send({ ...asked, id }, (error) => {
      if (error !== null) reject(unavailable(error.message));
    });
    if (onChange !== undefined) return promise;
    const timer = setTimeout(() => reject(unavailable("no answer came")), ANSWER_TIMEOUT_MS);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }

  async *#watch(from: number, signal: AbortSignal): AsyncGenerator<StoredChangeSet> {
    const arrived: StoredChangeSet[] = [];
    let failure: Error | undefined;
    let wake = (): void => undefined;
    const asked = this.#ask<undefined>({ method: "watch", from }, (changeSet) => {
      arrived.push(changeSet);
      wake();
    });
    asked.catch((error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
      wake();
    });
    const stop = (): void => wake();
    signal.addEventListener("abort", stop);
    try {
      while (!signal.aborted) {
        const next = arrived.shift();
        if (next !== undefined) yield next;
        else if (failure !== undefined) throw failure;
        else await new Promise<void>((done) => (wake = done));
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #take(answer: StoreAnswer<never>): void {
    if (answer.kind === "opened") {
      this.#opened.resolve();
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    if (answer.kind === "change") waiting?.onChange?.(answer.changeSet);
    else if (answer.kind === "value") waiting?.resolve(answer.value);
    else waiting?.reject(new MeridianError(answer.code, "system", answer.message));
  }
}

function unavailable(reason: string): MeridianError {
  return new MeridianError("STORE_UNAVAILABLE", "system", `Cannot ask the store: ${reason}`);
}
