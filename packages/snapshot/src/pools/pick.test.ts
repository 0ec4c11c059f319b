// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Client } from "../client.ts";
import { Admin, PER_MILLE, Verdict, endpointSlot } from "../overlay.ts";
import { Selector } from "../selector.ts";
import { slotsOf } from "../testing/decisions.ts";
import { loadWorld, member, pool } from "../testing/world-fixture.ts";
import { TargetKind } from "../world.ts";
import { Mode } from "./candidates.ts";
import { pickSpread } from "./pick.ts";
import { PoolWord } from "./pools-format.ts";

const someMember = fc.record({
  weight: fc.nat(4),
  domain: fc.constantFrom("a", "b", "c"),
  /** Rarely anything but an address and a full dial, which most pools are made of. */
  isHostName: fc.nat(15).map((rare) => rare === 0),
  capacity: fc.constantFrom(PER_MILLE, 700, 3),
  dial: fc.nat(15).map((rare) => (rare === 0 ? 500 : PER_MILLE)),
});

test("two answers of a pool are those that spreading picks from all of its candidates", () => {
  let last: Selector | undefined;
  fc.assert(
    fc.property(
      fc.array(someMember, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 20, maxLength: 20 }),
      fc.constantFrom(0, 4),
      (members, draws, family) => {
        const world = loadWorld(
          [
            pool(
              "default/a",
              members.map(({ weight, domain, isHostName }, index) => {
                const plain = member(`m${index}`, index, { weight, failureDomain: domain });
                if (!isHostName) return plain;
                const { ipv4: _, ...nameless } = plain;
                return { ...nameless, hostName: Uint8Array.of(1, 97, 0) };
              }),
            ),
          ],
          [],
        );
        const states = members.map(({ capacity, dial }, index): [string, number] => [
          `default/a/m${index}`,
          endpointSlot(Verdict.healthy, Admin.active, capacity, dial, 5),
        ]);
        const slots = slotsOf(world, Object.fromEntries(states));
        const selector = new Selector(world);
        const client = new Client();
        for (const draw of draws) {
          selector.select(slots, TargetKind.pool, 0, client, draw, family, 2);
          const chosen = [...selector.chosen.subarray(0, selector.chosenCount)];
          selector.ignoresDials = false;
          assert.deepEqual(chosen, spread(selector) ?? chosen);
        }
        // The same in the memory of one of another world.
        const heir = new Selector(world, last);
        for (const draw of draws)
          assert.deepEqual(pick(heir, slots, draw), pick(selector, slots, draw));
        last = heir;
      },
    ),
    { numRuns: 200 },
  );
});

function pick(selector: Selector, slots: Uint32Array, draw: number): number[] {
  selector.select(slots, TargetKind.pool, 0, new Client(), draw, 0, 2);
  return [...selector.chosen.subarray(0, selector.chosenCount)];
}

/** What `pickSpread` picks for the last decision; undefined where dials sent all of it elsewhere. */
function spread(selector: Selector): number[] | undefined {
  const table = selector.candidates(Mode.verdict);
  const count = table.count(0, selector.slots);
  for (let index = 0; index < count; index++) {
    selector.scratch[index] = table.endpoint(index);
    selector.scratchWeights[index] = table.weight(index);
  }
  selector.chosenCount = 0;
  pickSpread(selector, count, 2, selector.world.pools.poolWord(0, PoolWord.salt) | 0);
  return selector.chosenCount === 0
    ? undefined
    : [...selector.chosen.subarray(0, selector.chosenCount)];
}
