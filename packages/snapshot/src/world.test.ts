// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { key64 } from "@meridian/core";
import { parseName, RRType } from "@meridian/dns";
import { writePolicies } from "./policies/policies-writer.ts";
import { writePools } from "./pools/pools-writer.ts";
import { PoliciesTable } from "./policies/policies-format.ts";
import { SectionPack } from "./section-pack.ts";
import type { WrittenSection } from "./section-writer.ts";
import { openSection, Section, sectionChecksum } from "./section.ts";
import { branch, member, node, pool } from "./testing/world-fixture.ts";
import { TargetKind, World } from "./world.ts";
import { NameLookup } from "./zone/name-lookup.ts";
import { CHUNK_WORDS, ChunkWord } from "./zone/names-chunk.ts";
import { QueryName } from "./zone/query-name.ts";
import { ZoneWriter } from "./zone/zone-writer.ts";

const OWNERS = 6000;

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}

/** Each owner is bound to the pool `x` or, where odd, to the policy `p`; owner `other` to the pool `a`, which there may be. */
function sectionsOf(pools: readonly string[], other: number): WrittenSection[] {
  const zone = new ZoneWriter(wire("example.org."));
  for (let owner = 0; owner < OWNERS; owner++) {
    const isPolicy = owner % 2 === 1 && owner !== other;
    zone.addBinding(wire(`n${owner}.example.org.`), [RRType.A], {
      targetKind: isPolicy ? TargetKind.policy : TargetKind.pool,
      targetKey: key64(
        owner === other ? "pool/default/a" : isPolicy ? "policy/default/p" : "pool/default/x",
      ),
      ttlMin: 5,
      ttlMax: 60,
    });
  }
  return [
    writePools(pools.map((name) => pool(`default/${name}`, [member("one", 1)]))),
    writePolicies([
      {
        name: "default/p",
        root: "root",
        nodes: [node("root", "weighted", [branch({ pool: "default/x" })])],
      },
    ]),
    ...zone.finish(),
  ];
}

/** A policies section whose first root does not exist, its checksum right. */
function outOfBounds(policies: WrittenSection): WrittenSection {
  const bytes = new Uint8Array(new SharedArrayBuffer(policies.buffer.byteLength));
  bytes.set(new Uint8Array(policies.buffer));
  const view = new DataView(bytes.buffer);
  const opened = openSection(policies.buffer);
  assert.ok(opened instanceof Section);
  view.setUint32(opened.table(PoliciesTable.policies).offset, 99, true);
  view.setUint32(60, sectionChecksum(bytes), true);
  return { ...policies, name: "broken", buffer: bytes.buffer };
}

function targetName(world: World, owner: number): string {
  const name = new QueryName(world.zones.seed);
  const bytes = wire(`n${owner}.example.org.`);
  name.set(bytes, 0, bytes.length, 12);
  const zone = world.zones.find(name, 0);
  assert.ok(zone !== undefined);
  const lookup = new NameLookup();
  lookup.find(zone, name, false);
  const { chunk } = lookup;
  assert.ok(chunk !== undefined);
  const target = chunk.targetOf(chunk.words[(lookup.boundSet(1) >>> 2) + 1]!);
  if (target < 0) return "nothing";
  return (target & 1) === TargetKind.pool
    ? `pool ${world.pools.poolName(target >> 1)}`
    : `policy ${world.policies.policyName(target >> 1)}`;
}

function wantedName(owner: number, other: number): string {
  if (owner === other) return "pool default/a";
  return owner % 2 === 1 ? "policy default/p" : "pool default/x";
}

function check(world: World, other: number): void {
  for (let owner = 0; owner < OWNERS; owner += 7)
    assert.equal(targetName(world, owner), wantedName(owner, other));
  const leaf = world.policies.branchWord(0, 1);
  assert.equal(world.pools.poolName(world.policies.poolOfLink[leaf]!), "default/x");
}

test("a world that is loaded on top of another, and one that another thread opens, lead where their own documents do", () => {
  let pack: SectionPack | undefined;
  let world: World | undefined;
  // The pool "x" has another index each time but the last, where one name changed and one pool's member.
  for (const [pools, other] of [
    [["x"], -1],
    [["a", "x"], -1],
    [["a", "b", "x"], -1],
    [["a", "b", "x"], 7],
  ] as const) {
    const made = SectionPack.make(sectionsOf(pools, other), pack);
    assert.ok(made instanceof SectionPack);
    const next: World | { readonly error: string } = World.load(made.sections, 1, world);
    assert.ok(next instanceof World);
    check(next, other);
    const opened = World.open(structuredClone(next.share()));
    check(opened, other);
    assert.equal(opened.slotCount, next.slotCount);
    assert.deepEqual(opened.initialSlots(), next.initialSlots());
    if (world !== undefined) check(world, -1);
    pack = made;
    world = next;
  }
  assert.ok(world !== undefined && world.zones.chunks.length > 1);
});

/** What is known of names sections but where their links begin, which is by what there was before. */
function recordsOf(world: World): Int32Array {
  const records = world.zones.names.records.slice();
  for (let at = ChunkWord.targetBase; at < records.length; at += CHUNK_WORDS) records[at] = 0;
  return records;
}

test("a world goes on in new memory when names have been bound anew a thousand times, and those before stay as they were", () => {
  const bound = (first: string): WrittenSection[] => {
    const zone = new ZoneWriter(wire("example.org."));
    for (const [owner, name] of [first, "a", "b", "c", "d", "e"].entries())
      zone.addBinding(wire(`n${owner}.example.org.`), [RRType.A], {
        ...{ targetKind: TargetKind.pool, targetKey: key64(`pool/default/${name}`) },
        ...{ ttlMin: 5, ttlMax: 60 },
      });
    const pools = ["a", "b", "c", "d", "e", "f"].map((name) =>
      pool(`default/${name}`, [member("one", 1)]),
    );
    return [writePools(pools), writePolicies([]), ...zone.finish()];
  };
  const texts = [bound("e"), bound("f")];
  const places = (world: World): unknown => [0, 1, 2, 3, 4, 5].map((n) => targetName(world, n));
  const wanted = texts.map((_, index) =>
    [["e", "f"][index], "a", "b", "c", "d", "e"].map((name) => `pool default/${name}`),
  );
  let [pack, world]: [SectionPack | undefined, World | undefined] = [undefined, undefined];
  const memories = new Set<Int32Array>();
  let first: World | undefined;
  for (let round = 0; round < 1500; round++) {
    const made: SectionPack | { readonly error: string } = SectionPack.make(
      texts[round % 2] ?? [],
      pack,
    );
    assert.ok(made instanceof SectionPack);
    const next: World | { readonly error: string } = World.load(made.sections, 1, world);
    assert.ok(next instanceof World);
    if (round % 50 < 2) assert.deepEqual(places(next), wanted[round % 2]);
    memories.add(next.zones.names.links);
    first ??= next;
    [pack, world] = [made, next];
  }
  assert.ok(memories.size > 1 && memories.size < 10, `${memories.size} memories`);
  assert.deepEqual(first && places(first), wanted[0]);
});

test("what a world takes over from the one before it is what loading it alone gives", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const some = fc.subarray(names, { minLength: 1 });
  // Few kinds of names, so that they are often the same from one to the next.
  const owners = fc.constantFrom(
    [0, 1, 2, 3],
    [0, 1, 2, 3],
    [],
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    [3, 6, 11],
    [10, 11],
  );
  const revision = fc.record({ pools: some, policies: some, owners });
  const property = fc.property(fc.array(revision, { minLength: 2, maxLength: 6 }), (revisions) => {
    let pack: SectionPack | undefined;
    let world: World | undefined;
    const worlds: [World, unknown][] = [];
    for (const { pools, policies, owners } of revisions) {
      const zone = new ZoneWriter(wire("example.org."));
      for (const owner of new Set(owners)) {
        const kind = owner % 2 === 0 ? TargetKind.pool : TargetKind.policy;
        const name = names[(owner >> 1) % names.length];
        zone.addBinding(wire(`n${owner}.example.org.`), [RRType.A], {
          targetKind: kind,
          targetKey: key64(`${kind === TargetKind.pool ? "pool" : "policy"}/default/${name}`),
          ttlMin: 5,
          ttlMax: 60,
        });
      }
      const made: SectionPack | { readonly error: string } = SectionPack.make(
        [
          writePools(pools.map((name) => pool(`default/${name}`, [member("one", 1)]))),
          writePolicies(
            policies.map((name) => ({
              name: `default/${name}`,
              root: "root",
              // Some lead to pools that are not there.
              nodes: [
                node(
                  "root",
                  "weighted",
                  names.slice(names.indexOf(name)).map((to) => branch({ pool: `default/${to}` })),
                ),
              ],
            })),
          ),
          ...zone.finish(),
        ],
        pack,
      );
      assert.ok(made instanceof SectionPack);
      const next: World | { readonly error: string } = World.load(made.sections, 1, world);
      const alone = World.load(made.sections, 1);
      assert.ok(next instanceof World && alone instanceof World);
      assert.deepEqual(next.resolvedLinks(), alone.resolvedLinks());
      assert.deepEqual(recordsOf(next), recordsOf(alone));
      worlds.push([next, structuredClone(next.resolvedLinks())]);
      assert.deepEqual(next.audienceStarts, alone.audienceStarts);
      assert.deepEqual(next.classifierOfLink, alone.classifierOfLink);
      [pack, world] = [made, next];
    }
    for (const [before, links] of worlds) assert.deepEqual(before.resolvedLinks(), links);
  });
  fc.assert(property, { numRuns: 300 });
});

test("a malformed section is refused however sound the ones beside it are", () => {
  const made = SectionPack.make(sectionsOf(["x"], -1));
  assert.ok(made instanceof SectionPack);
  const sound = World.load(made.sections, 1);
  assert.ok(sound instanceof World);
  const broken = sectionsOf(["x"], -1).map((section, index) =>
    index === 1 ? outOfBounds(section) : section,
  );
  const second = SectionPack.make(broken, made);
  assert.ok(second instanceof SectionPack);
  const refused = World.load(second.sections, 1, sound);
  assert.ok("error" in refused);
  assert.match(refused.error, /root 99/);
});
