// SPDX-License-Identifier: Apache-2.0

// Random commands, run against the replicas of a store and against the twin, with watches that go on beside them.

import assert from "node:assert/strict";
import fc from "fast-check";
import { MeridianError } from "@meridian/core";
import type { ChangeSet, ChangeSetRequest, DocumentKey, Store } from "../store.ts";
import { StoreModel, type Refusal } from "./store-model.ts";

type Guess = "none" | "right" | "wrong";

export type Command =
  | {
      readonly kind: "commit";
      readonly replica: 0 | 1;
      readonly writes: readonly {
        readonly key: number;
        readonly text: string | undefined;
        readonly guess: Guess;
      }[];
      readonly head: Guess;
      /** Repeats the id of an earlier request, counted from the newest. */
      readonly repeats: number | undefined;
    }
  | { readonly kind: "get"; readonly replica: 0 | 1; readonly key: number; readonly back: number }
  | {
      readonly kind: "list";
      readonly replica: 0 | 1;
      readonly filter: number;
      readonly back: number;
      readonly limit: number;
    }
  | { readonly kind: "history"; readonly replica: 0 | 1; readonly key: number }
  | { readonly kind: "watch"; readonly replica: 0 | 1; readonly back: number }
  | { readonly kind: "compact"; readonly replica: 0 | 1; readonly back: number };

const keys: readonly DocumentKey[] = [
  { kind: "Pool", namespace: "default", name: "a" },
  { kind: "Pool", namespace: "default", name: "a-b" },
  { kind: "Pool", namespace: "other", name: "a" },
  { kind: "Site", namespace: "", name: "eu" },
  { kind: "Record", namespace: "default", name: "*.example.org" },
];

const replica = fc.constantFrom<0 | 1>(0, 1);
const key = fc.nat(keys.length - 1);
const back = fc.integer({ min: -1, max: 12 });
const guess = fc.constantFrom<Guess>("none", "none", "none", "right", "right", "wrong");

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("commit"),
      replica,
      writes: fc.uniqueArray(
        fc.record({
          key,
          text: fc.option(fc.string({ unit: "binary", maxLength: 6 }), { nil: undefined }),
          guess,
        }),
        { maxLength: 4, selector: (write) => write.key },
      ),
      head: guess,
      repeats: fc.option(fc.nat(3), { nil: undefined, freq: 8 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("get"), replica, key, back }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("list"),
      replica,
      filter: fc.nat(3),
      back,
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("history"), replica, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("watch"), replica, back }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact"), replica, back }) },
);

export const commands: fc.Arbitrary<Command[]> = fc.array(command, { minLength: 5, maxLength: 40 });

interface Watcher {
  readonly from: number;
  readonly seen: ChangeSet[];
  readonly ended: Promise<string | undefined>;
  /** Where the store may refuse: history was compacted while the watcher still needed it. */
  mayBeCompacted: boolean;
}

export class Interleaving {
  readonly #replicas: readonly [Store, Store];
  readonly #model = new StoreModel();
  readonly #requests: ChangeSetRequest[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #stop = new AbortController();

  constructor(replicas: readonly [Store, Store]) {
    this.#replicas = replicas;
  }

  async run(steps: readonly Command[]): Promise<void> {
    try {
      for (const step of steps) await this.#step(step);
      await this.#checkWatchers();
      for (const store of this.#replicas) assert.deepEqual(await store.verify(), []);
    } finally {
      this.#stop.abort();
      await Promise.all(this.#watchers.map(({ ended }) => ended));
    }
  }

  async #step(step: Command): Promise<void> {
    const store = this.#replicas[step.replica];
    const model = this.#model;
    switch (step.kind) {
      case "commit": {
        const request = this.#requestOf(step);
        const found = await outcome(store.commit(request));
        assert.deepEqual(found, model.commit(request, "refused" in found ? undefined : found));
        return;
      }
      case "get": {
        const wanted = keys[step.key] ?? assert.fail();
        const revision = this.#revision(step.back);
        const found = await outcome(store.get(wanted, { revision }));
        assert.deepEqual(found, model.get(wanted, revision));
        return;
      }
      case "list":
        await this.#list(store, step);
        return;
      case "history": {
        const wanted = keys[step.key] ?? assert.fail();
        assert.deepEqual(await store.history({ key: wanted }), model.history(wanted));
        return;
      }
      case "watch":
        this.#watch(store, Math.min(this.#revision(step.back), model.revision));
        return;
      case "compact": {
        const revision = this.#revision(step.back);
        const found = await outcome(store.compact(revision));
        assert.deepEqual(found, model.compact(revision));
        for (const watcher of this.#watchers)
          if (watcher.from + watcher.seen.length + 1 < model.oldest) watcher.mayBeCompacted = true;
      }
    }
  }

  #requestOf(step: Command & { kind: "commit" }): ChangeSetRequest {
    const { revision } = this.#model;
    const repeated = step.repeats === undefined ? undefined : this.#requests.at(-1 - step.repeats);
    if (repeated !== undefined && !this.#model.hasForgotten(repeated.id)) return repeated;
    const request: ChangeSetRequest = {
      id: `id-${this.#requests.length}`,
      cause: `cause ${this.#requests.length}`,
      ifHead: guessed(step.head, revision),
      writes: step.writes.map((write) => {
        const wanted = keys[write.key] ?? assert.fail();
        const found = this.#model.get(wanted, revision);
        const present = found !== undefined && "revision" in found ? found.revision : 0;
        return { key: wanted, text: write.text, ifRevision: guessed(write.guess, present) };
      }),
    };
    this.#requests.push(request);
    return request;
  }

  /** Page by page, with a commit between the pages. */
  async #list(store: Store, step: Command & { kind: "list" }): Promise<void> {
    const filter = [
      {},
      { kind: "Pool" },
      { namespace: "default" },
      { kind: "Pool", namespace: "other" },
    ][step.filter];
    const revision = this.#revision(step.back);
    const wanted = this.#model.list(filter ?? {}, revision);
    const documents = [];
    let more: string | undefined;
    do {
      const page = await outcome(
        store.list({ ...filter, revision, limit: step.limit, continue: more }),
      );
      if ("refused" in page) {
        assert.deepEqual(page, wanted);
        return;
      }
      assert.equal(page.revision, revision);
      documents.push(...page.documents);
      more = page.continue;
      await this.#step({
        kind: "commit",
        replica: step.replica,
        writes: [{ key: 1, text: `between ${documents.length}`, guess: "none" }],
        head: "none",
        repeats: undefined,
      });
    } while (more !== undefined);
    assert.deepEqual(documents, wanted);
  }

  #watch(store: Store, from: number): void {
    const seen: ChangeSet[] = [];
    const run = async (): Promise<undefined> => {
      for await (const changeSet of store.watch(from, this.#stop.signal)) seen.push(changeSet);
      return undefined;
    };
    const ended = run().catch((error: unknown) => codeOf(error));
    const mayBeCompacted = this.#model.changesAfter(from) === undefined;
    this.#watchers.push({ from, seen, ended, mayBeCompacted });
  }

  async #checkWatchers(): Promise<void> {
    const stillRunning = Symbol("still running");
    for (const watcher of this.#watchers) {
      const wanted = this.#model.changeSets.slice(watcher.from);
      let end: unknown = stillRunning;
      void watcher.ended.then((code) => (end = code));
      while (end === stillRunning && watcher.seen.length < wanted.length)
        await new Promise((done) => setTimeout(done, 2));
      const isCompacted = end === "STORE_COMPACTED";
      assert.ok(!isCompacted || watcher.mayBeCompacted, "a watch lost history that it needed not");
      if (!isCompacted) assert.equal(end, stillRunning);
      assert.deepEqual(watcher.seen, isCompacted ? wanted.slice(0, watcher.seen.length) : wanted);
    }
  }

  #revision(back: number): number {
    return Math.max(0, this.#model.revision - back);
  }
}

function guessed(guess: Guess, right: number): number | undefined {
  if (guess === "none") return undefined;
  return guess === "right" ? right : right + 1;
}

async function outcome<Value>(promise: Promise<Value>): Promise<Value | Refusal> {
  try {
    return await promise;
  } catch (error) {
    return { refused: codeOf(error) };
  }
}

function codeOf(error: unknown): string {
  if (error instanceof MeridianError) return error.code;
  throw error;
}
