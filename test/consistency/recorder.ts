// SPDX-License-Identifier: Apache-2.0

// Histories on disk: JSON lines, one an operation, in the order in which they ended. In memory are only the operations that have not ended (as many as
// there are clients) and a buffer of lines, so a run may last for hours and be checked later. The first line says what the run was.

import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Acquire, Change, History, Operation, Read, Value, Write } from "./operation.ts";

const BUFFER_CHARACTERS = 64 * 1024;
/** As JSON has no infinity: the completion of a write without an answer. */
const NO_ANSWER = -1;

type Told<Kind extends Operation> = Kind extends Operation
  ? Omit<Kind, "process" | "invoked" | "completed">
  : never;
/** How an operation ended. Undefined: it certainly had no effect, or was a read without an answer. */
export type Ending = Told<Read> | Told<Write> | Told<Acquire> | Told<Change> | undefined;

/** The clock of a history: only the order of its readings counts. */
export type HistoryClock = () => number;

export interface CallInProgress {
  /** The write that it is, for when no answer ever comes; undefined for what changes nothing. */
  readonly write: Omit<Told<Write>, "outcome"> | undefined;
  readonly process: number;
  readonly invoked: number;
}

export interface HistorySink {
  take(operation: Operation): void;
  close(): void;
}

/** Turns calls and endings into operations. */
export class Recorder {
  readonly #clock: HistoryClock;
  readonly #sink: HistorySink;
  readonly #open = new Set<CallInProgress>();
  #lastProcess = 0;

  constructor(clock: HistoryClock, sink: HistorySink) {
    this.#clock = clock;
    this.#sink = sink;
  }

  newProcess(): number {
    return ++this.#lastProcess;
  }

  begin(process: number, write?: CallInProgress["write"]): CallInProgress {
    const call = { process, write, invoked: this.#clock() };
    this.#open.add(call);
    return call;
  }

  end(call: CallInProgress, ending: Ending): void {
    this.#open.delete(call);
    if (ending === undefined) return;
    const { process, invoked } = call;
    const isUnknown = ending.kind === "write" && ending.outcome === "unknown";
    const completed = isUnknown ? Infinity : this.#clock();
    this.#sink.take({ ...ending, process, invoked, completed });
  }

  /** What has not ended by now never has an answer. */
  close(): void {
    for (const { process, invoked, write } of this.#open)
      if (write !== undefined)
        this.#sink.take({ ...write, outcome: "unknown", process, invoked, completed: Infinity });
    this.#open.clear();
    this.#sink.close();
  }
}

/** Keeps a history in memory. */
export class HistoryList implements HistorySink {
  readonly operations: Operation[] = [];

  take(operation: Operation): void {
    this.operations.push(operation);
  }

  close(): void {}
}

/** Writes a history to a file. */
export class HistoryFile implements HistorySink {
  readonly #file: number;
  #buffer = "";
  count = 0;

  constructor(path: string, about: string) {
    this.#file = openSync(path, "w");
    this.#buffer = `${JSON.stringify({ history: 1, about })}\n`;
  }

  take(operation: Operation): void {
    this.count++;
    this.#buffer += `${JSON.stringify(operation, (_name, value: unknown) => (value === Infinity ? NO_ANSWER : value))}\n`;
    if (this.#buffer.length >= BUFFER_CHARACTERS) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #flush(): void {
    writeSync(this.#file, this.#buffer);
    this.#buffer = "";
  }
}

/** Reads what a HistoryFile wrote. Texts that occur again are one string in memory. */
export async function readHistory(path: string): Promise<History> {
  const operations: Operation[] = [];
  const known = new Map<string, string>();
  const one = (text: Value): Value => {
    if (text === null) return null;
    const found = known.get(text);
    if (found === undefined) known.set(text, text);
    return found ?? text;
  };
  let isFirst = true;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const raw: unknown = JSON.parse(line, (_name, value: unknown) =>
      typeof value === "string" ? one(value) : value,
    );
    if (isFirst) assertHeader(raw, path);
    else operations.push(operationOf(raw, path));
    isFirst = false;
  }
  return operations;
}

function assertHeader(raw: unknown, path: string): void {
  if (typeof raw !== "object" || raw === null || !("history" in raw) || raw.history !== 1)
    throw new Error(`Cannot read "${path}": its first line is no history header of version 1`);
}

function operationOf(raw: unknown, path: string): Operation {
  if (typeof raw !== "object" || raw === null || !("kind" in raw) || !("completed" in raw))
    throw new Error(`Cannot read "${path}": ${JSON.stringify(raw)} is no operation`);
  const operation = raw as Operation;
  return operation.completed === NO_ANSWER ? { ...operation, completed: Infinity } : operation;
}
