// SPDX-License-Identifier: Apache-2.0

// What a reader may ask of the age of an answer, and the signed token that carries what it has seen from replica to replica: by store, the
// newest (epoch, revision). A replica whose store is behind a token waits a while and then refuses; it never answers older.

import { createHmac, timingSafeEqual } from "node:crypto";
import { parseDuration } from "@meridian/core";
import { RequestRefusal } from "../request-refusal.ts";
import type { HeadReading, Store } from "../store/store.ts";

export const consistencies = ["strong", "session", "causal", "bounded", "eventual"] as const;
type Consistency = (typeof consistencies)[number];

/** How long a read waits for this replica to have seen what its token has. */
const WAIT_MS_MAX = 2000;
const WAIT_STEP_MS = 20;
const STORES_MAX = 64;
const STALENESS_UNLESS_TOLD = "5s";

/** Newest revision seen of a store. */
type Seen = readonly [epoch: number, revision: number];
type Vector = Readonly<Record<string, Seen>>;

/** What a read is to be answered from. */
export interface ReadView {
  readonly revision: number;
  readonly isStale: boolean;
  readonly ageMs: number;
  /** The token that the answer carries. */
  readonly token: string;
}

export interface ConsistencyRequest {
  readonly consistency: string | undefined;
  /** For `bounded`: oldest answer, as a duration. */
  readonly maxStaleness: string | undefined;
  readonly token: string | undefined;
}

export class ConsistencyGate {
  readonly #store: Store;
  readonly #key: Uint8Array;
  readonly #waitMs: number;

  /** `key` signs tokens: replicas of one cluster share it. */
  constructor(store: Store, key: Uint8Array, waitMs: number = WAIT_MS_MAX) {
    this.#store = store;
    this.#key = key;
    this.#waitMs = waitMs;
  }

  /** Resolves to what the read may be answered from. Throws CONSISTENCY_UNMET where this replica has seen too little. */
  async read(request: ConsistencyRequest): Promise<ReadView> {
    const seen = request.token === undefined ? {} : this.#open(request.token);
    const wanted = consistencyOf(request.consistency ?? "strong");
    const isStale = wanted === "eventual";
    let head = await this.#store.head({ stale: wanted !== "strong" });
    if (wanted === "bounded" && head.ageMs > stalenessOf(request.maxStaleness))
      head = await this.#store.head();
    if (!isStale) head = await this.#caughtUp(head, seen[head.storeId]);
    return { revision: head.revision, isStale, ageMs: head.ageMs, token: this.#seal(seen, head) };
  }

  /** The token of an answer that has shown `revision`. */
  async tokenAt(revision: number, token: string | undefined): Promise<string> {
    const head = await this.#store.head({ stale: true });
    const seen = token === undefined ? {} : this.#open(token);
    return this.#seal(seen, { ...head, revision });
  }

  async #caughtUp(head: HeadReading, seen: Seen | undefined): Promise<HeadReading> {
    let now = head;
    for (let waitedMs = 0; seen !== undefined && isBefore(now, seen); waitedMs += WAIT_STEP_MS) {
      if (waitedMs >= this.#waitMs)
        throw new RequestRefusal(
          "CONSISTENCY_UNMET",
          `Cannot answer: this replica is at revision ${now.revision} of epoch ${now.epoch}, expected at least ${seen[1]} of epoch ${seen[0]}, which the token has seen; ask another replica or wait`,
        );
      await new Promise((resolve) => {
        setTimeout(resolve, WAIT_STEP_MS);
      });
      now = await this.#store.head();
    }
    return now;
  }

  #seal(seen: Vector, head: HeadReading): string {
    const known = seen[head.storeId];
    const isNewer = known === undefined || !isBefore(head, known);
    const vector = { ...seen, ...(isNewer ? { [head.storeId]: [head.epoch, head.revision] } : {}) };
    const text = Buffer.from(JSON.stringify(vector)).toString("base64url");
    return `${text}.${this.#sign(text)}`;
  }

  #open(token: string): Vector {
    const [text = "", signature = ""] = token.split(".");
    const expected = Buffer.from(this.#sign(text));
    const given = Buffer.from(signature);
    if (given.length === expected.length && timingSafeEqual(given, expected)) {
      const vector: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
      if (isVector(vector)) return vector;
    }
    throw new RequestRefusal(
      "REQUEST_INVALID",
      "Cannot read the token of what was seen: its signature is not of this cluster",
    );
  }

  #sign(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url");
  }
}

function isBefore({ epoch, revision }: HeadReading, [seenEpoch, seenRevision]: Seen): boolean {
  return epoch < seenEpoch || (epoch === seenEpoch && revision < seenRevision);
}

function consistencyOf(text: string): Consistency {
  const found = consistencies.find((each) => each === text);
  if (found !== undefined) return found;
  throw new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot answer: consistency is "${text}", expected one of ${consistencies.join(", ")}`,
  );
}

function stalenessOf(text: string = STALENESS_UNLESS_TOLD): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot answer: maxStaleness is "${text}", expected a duration such as 5s`,
  );
}

function isVector(value: unknown): value is Vector {
  if (typeof value !== "object" || value === null) return false;
  const entries: unknown[] = Object.values(value);
  return (
    entries.length <= STORES_MAX &&
    entries.every(
      (each) => Array.isArray(each) && each.length === 2 && each.every(Number.isSafeInteger),
    )
  );
}
