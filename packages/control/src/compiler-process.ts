// SPDX-License-Identifier: Apache-2.0

// The compiler in a process of its own, so that reading and compiling a million names holds up neither probes nor failover nor the API,
// takes no time from answers (once there are any, it has the least priority for all but small changes), and gives its memory back: it ends
// when nothing was asked of it for a while. One that dies (out of memory on a runaway file, say) fails what was asked of it and is
// started anew with the next question. What it compiles goes through files: it writes sections and manifests to the state folder.

import { fork, type ChildProcess } from "node:child_process";
import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import { MeridianError, assert } from "@meridian/core";
import type { InputFile } from "@meridian/model";
import type { Manifest } from "@meridian/snapshot";
import type { CompilerFolders, LoadOutcome, LoadRequest } from "./file-load.ts";
import type { Page, PageRequest } from "@meridian/snapshot/surface";
import type { FileDocument } from "./documents/publisher.ts";
import type { DocumentKey } from "./store/store.ts";
import type { ResolvedHosts } from "./probe-targets.ts";
import type { DeclaredZone } from "./updates/declared-zone.ts";
import type { RecordView } from "./views.ts";

/** How long a compiler without questions keeps its memory: with a million names a change takes seconds without it, not a twentieth of one. */
const IDLE_MS = 15 * 60_000;
/** How long a compiler of which nothing is asked may take to end by itself. */
const END_MS_MAX = 2000;
/**
 * One thread collects garbage: it takes less processor time in all than several that wait for each other, and nobody waits for a
 * reload so much as for answers. Large young generations: what a load makes is mostly dropped at its end.
 */
const EXEC_ARGUMENTS = [
  "--single-threaded-gc",
  "--max-semi-space-size=32",
  // Those that compile its functions may have been started before anything was served: one of them takes less of a core than four.
  "--v8-pool-size=1",
  // Sections made anew would have the whole heap, a million names, looked through with every third change.
  "--external-memory-accounted-in-global-limit",
  // With a million names the heap of 100 MB was looked through for each 10 MB more, which are thirty changes: for 10 to 130 ms in turns, and for
  // 70 to 270 at once where the next change came meanwhile.
  "--heap-growing-percent=100",
  // Eight seconds after the last work V8 would look through the heap to give memory back, and forget what it had compiled for kinds of which there
  // is no object just then: the next change, such as a new name of a million, took twice as long (16 ms instead of 8).
  "--no-memory-reducer",
];

export type CompilerQuestion = AskedOfCompiler & {
  /** Answers come first: what takes long is done at the least priority. */
  readonly isYielding: boolean;
  /** Of the thread that asks, and waits for it: what is small is done at the same. */
  readonly nice: number;
};

type AskedOfCompiler =
  | {
      readonly id: number;
      readonly kind: "load";
      readonly request: Omit<LoadRequest, "stored">;
      readonly stored: readonly SentFile[];
    }
  | { readonly id: number; readonly kind: "keep"; readonly kept: KeptRevision }
  | { readonly id: number; readonly kind: "probes"; readonly hosts: ResolvedHosts }
  | {
      readonly id: number;
      readonly kind: "records";
      readonly request: PageRequest;
      readonly nowMs: number;
      readonly stored: readonly SentFile[];
    }
  | {
      readonly id: number;
      readonly kind: "zone";
      readonly origin: string;
      readonly names: readonly Uint8Array[];
      readonly nowMs: number;
      readonly stored: readonly SentFile[];
    }
  | {
      readonly id: number;
      readonly kind: "document";
      readonly key: DocumentKey;
      readonly nowMs: number;
      readonly stored: readonly SentFile[];
    };

/** A file of stored documents on its way to the compiler: without bytes where it has that version. */
export interface SentFile {
  readonly path: string;
  readonly version: string | undefined;
  readonly bytes?: Uint8Array;
}

/** What comes back: a value, or why there is none. */
export type CompilerAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: string };

/** A revision to be kept on disk. */
export interface KeptRevision {
  readonly manifest: Manifest;
  /** Bytes of those sections that were made here, not by the compiler. */
  readonly written: readonly { readonly name: string; readonly content: Uint8Array }[];
  /** Older revisions that edges still serve: they stay on disk. */
  readonly served: readonly number[];
}

/** The two ends are one program: what is answered is what was asked. */
type ReceivedAnswer =
  | { readonly id: number; readonly value: never }
  | { readonly id: number; readonly failure: string };

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (reason: Error) => void;
}

export class CompilerProcess {
  readonly #start: CompilerFolders;
  readonly #idleMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #lastId = 0;
  /** False while the files are refused: the model of the last good ones is then in that process alone. */
  #mayEnd = false;
  #isYielding = false;
  #isClosed = false;
  /** What the process that is there has: versions of stored files by path, and the print that it made last. */
  #sent: ReadonlyMap<string, string | undefined> = new Map();
  #print: Uint8Array | undefined;

  constructor(start: CompilerFolders, idleMs: number = IDLE_MS) {
    this.#start = start;
    this.#idleMs = idleMs;
  }

  /** Process id of the compiler that is there now, if any. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Has the process come up while there is other work; the first question would start it too. */
  start(): void {
    if (!this.#isClosed) this.#running().unref();
  }

  /** From now on answers come first: something is served. Before that, nothing is more urgent than the first load. */
  yieldToAnswers(): void {
    if (this.#isYielding) return;
    this.#isYielding = true;
    if (this.#child !== undefined) lowerPriority(this.#child, this.#waiting.size > 0);
  }

  async load(request: LoadRequest): Promise<LoadOutcome> {
    const { stored, held, ...rest } = request;
    const outcome = await this.#ask<LoadOutcome>((id) => {
      const { print, ...others } = held ?? { print: undefined };
      // It has its own print: a hundred thousand hashes take longer than a small change.
      const own = held && { ...others, id: held.id, changed: held.changed };
      const sent = print !== undefined && print === this.#print ? own : held;
      return { id, kind: "load", request: { ...rest, held: sent }, stored: this.#toSend(stored) };
    });
    if (!request.isTrial) this.#print = outcome.accepted?.parts.print ?? this.#print;
    // Without a folder the zones as they were published are in that process alone.
    this.#mayEnd = outcome.accepted !== undefined && this.#start.snapshotFolder !== undefined;
    this.#rest();
    return outcome;
  }

  /** Resolves when the revision is on disk, whatever happens to the machine; rejects where it cannot be kept. */
  keep(kept: KeptRevision): Promise<void> {
    return this.#ask((id) => ({ id, kind: "keep", kept }));
  }

  /** Puts on disk what is probed where host names have these addresses; false where no process is there that knows the model. */
  async saveProbes(hosts: ResolvedHosts): Promise<boolean> {
    if (this.#child === undefined) return false;
    return this.#ask<boolean>((id) => ({ id, kind: "probes", hosts }));
  }

  /** `stored` is what a process reads beside the files that has not loaded anything. */
  records(
    request: PageRequest,
    nowMs: number,
    stored: readonly InputFile[],
  ): Promise<Page<RecordView>> {
    return this.#ask((id) => ({
      id,
      kind: "records",
      request,
      nowMs,
      stored: this.#toSend(stored),
    }));
  }

  document(
    key: DocumentKey,
    nowMs: number,
    stored: readonly InputFile[],
  ): Promise<FileDocument | undefined> {
    return this.#ask((id) => ({ id, kind: "document", key, nowMs, stored: this.#toSend(stored) }));
  }

  /** What is declared of a zone, as an update of it asks; see `declaredZone()`. */
  zone(
    origin: string,
    names: readonly Uint8Array[],
    nowMs: number,
    stored: readonly InputFile[],
  ): Promise<DeclaredZone | undefined> {
    return this.#ask((id) => ({
      ...{ id, kind: "zone", origin, names, nowMs },
      stored: this.#toSend(stored),
    }));
  }

  /** What is still asked fails, and nothing starts the process again. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    const child = this.#child;
    if (child === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once("exit", () => resolve());
    child.ref();
    raisePriority(child);
    // With nobody at the other end it ends by itself. Whatever it writes is replaced by rename: it may end anywhere.
    if (this.#waiting.size > 0 || !child.connected) child.kill("SIGKILL");
    else child.disconnect();
    const killing = setTimeout(() => child.kill("SIGKILL"), END_MS_MAX);
    await promise;
    clearTimeout(killing);
  }

  #ask<Value>(question: (id: number) => AskedOfCompiler): Promise<Value> {
    if (this.#isClosed) return Promise.reject(diedOf("it was closed"));
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const id = ++this.#lastId;
    this.#waiting.set(id, { resolve, reject });
    clearTimeout(this.#idleTimer);
    // Before the question: what is sent depends on what that process has.
    const child = this.#running();
    child.ref();
    child.channel?.ref();
    child.send({ ...question(id), isYielding: this.#isYielding, nice: getPriority(0) }, (error) => {
      if (error !== null) this.#died(child, error.message);
    });
    return promise;
  }

  /** Files for the process that is there, which keeps those of the last question. */
  #toSend(stored: readonly InputFile[]): SentFile[] {
    const before = this.#sent;
    this.#sent = new Map(stored.map(({ path, version }) => [path, version]));
    return stored.map(({ path, version, bytes }) => {
      const isThere = version !== undefined && before.get(path) === version;
      if (isThere) return { path, version };
      const content = typeof bytes === "function" ? bytes() : bytes;
      assert(typeof content !== "string", "stored documents are in memory");
      return { path, version, bytes: content };
    });
  }

  #running(): ChildProcess {
    if (this.#child !== undefined) return this.#child;
    const child = fork(new URL("./compiler-entry.ts", import.meta.url), [], {
      execArgv: EXEC_ARGUMENTS,
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      env: { ...process.env, MERIDIAN_COMPILER: JSON.stringify(this.#start) },
    });
    this.#sent = new Map();
    this.#print = undefined;
    if (this.#isYielding) lowerPriority(child, true);
    child.channel?.unref();
    child.on("message", (answer: ReceivedAnswer) => this.#answered(child, answer));
    child.on("error", (error) => this.#died(child, error.message));
    child.on("exit", (code, signal) =>
      this.#died(
        child,
        signal === null ? `it ended with ${code ?? 0}` : `it was ended by ${signal}`,
      ),
    );
    this.#child = child;
    return child;
  }

  #answered(child: ChildProcess, answer: ReceivedAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("failure" in answer) waiting?.reject(new Error(answer.failure));
    else waiting?.resolve(answer.value);
    if (this.#waiting.size > 0) return;
    child.unref();
    child.channel?.unref();
    this.#rest();
  }

  /** Ends the process where nothing is asked of it for a while. */
  #rest(): void {
    clearTimeout(this.#idleTimer);
    if (!this.#mayEnd || this.#waiting.size > 0 || this.#isClosed) return;
    this.#idleTimer = setTimeout(() => {
      const child = this.#child;
      this.#child = undefined;
      if (child?.connected !== true) return;
      raisePriority(child);
      // It ends when nobody is at the other end.
      child.disconnect();
    }, this.#idleMs);
    this.#idleTimer.unref();
  }

  #died(child: ChildProcess, cause: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(diedOf(cause));
  }
}

/**
 * Where answers need the core, they come first: a compiler that shares one core with an edge at 70 % of its load made queries overflow
 * their queue at each reload, as did the threads that collect its garbage. Threads inherit the priority of the one that starts them, and
 * a process that is lowered when it is made has not started any yet; its first one raises its own for small changes. They are looked for in
 * /proc only when it ends (see `raisePriority()`): a list of them there stays in the kernel's cache until they are gone.
 */
function lowerPriority({ pid }: ChildProcess, isAtWork: boolean): void {
  if (pid === undefined) return;
  try {
    if (isAtWork || process.platform !== "linux") setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // A sandbox may forbid it, or the process be gone: slower answers during a reload are no reason not to serve.
  }
}

/**
 * Gives all threads of a process that is about to end the usual priority. What they hold in the kernel as they end is waited for by whoever
 * waits for the process: where others want the core, threads of the least priority made that wait some 20 s, in which it turned without end
 * and could not be killed (Linux 6.18: a thread preempted in `__dentry_kill` of its entry in /proc, and `shrink_dcache_parent` of who reaps).
 */
function raisePriority({ pid }: ChildProcess): void {
  if (process.platform !== "linux") return;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) raise(Number(thread));
  } catch {
    // It has ended.
  }
}

function raise(thread: number): void {
  try {
    setPriority(thread, constants.priority.PRIORITY_NORMAL);
  } catch {
    // It has ended; or this process may not raise it, and waits for as long as it takes.
  }
}

function diedOf(cause: string): MeridianError {
  return new MeridianError(
    "COMPILER_DIED",
    "system",
    `Cannot compile: the compiler's process is gone: ${cause}`,
  );
}
