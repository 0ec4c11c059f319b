// SPDX-License-Identifier: Apache-2.0

// What a served pair answers resolvers in virtual time: the real selector with the real draw of a client prefix and a moment, so that a cache that
// asks again within a window is told the same.

import {
  BranchTarget,
  BranchWord,
  Client,
  FAMILY_IPV4,
  FAMILY_IPV6,
  Outcome,
  Selector,
  decisionDraw,
  type World,
} from "@meridian/snapshot";
import type { Audience } from "./audience.ts";
import { boundName, type DecidedName, type ServedPair } from "./decided-load.ts";
import type { AnswerSource } from "./resolver-caches.ts";

/** 2023-11-14: virtual time has to begin somewhere. */
const START_SECONDS = 1_700_000_000;
/** Seconds that caches keep it that nothing answers. */
const WITHHELD_SECONDS = 5;

/** A group of caches: what it asks for, and where its caches are. */
export interface CacheQuestion {
  readonly name: string;
  readonly audience: Audience;
  readonly count: number;
}

/** Places by number, over several snapshots. Number 0 is nowhere. */
export class PlaceNumbers {
  readonly names: string[] = ["nowhere"];
  readonly #known = new Map<string, number>([["nowhere", 0]]);

  of(name: string): number {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.names.push(name);
    this.#known.set(name, this.names.length - 1);
    return this.names.length - 1;
  }
}

/** Where the caches of each group are. */
export class CacheAddresses {
  readonly families: readonly (4 | 6)[];
  readonly #words: readonly Uint32Array[];

  constructor(questions: readonly CacheQuestion[]) {
    this.families = questions.map(({ audience }) => audience.family);
    this.#words = questions.map(({ audience, count }) => {
      const words = new Uint32Array(count * 2);
      const client = new Client();
      for (let index = 0; index < count; index++) {
        audience.place(client, index, count);
        words[index * 2] = client.word0;
        words[index * 2 + 1] = client.word1;
      }
      return words;
    });
  }

  place(client: Client, group: number, index: number): void {
    const words = this.#words[group];
    const isIpv4 = this.families[group] === 4;
    client.family = isIpv4 ? FAMILY_IPV4 : FAMILY_IPV6;
    client.prefixLength = isIpv4 ? 24 : 56;
    client.word0 = words?.[index * 2] ?? 0;
    client.word1 = isIpv4 ? 0 : (words?.[index * 2 + 1] ?? 0);
    client.word2 = 0;
    client.word3 = 0;
  }
}

export class PairAnswers implements AnswerSource {
  ttlSeconds: number = 0;
  /** Replaced by who changes the overlay. */
  slots: Uint32Array;
  readonly world: World;
  readonly #selector: Selector;
  readonly #names: readonly (DecidedName | undefined)[];
  readonly #addresses: CacheAddresses;
  readonly #placeOf: Uint32Array;
  readonly #places: PlaceNumbers;
  readonly #client = new Client();

  /** `placeOf` is what of an endpoint is told apart: itself, its site, its pool. */
  constructor(
    { world, slots }: ServedPair,
    questions: readonly CacheQuestion[],
    addresses: CacheAddresses,
    places: PlaceNumbers,
    placeOf: (world: World, endpoint: number) => string,
  ) {
    this.world = world;
    this.slots = slots;
    this.#selector = new Selector(world);
    this.#addresses = addresses;
    this.#places = places;
    this.#names = questions.map(({ name, audience }) => {
      const found = boundName(world, name, audience.family);
      return typeof found === "string" ? undefined : found;
    });
    registerNames(world, places);
    this.#placeOf = Uint32Array.from({ length: world.pools.endpointCount }, (_, endpoint) =>
      places.of(placeOf(world, endpoint)),
    );
  }

  /** Longest TTL of a group's answers, in seconds. */
  ttlMaxOf(group: number): number {
    return this.#names[group]?.set.ttlMax ?? WITHHELD_SECONDS;
  }

  answer(group: number, index: number, nowSeconds: number): number {
    const name = this.#names[group];
    this.ttlSeconds = WITHHELD_SECONDS;
    if (name === undefined) return 0;
    const { set, family, hash } = name;
    const client = this.#client;
    this.#addresses.place(client, group, index);
    const { seed } = this.world;
    const draw = decisionDraw(seed, hash, client, START_SECONDS + nowSeconds, set.ttlMax);
    const selector = this.#selector;
    selector.variantBits = name.variantBits;
    selector.variantSeed = name.variantSeed;
    const { targetKind, target, answers } = set;
    const outcome = selector.select(this.slots, targetKind, target, client, draw, family, answers);
    if (outcome === Outcome.noData) return 0;
    this.ttlSeconds = Math.max(set.ttlMin, Math.min(set.ttlMax, selector.changeSeconds));
    if (outcome === Outcome.alias) {
      const alias = this.world.policies.nameAtByte(selector.aliasOffset);
      return this.#places.of(`name/${alias}`);
    }
    // Of several, the clients of one cache take one until it asks again; another cache takes another.
    const pick = selector.chosenCount === 1 ? 0 : (index + draw) % selector.chosenCount;
    return this.#placeOf[selector.chosen[pick] ?? 0] ?? 0;
  }
}

/** Names that clients may be sent on to are places as well. */
function registerNames({ policies }: World, places: PlaceNumbers): void {
  for (let branch = 0; branch < policies.branchCount; branch++)
    if ((policies.branchWord(branch, BranchWord.settings) & 0xff) === BranchTarget.name)
      places.of(`name/${policies.nameAt(policies.branchWord(branch, BranchWord.target))}`);
}
