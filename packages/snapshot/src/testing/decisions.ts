// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Pcg32, key64 } from "@meridian/core";
import { Client } from "../client.ts";
import { Outcome, Selector } from "../selector.ts";
import { TargetKind, type World } from "../world.ts";
import { GOOD } from "./world-fixture.ts";

/** An overlay of `world` with every endpoint healthy, but for those named (`default/POOL/MEMBER`). */
export function slotsOf(world: World, states: Readonly<Record<string, number>> = {}): Uint32Array {
  const slots = world.initialSlots();
  slots.fill(GOOD, 0, world.pools.endpointCount);
  for (const [name, value] of Object.entries(states)) {
    const slot = world.slotOfKey(key64(`endpoint/${name}`));
    assert.ok(slot >= 0, name);
    slots[slot] = value;
  }
  return slots;
}

/** Counts of the first answers over `draws` seeded draws, by the keys of `distribution()`; `none` where it is withheld. */
export function countAnswers(
  world: World,
  slots: Uint32Array,
  policy: string,
  draws: number,
  seed: number,
): Map<string, number> {
  const client = new Client();
  const selector = new Selector(world);
  const random = new Pcg32(seed);
  const target = world.policies.policyIndexOf(key64(`policy/${policy}`));
  const counts = new Map<string, number>();
  for (let round = 0; round < draws; round++) {
    const outcome = selector.select(
      slots,
      TargetKind.policy,
      target,
      client,
      random.next32(),
      0,
      1,
    );
    const name =
      outcome === Outcome.endpoints
        ? selector.chosenCount === 0
          ? "noAddress"
          : world.endpointName(selector.chosen[0] ?? 0)
        : outcome === Outcome.alias
          ? `name@${selector.aliasOffset}`
          : "none";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Asks one policy over one overlay, for clients that are numbered /24s. */
export class Decider {
  readonly #selector: Selector;
  readonly #slots: Uint32Array;
  readonly #world: World;
  readonly #policy: number;
  readonly #client = new Client();
  readonly #bytes = new Uint8Array(4);

  constructor(world: World, slots: Uint32Array, policy = "default/p") {
    this.#world = world;
    // One selector an overlay: candidates are kept until a pool's epoch moves.
    this.#selector = new Selector(world);
    this.#slots = slots;
    this.#policy = world.policies.policyIndexOf(key64(`policy/${policy}`));
  }

  get selector(): Selector {
    return this.#selector;
  }

  /** Member names of the answer; empty where there is none. `answers` 0 leaves their number to the policy. */
  ask(clientNumber: number, draw: number, answers = 0, family = 0): string[] {
    new DataView(this.#bytes.buffer).setUint32(0, clientNumber << 8);
    this.#client.set(4, this.#bytes, 0, 24);
    const outcome = this.#selector.select(
      this.#slots,
      TargetKind.policy,
      this.#policy,
      this.#client,
      draw,
      family,
      answers,
    );
    if (outcome === Outcome.alias) return [`name@${this.#selector.aliasOffset}`];
    if (outcome !== Outcome.endpoints) return [];
    return Array.from(
      this.#selector.chosen.subarray(0, this.#selector.chosenCount),
      (endpoint) => this.#world.endpointName(endpoint).split("/").at(-1) ?? "",
    );
  }

  /** How often each first answer came up over `rounds` seeded draws and clients. */
  count(rounds: number, seed: number, answers = 1): Map<string, number> {
    const random = new Pcg32(seed);
    const counts = new Map<string, number>();
    for (let round = 0; round < rounds; round++) {
      const [first = "none"] = this.ask(round, random.next32(), answers);
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    return counts;
  }
}
