// SPDX-License-Identifier: Apache-2.0

// A process with a store in it, which answers its parent's questions until it is killed (store-processes.ts).

import { MeridianError } from "@meridian/core";
import { openStore, parseStoreLocation, type Store } from "@meridian/control";
import type { StoreAnswer, StoreQuestion } from "./store-processes.ts";

const LEASE_MS = 1000;
/** How long a lease is waited for, which is hardly more than asked, and then held. */
const LEASE_WAIT_MS = 30;
const LEASE_HELD_MS = 500;

const store = await openStore(parseStoreLocation(process.argv[2] ?? ""), () => undefined);
const say = (answer: StoreAnswer): unknown => process.send?.(answer);

process.on("message", (question: StoreQuestion) => void answer(question));
process.on("disconnect", () => process.exit());
say({ kind: "opened" });

async function answer(question: StoreQuestion): Promise<void> {
  const { id } = question;
  try {
    say({ kind: "value", id, value: await valueOf(store, question) });
  } catch (error) {
    const code = error instanceof MeridianError ? error.code : "";
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say({ kind: "failure", id, code, message });
  }
}

async function valueOf(store: Store, question: StoreQuestion): Promise<unknown> {
  switch (question.method) {
    case "head":
      return (await store.head()).revision;
    case "get":
      return store.get(question.key);
    case "list":
      return store.list(question.query);
    case "commit":
      return store.commit(question.request);
    case "acquire":
      return acquire(question.lease, question.holder);
    case "sessionGet": {
      const { revision } = await store.head({ stale: true });
      if (revision < question.revision) return undefined;
      return { revision, document: await store.get(question.key, { stale: true, revision }) };
    }
    case "watch":
      for await (const changeSet of store.watch(question.from, new AbortController().signal))
        say({ kind: "change", id: question.id, changeSet });
      return undefined;
  }
}

async function acquire(name: string, holder: string): Promise<unknown> {
  const signal = AbortSignal.timeout(LEASE_WAIT_MS);
  try {
    const lease = await store.acquireLease(name, holder, LEASE_MS, signal);
    setTimeout(() => void lease.release().catch(() => undefined), LEASE_HELD_MS);
    return { name, term: lease.term };
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}
