// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import fc from "fast-check";
import { Client } from "../client.ts";
import { openSection } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { Outcome, Selector } from "../selector.ts";
import { GOOD, loadWorld, member, pool } from "../testing/world-fixture.ts";
import { TargetKind, World } from "../world.ts";
import { AddressesTable, ADDRESS_ENTRY_WORDS, RESOLVED_MAX } from "./addresses-format.ts";
import { writeAddresses, type ResolvedEndpoint } from "./addresses-writer.ts";

const host = { hostName: Buffer.from("\u0001h\u0007example\0", "latin1"), resolve: true };
const members = ["a", "b", "c"].map((name) => {
  const { ipv4: _, ...rest } = member(name, 0, host);
  return rest;
});
const pools = [pool("default/p", [...members, member("plain", 9)])];

function resolved(name: string, ipv4: Uint8Array[], ipv6: Uint8Array[] = []): ResolvedEndpoint {
  return { key: key64(`endpoint/default/p/${name}`), ipv4, ipv6 };
}

/** What the table gives for one endpoint and family. */
function read(world: World, name: string, family: 4 | 6): string[] {
  const endpoint = world.pools.endpointIndexOf(key64(`endpoint/default/p/${name}`));
  const bytes = family === 4 ? 4 : 16;
  const out = Buffer.alloc(bytes + 2, 0xee);
  return Array.from({ length: world.resolvedCount(endpoint, family) }, (_, index) => {
    world.copyResolved(endpoint, family, index, out, 1);
    assert.deepEqual([out[0], out[bytes + 1]], [0xee, 0xee]);
    return out.subarray(1, bytes + 1).toString("hex");
  });
}

const address = (bytes: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes });

test("copyResolved() gives the least eight distinct addresses of each family", () => {
  const addresses = fc.tuple(
    fc.array(address(4), { maxLength: 12 }),
    fc.array(address(16), { maxLength: 12 }),
  );
  fc.assert(
    fc.property(addresses, addresses, ([a4, a6], [b4, b6]) => {
      const section = writeAddresses([resolved("b", b4, b6), resolved("a", a4, a6)]);
      const world = loadWorld(pools, [], [section]);
      const wanted = (list: Uint8Array[]): string[] =>
        [...new Set(list.map((one) => Buffer.from(one).toString("hex")))]
          .toSorted()
          .slice(0, RESOLVED_MAX);
      for (const [name, four, six] of [
        ["a", a4, a6],
        ["b", b4, b6],
        ["c", [], []],
        ["plain", [], []],
      ] as const) {
        assert.deepEqual(read(world, name, 4), wanted([...four]));
        assert.deepEqual(read(world, name, 6), wanted([...six]));
      }
    }),
    { numRuns: 50 },
  );
});

test("writeAddresses() gives the same bytes whatever the order of endpoints and addresses", () => {
  const one = new Uint8Array([192, 0, 2, 1]);
  const two = new Uint8Array([192, 0, 2, 2]);
  const first = writeAddresses([resolved("a", [one, two]), resolved("b", [two])]);
  const second = writeAddresses([resolved("b", [two, two]), resolved("a", [two, one])]);
  assert.equal(first.name, second.name);
  assert.notEqual(first.name, writeAddresses([resolved("a", [one]), resolved("b", [two])]).name);
});

test("a world passes over addresses of endpoints that it does not have", () => {
  const world = loadWorld(
    pools,
    [],
    [writeAddresses([resolved("gone", [new Uint8Array([192, 0, 2, 1])])])],
  );
  assert.deepEqual(read(world, "a", 4), []);
});

test("a world refuses an entry that lies outside the addresses", () => {
  const written = writeAddresses([resolved("a", [new Uint8Array([192, 0, 2, 1])])]);
  const section = openSection(written.buffer);
  assert.ok(!("error" in section));
  section.words[section.wordBase(AddressesTable.entries) + ADDRESS_ENTRY_WORDS - 4] = 1;
  const parts = loadWorld(pools, []);
  const opened = [parts.pools.section, parts.policies.section, section];
  const refused = World.load(opened, 1);
  assert.ok("error" in refused);
  assert.match(refused.error, /entry 0 has 1 addresses from 1/);
});

test("select() leaves out a resolved member without an address of the wanted family", () => {
  const four = new Uint8Array([192, 0, 2, 1]);
  const six = Buffer.from("20010db8000000000000000000000001", "hex");
  const only = [pool("default/p", members, { answers: 1 })];
  const families = (more: WrittenSection[], family: number): Set<number> => {
    const world = loadWorld(only, [], more);
    const slots = world.initialSlots().fill(GOOD, 0, world.pools.endpointCount);
    const selector = new Selector(world);
    const client = new Client();
    client.set(4, new Uint8Array([198, 51, 100, 0]), 0, 24);
    const seen = new Set<number>();
    for (let draw = 0; draw < 500; draw++) {
      const outcome = selector.select(
        slots,
        TargetKind.pool,
        0,
        client,
        Math.imul(draw, 0x9e3779b1) >>> 0,
        family,
        0,
      );
      assert.equal(outcome, Outcome.endpoints);
      for (let index = 0; index < selector.chosenCount; index++) seen.add(selector.chosen[index]!);
    }
    return seen;
  };
  const section = writeAddresses([resolved("a", [four], [six]), resolved("b", [four])]);
  assert.deepEqual(families([section], 4), new Set([0, 1]));
  assert.deepEqual(families([section], 6), new Set([0]));
  assert.deepEqual(families([], 4), new Set());
});
