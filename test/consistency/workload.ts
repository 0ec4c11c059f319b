// SPDX-License-Identifier: Apache-2.0

// What clients do to a store, with every call and answer recorded: single and listed reads, change sets of one or more documents with and without
// preconditions, repeats of requests without an answer, reads of a session from any replica, and writes under a lease that others take, too.

import { MeridianError, type Random } from "@meridian/core";
import type {
  ChangeSetRequest,
  DocumentKey,
  DocumentPage,
  Head,
  ListQuery,
  StoredChangeSet,
  StoredDocument,
} from "@meridian/control";
import type { LeaseTerm, Token, Value, Values, Write } from "./operation.ts";
import type { Recorder } from "./recorder.ts";

/** What a replica shows without asking the others, and as of which revision. */
export interface SessionAnswer {
  readonly document: StoredDocument | undefined;
  readonly revision: number;
}

/** A client's way to a store. Rejects as Store does; STORE_UNAVAILABLE where no answer comes. */
export interface StorePort {
  /** Revision of head; a strong read. */
  head(): Promise<number>;
  get(key: DocumentKey): Promise<StoredDocument | undefined>;
  list(query: ListQuery): Promise<DocumentPage>;
  commit(request: ChangeSetRequest): Promise<Head>;
  watch(fromRevision: number, signal: AbortSignal): AsyncIterable<StoredChangeSet>;
  /** undefined where another has it. */
  acquire(lease: string, holder: string): Promise<LeaseTerm | undefined>;
  /** From some replica that has seen `revision`; undefined where the one that was asked has not. */
  sessionGet(key: DocumentKey, revision: number): Promise<SessionAnswer | undefined>;
}

export interface WorkloadOptions {
  readonly port: StorePort;
  readonly random: Random;
  readonly recorder: Recorder;
  /** Waits `ms` of the run's own time. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Unique in the run: part of the texts that are written. */
  readonly name: string;
  /** Revision at which the run began. */
  readonly from: number;
}

export interface WatchOptions extends WorkloadOptions {
  /** Told of each change set's revision. */
  readonly onRevision?: (revision: number) => void;
}

const KIND = "Pool";
const NAMES: readonly string[] = ["a", "b", "c", "d"];
const LEASE = "leader";
/** A page of a list: several pages make a list. */
const PAGE_DOCUMENTS = 2;
const ATTEMPTS_MAX = 4;
const ATTEMPT_PAUSE_MS = 20;

const keyOf = (name: string): DocumentKey => ({ kind: KIND, namespace: "default", name });
const cell = "";

export class Client {
  readonly #options: WorkloadOptions;
  #process: number;
  #written = 0;
  #token = 0;
  #lease: LeaseTerm | undefined;
  /** Documents as they were last seen: what preconditions are about. */
  readonly #seen = new Map<string, { readonly value: Value; readonly revision: number }>();

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#process = options.recorder.newProcess();
  }

  /** Does `count` things, with a pause of up to `pauseMs` before each. */
  async run(count: number, pauseMs: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      await this.#options.sleep(this.#below(pauseMs));
      await this.#act();
    }
  }

  #act(): Promise<void> {
    const choice = this.#below(20);
    if (choice < 5) return this.get(this.#name());
    if (choice < 8) return this.#sessionGet(this.#name());
    if (choice < 10) return this.list();
    if (choice < 12) return this.#underLease();
    return this.#write(choice < 15, undefined);
  }

  /** A strong read of one document. */
  async get(name: string): Promise<void> {
    const { recorder, port } = this.#options;
    const call = recorder.begin(this.#process);
    const document = await answerOf(port.get(keyOf(name)));
    // That there is no document says nothing of a revision: head, asked afterwards, is one that includes what was seen.
    const head = document === undefined ? await answerOf(port.head()) : 0;
    if (document === "none" || head === "none") return recorder.end(call, undefined);
    this.#token = Math.max(this.#token, head);
    this.#see(name, document);
    recorder.end(call, { kind: "read", cell, level: "strong", ...shown([[name, document]]) });
  }

  /** A strong read of all documents, page by page. */
  async list(): Promise<void> {
    const { recorder, port } = this.#options;
    const call = recorder.begin(this.#process);
    const found = new Map<string, StoredDocument>();
    let more: string | undefined;
    do {
      const page = await answerOf(port.list({ kind: KIND, limit: PAGE_DOCUMENTS, continue: more }));
      if (page === "none") return recorder.end(call, undefined);
      this.#token = Math.max(this.#token, page.revision);
      for (const document of page.documents) found.set(document.key.name, document);
      more = page.continue;
    } while (more !== undefined);
    const all = NAMES.map((name) => [name, found.get(name)] as const);
    for (const [name, document] of all) this.#see(name, document);
    recorder.end(call, { kind: "read", cell, level: "strong", ...shown(all) });
  }

  /** From whichever replica has what this session has seen; else from the store itself. */
  async #sessionGet(name: string): Promise<void> {
    const { recorder, port } = this.#options;
    const call = recorder.begin(this.#process);
    const token: Token = { [cell]: this.#token };
    const answer = await answerOf(port.sessionGet(keyOf(name), this.#token));
    if (answer === "none" || answer === undefined) {
      recorder.end(call, undefined);
      return this.get(name);
    }
    this.#token = Math.max(this.#token, answer.revision);
    const values = shown([[name, answer.document]]);
    return recorder.end(call, { kind: "read", cell, level: "session", token, ...values });
  }

  async #underLease(): Promise<void> {
    const { recorder, port, name } = this.#options;
    if (this.#lease === undefined) {
      const call = recorder.begin(this.#process);
      const lease = await answerOf(port.acquire(LEASE, name));
      const isGiven = lease !== "none" && lease !== undefined;
      recorder.end(call, isGiven ? { kind: "acquire", cell, ...lease } : undefined);
      if (!isGiven) return;
      this.#lease = lease;
    }
    await this.#write(false, this.#lease);
  }

  async #write(isConditional: boolean, lease: LeaseTerm | undefined): Promise<void> {
    const first = this.#name();
    const names = this.#below(3) === 0 ? [...new Set([first, this.#name()])] : [first];
    const values: Values = names.map((name) => [name, this.#nextValue()]);
    const known = isConditional ? this.#seen.get(first) : undefined;
    const id = `${this.#options.name}-${this.#written}`;
    await this.#commit(values, known === undefined ? [] : [[first, known.value]], {
      id,
      cause: "{}",
      lease,
      writes: values.map(([name, value]) => ({
        key: keyOf(name),
        text: value ?? undefined,
        ifRevision: name === first ? known?.revision : undefined,
      })),
    });
  }

  async #commit(values: Values, expected: Values, request: ChangeSetRequest): Promise<void> {
    const { recorder, port, sleep } = this.#options;
    const { lease } = request;
    const write: Omit<Write, "process" | "invoked" | "completed" | "outcome"> = {
      ...{ kind: "write", cell, values, expected, id: request.id },
      ...(lease === undefined ? {} : { lease }),
    };
    const call = recorder.begin(this.#process, write);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      try {
        const { revision } = await port.commit(request);
        this.#token = Math.max(this.#token, revision);
        for (const [name, value] of values)
          this.#seen.set(name, { value, revision: value === null ? 0 : revision });
        return recorder.end(call, { ...write, outcome: "ok", revision });
      } catch (error) {
        switch (codeOf(error)) {
          case "STORE_FENCED":
            this.#lease = undefined;
            return recorder.end(call, undefined);
          case "STORE_CONFLICT": {
            for (const [name] of values) this.#seen.delete(name);
            // What was absent may be so again, when an earlier copy of the request arrives.
            const isFinal = expected.every(([, value]) => value !== null);
            if (!isFinal) this.#process = recorder.newProcess();
            return recorder.end(call, { ...write, outcome: isFinal ? "refused" : "unknown" });
          }
          case "STORE_UNAVAILABLE":
            await sleep(this.#below(ATTEMPT_PAUSE_MS));
            continue;
          default:
            throw error;
        }
      }
    }
    recorder.end(call, { ...write, outcome: "unknown" });
    this.#process = recorder.newProcess();
    for (const [name] of values) this.#seen.delete(name);
  }

  #see(name: string, document: StoredDocument | undefined): void {
    const revision = document?.revision ?? 0;
    this.#token = Math.max(this.#token, revision);
    this.#seen.set(name, { value: document?.text ?? null, revision });
  }

  #nextValue(): Value {
    this.#written++;
    return this.#below(8) === 0 ? null : `${this.#options.name}.${this.#written}`;
  }

  #name(): string {
    return NAMES[this.#below(NAMES.length)] ?? "a";
  }

  #below(limit: number): number {
    return Math.floor((this.#options.random.next32() / 2 ** 32) * limit);
  }
}

/** Records a watch until `signal` aborts. Where it breaks off it goes on after the last change set. */
export async function recordWatch(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const { recorder, port, sleep, from } = options;
  const process = recorder.newProcess();
  let last = from;
  while (!signal.aborted) {
    try {
      for await (const { revision, writes, changeSetId: id } of port.watch(last, signal)) {
        const values = writes.map(({ key, text }) => [key.name, text ?? null] as const);
        const change = { kind: "change", cell, revision, id, values, from } as const;
        recorder.end(recorder.begin(process), change);
        last = revision;
        options.onRevision?.(revision);
      }
    } catch (error) {
      // A revision that was told and is not there is for the checkers to judge.
      if (!["STORE_UNAVAILABLE", "STORE_REVISION_UNKNOWN"].includes(codeOf(error))) throw error;
      await sleep(ATTEMPT_PAUSE_MS);
    }
  }
}

function shown(all: readonly (readonly [string, StoredDocument | undefined])[]): {
  values: Values;
  versions: readonly (number | null)[];
} {
  return {
    values: all.map(([name, document]) => [name, document?.text ?? null]),
    versions: all.map(([, document]) => document?.revision ?? null),
  };
}

async function answerOf<Answer>(asked: Promise<Answer>): Promise<Answer | "none"> {
  try {
    return await asked;
  } catch (error) {
    if (codeOf(error) === "STORE_UNAVAILABLE") return "none";
    throw error;
  }
}

function codeOf(error: unknown): string {
  if (error instanceof MeridianError) return error.code;
  throw error;
}
