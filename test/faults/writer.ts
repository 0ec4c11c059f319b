// SPDX-License-Identifier: Apache-2.0

// Clients that read and write the counter, each through one control after the other: over a state that they have seen or over any, patient or not. What
// they did and saw is kept twice: as writes, for what edges answer of them, and as a history for the checkers of consistency.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pcg32 } from "@meridian/core";
import type { History } from "../consistency/operation.ts";
import { HistoryList, Recorder, type CallInProgress } from "../consistency/recorder.ts";
import {
  askControl,
  counterDocument,
  valueOf,
  type ControlAnswer,
  type Member,
} from "./cluster.ts";
import type { Write } from "./judgement.ts";

const CLIENTS = 2;
const PAUSE_MS = 150;
const PATIENCE_MS = 3000;
/** An apply takes longer where a disk is slow or a leader is being found, so that its outcome stays open. */
const IMPATIENCE_MS = 60;
const KEY = "counter";
const PATH = "/v1/documents/Pool/default/counter";

/** The counter as a client has seen it last. */
interface Seen {
  readonly value: string;
  readonly version: string;
}

export class Writer {
  readonly writes: Write[] = [];
  readonly #history = new HistoryList();
  readonly #recorder = new Recorder(() => performance.now(), this.#history);
  readonly #controls: readonly Member[];
  readonly #random: Pcg32;
  readonly #stop = new AbortController();
  readonly #clients: Promise<unknown>;
  #lastValue = 0;

  /** `firstRevision` is that of the counter's value 0. */
  constructor(controls: readonly Member[], firstRevision: number, random: Pcg32) {
    this.#controls = controls;
    this.#random = random;
    const first = { kind: "write", cell: "", values: [[KEY, "0"]], expected: [] } as const;
    const call = this.#recorder.begin(this.#recorder.newProcess());
    this.#recorder.end(call, { ...first, outcome: "ok", revision: firstRevision });
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, () => this.#client()));
  }

  /** What clients did and saw, as far as it has ended. */
  get history(): History {
    return this.#history.operations;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#clients;
    this.#recorder.close();
  }

  async #client(): Promise<void> {
    let session = new Session(this.#recorder);
    while (!this.#stop.signal.aborted) {
      const chance = this.#random.next32() % 100;
      if (chance < 30) await session.read(this.#control(), "strong");
      else if (chance < 50) await session.read(this.#control(), "session");
      // A write without an answer may yet come, so its client goes on as another.
      else if (!(await this.#write(session, chance < 80))) session = new Session(this.#recorder);
      await sleep(this.#random.next32() % PAUSE_MS);
    }
  }

  /** False where nobody knows what became of it. */
  async #write(session: Session, isConditional: boolean): Promise<boolean> {
    const seen = isConditional ? await session.read(this.#control(), "strong") : undefined;
    if (isConditional && seen === undefined) return true;
    const value = ++this.#lastValue;
    const startMs = performance.now();
    const end = (outcome: Write["outcome"], revision?: number): void => {
      this.writes.push({ value, startMs, endMs: performance.now(), outcome, revision });
    };
    const isPatient = this.#random.next32() % 4 > 0;
    const write = session.write(String(value), seen);
    let answer = await this.#send({ value, seen, id: write.id, isPatient });
    const isAgain = answer.status !== 200 && !isConditional && this.#random.next32() % 2 === 0;
    if (isAgain) answer = await this.#send({ value, seen, id: write.id, isPatient: true });
    const isConflict = /"code":"DOCUMENT_CONFLICT"/.test(answer.body);
    if (answer.status === 200) {
      const { revision }: { readonly revision: number } = JSON.parse(answer.body);
      end("acknowledged", revision);
      write.done(revision, answer.seen);
      return true;
    }
    end(isConflict ? "refused" : "unknown");
    if (isConflict) write.refused();
    else write.unknown();
    return isConflict;
  }

  async #send({ value, seen, id, isPatient }: Sent): Promise<ControlAnswer> {
    return askControl(this.#control(), {
      method: "POST",
      // A revision that goes to a few edges first may be taken back by control, which is a write that no client knows of.
      // History tells the reason of a change, and so which value has which revision.
      path: `/v1/apply?publish=immediate&reason=${value}`,
      body: counterDocument(value, seen?.version),
      headers: { "idempotency-key": id },
      timeoutMs: isPatient ? PATIENCE_MS : IMPATIENCE_MS,
    });
  }

  #control(): Member {
    return this.#controls[this.#random.next32() % this.#controls.length]!;
  }
}

interface Sent {
  readonly value: number;
  readonly seen: Seen | undefined;
  readonly id: string;
  readonly isPatient: boolean;
}

/** What one process of a history does, and the token of what it has seen. */
class Session {
  readonly #recorder: Recorder;
  readonly #process: number;
  #token: string | undefined;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
    this.#process = recorder.newProcess();
  }

  /** The counter; undefined where that control does not say. */
  async read(control: Member, level: "strong" | "session"): Promise<Seen | undefined> {
    const call = this.#recorder.begin(this.#process);
    const { status, body, seen } = await askControl(control, {
      method: "GET",
      path: `${PATH}?consistency=${level}`,
      ...(this.#token === undefined ? {} : { headers: { "meridian-seen": this.#token } }),
      timeoutMs: PATIENCE_MS,
    });
    if (status !== 200) {
      this.#recorder.end(call, undefined);
      return undefined;
    }
    const stored: StoredCounter = JSON.parse(body);
    const { resourceVersion: version } = stored.metadata;
    const value = String(valueOf([stored.spec.members.one.address]));
    const what = { kind: "read", cell: "", level, values: [[KEY, value]] } as const;
    this.#recorder.end(call, { ...what, versions: [Number(version)] });
    this.#token = seen ?? this.#token;
    return { value, version };
  }

  write(value: string, seen: Seen | undefined): SessionWrite {
    const expected = seen === undefined ? [] : ([[KEY, seen.value]] as const);
    const what = { kind: "write", cell: "", values: [[KEY, value]], expected } as const;
    const call: CallInProgress = this.#recorder.begin(this.#process, what);
    return {
      id: randomUUID(),
      done: (revision, token) => {
        this.#recorder.end(call, { ...what, outcome: "ok", revision });
        this.#token = token ?? this.#token;
      },
      refused: () => this.#recorder.end(call, { ...what, outcome: "refused" }),
      unknown: () => this.#recorder.end(call, { ...what, outcome: "unknown" }),
    };
  }
}

interface SessionWrite {
  readonly id: string;
  done(revision: number, token: string | undefined): void;
  refused(): void;
  unknown(): void;
}

interface StoredCounter {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: { readonly members: { readonly one: { readonly address: string } } };
}

/** What the store says was committed: the counter's changes, oldest first. */
export async function commitsOf(control: Member): Promise<{ revision: number; value: number }[]> {
  const commits: { revision: number; value: number }[] = [];
  let to: number | undefined;
  for (;;) {
    const page = to === undefined ? "" : `&to=${to}`;
    const path = `/v1/history?document=Pool/default/counter&limit=${HISTORY_PAGE}${page}`;
    const { status, body } = await askControl(control, { method: "GET", path });
    if (status !== 200) throw new Error(`Cannot read the history: ${status} ${body}`);
    const { items }: HistoryPage = JSON.parse(body);
    // The first documents have no reason, and their counter is 0.
    commits.push(
      ...items.map(({ revision, reason = "0" }) => ({ revision, value: Number(reason) })),
    );
    const oldest = items.at(-1)?.revision ?? 0;
    if (items.length === 0 || oldest <= 1) return commits.toReversed();
    to = oldest - 1;
  }
}

const HISTORY_PAGE = 1000;

interface HistoryPage {
  readonly items: readonly { readonly revision: number; readonly reason?: string }[];
}
