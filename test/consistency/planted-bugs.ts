// SPDX-License-Identifier: Apache-2.0

// Bugs that a replicated store is known for, put around the real one. The checkers have to find each; the names are those of the models that may.

import { MeridianError } from "@meridian/core";
import type { ChangeSetRequest, ListQuery } from "@meridian/control";
import type { StoreBackend } from "../../packages/control/src/testing/store-parts.ts";
import type { Plant } from "./simulation.ts";

export interface PlantedBug {
  readonly name: string;
  /** Models one of which has to break. */
  readonly models: readonly string[];
  readonly plant: Plant;
}

type Methods = Partial<StoreBackend>;

/** The real store with some methods in place of its own. */
function instead(methods: (backend: StoreBackend, oneIn: OneIn) => Methods): Plant {
  return {
    backend: (backend, random) => {
      const own = methods(backend, (count) => random.next32() % count === 0);
      return new Proxy(backend, {
        get(target, name: keyof StoreBackend): unknown {
          const method: unknown = own[name] ?? target[name];
          return typeof method === "function" ? method.bind(target) : method;
        },
      });
    },
  };
}

type OneIn = (count: number) => boolean;

const staleRead = instead((backend, oneIn) => ({
  async get(key, options) {
    const { revision } = await backend.head({});
    return backend.get(
      key,
      oneIn(10) ? { ...options, revision: Math.max(0, revision - 3) } : options,
    );
  },
}));

const lostCommit = instead((backend, oneIn) => ({
  async commit(request) {
    if (!oneIn(10)) return backend.commit(request);
    const head = await backend.head({});
    return { ...head, revision: head.revision + 1, changeSetId: request.id };
  },
}));

/** Knows a request again only as long as nothing else was committed. */
const repeatTakenTwice = instead((backend) => ({
  async commit(request) {
    const { revision } = await backend.head({});
    return backend.commit({ ...request, id: `${request.id}-${revision}` });
  },
}));

const forgottenLease = instead((backend) => ({
  commit: ({ lease: _lease, ...request }) => backend.commit(request),
}));

const termGivenTwice = instead((backend) => {
  let last: { term: number; name: string; ttlMs: number } | undefined;
  return {
    async tryAcquireLease(name, holder, ttlMs) {
      last = (await backend.tryAcquireLease(name, holder, ttlMs)) ?? last;
      return last;
    },
  };
});

const watchSkips = instead((backend, oneIn) => ({
  async changesAfter(from, waitId) {
    const { epoch, changeSets } = await backend.changesAfter(from, waitId);
    return { epoch, changeSets: oneIn(5) ? changeSets.slice(1) : changeSets };
  },
}));

const watchRepeats = instead((backend, oneIn) => ({
  changesAfter: (from, waitId) =>
    backend.changesAfter(oneIn(10) ? Math.max(0, from - 1) : from, waitId),
}));

/** Goes on with a list at head, where the page before was of an older revision. */
const pageOfAnotherRevision = instead((backend) => {
  const lastNames = new Map<string, string>();
  return {
    async list(query: ListQuery) {
      const { continue: from, limit: _limit, ...rest } = query;
      const last = from === undefined ? undefined : lastNames.get(from);
      if (last === undefined) {
        const page = await backend.list(query);
        const name = page.documents.at(-1)?.key.name;
        if (page.continue !== undefined && name !== undefined) lastNames.set(page.continue, name);
        return page;
      }
      const { documents, revision } = await backend.list(rest);
      return { revision, documents: documents.filter(({ key }) => key.name > last) };
    },
  };
});

const ignoredPrecondition = instead((backend) => ({
  commit: (request) =>
    backend.commit({
      ...request,
      writes: request.writes.map(({ key, text }) => ({ key, text })),
    }),
}));

const tornChangeSet = instead((backend) => ({
  async commit({ writes, ...request }: ChangeSetRequest) {
    const [first, ...others] = writes;
    if (first === undefined || others.length === 0) return backend.commit({ ...request, writes });
    await backend.commit({ ...request, id: `${request.id}-part`, writes: [first] });
    return backend.commit({ ...request, writes: others });
  },
}));

const refusedAndTaken = instead((backend) => {
  const taken = new Set<string>();
  return {
    async commit(request) {
      const head = await backend.commit(request);
      const isRepeat = taken.has(request.id) && request.writes.some((each) => each.ifRevision);
      taken.add(request.id);
      if (isRepeat)
        throw new MeridianError("STORE_CONFLICT", "user", "Cannot write: a planted refusal");
      return head;
    },
  };
});

export const plantedBugs: readonly PlantedBug[] = [
  { name: "a stale read is served as strong", models: ["linearizable"], plant: staleRead },
  {
    name: "an acknowledged commit is lost",
    models: ["linearizable", "read your writes"],
    plant: lostCommit,
  },
  {
    name: "a repeated commit is taken twice",
    models: ["linearizable", "watch order"],
    plant: repeatTakenTwice,
  },
  {
    name: "a token is ignored",
    models: ["read your writes", "monotonic reads", "causal"],
    plant: { mayAnswer: () => true },
  },
  { name: "two leaders: a fenced writer is believed", models: ["fencing"], plant: forgottenLease },
  { name: "a term is given to two holders", models: ["fencing"], plant: termGivenTwice },
  { name: "a watch skips a change set", models: ["watch order"], plant: watchSkips },
  { name: "a watch repeats a change set", models: ["watch order"], plant: watchRepeats },
  {
    name: "a page of a list is of another revision",
    models: ["linearizable"],
    plant: pageOfAnotherRevision,
  },
  { name: "a precondition is ignored", models: ["linearizable"], plant: ignoredPrecondition },
  {
    name: "half a change set is seen",
    models: ["linearizable", "watch order"],
    plant: tornChangeSet,
  },
  { name: "a refused commit was taken", models: ["linearizable"], plant: refusedAndTaken },
];
