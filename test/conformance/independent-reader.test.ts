// SPDX-License-Identifier: Apache-2.0

// The reader that knows only docs/internals/snapshot-format.md agrees with the real one over a seeded world of zones, pools,
// policies and overlay changes. Set MERIDIAN_TEST_SEED to replay another world.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Pcg32, key64 } from "@meridian/core";
import { parseName } from "@meridian/dns";
import {
  Client,
  Found,
  NameLookup,
  NodeFlag,
  Outcome,
  OverlayWriter,
  QueryName,
  Selector,
  Shape,
  TargetKind,
  World,
  boundTypeBit,
  BoundType,
  branchSlot,
  endpointSlot,
  openSection,
  type NamesChunk,
} from "@meridian/snapshot";
import {
  writePolicies,
  writePools,
  ZoneWriter,
  type BranchInput,
  type EndpointInput,
  type NodeInput,
  type PolicyInput,
  type PoolInput,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { IndependentReader, type NameAnswer } from "./independent-reader.ts";

const LOOKUPS = 10_000;
const seed = Number(process.env["MERIDIAN_TEST_SEED"] ?? 41);
const random = new Pcg32(seed);

function below(limit: number): number {
  return Math.floor((random.next32() / 2 ** 32) * limit);
}

function oneOf<Item>(items: readonly Item[]): Item {
  const item = items[below(items.length)];
  assert.ok(item !== undefined);
  return item;
}

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array, text);
  return name;
}

// What the world is made of.

const poolNames = Array.from({ length: 40 }, (_, index) => `default/pool-${index}`);
const policyNames = Array.from({ length: 40 }, (_, index) => `default/policy-${index}`);

function randomMember(index: number): EndpointInput {
  const isName = below(12) === 0;
  const hasSix = below(3) === 0;
  return {
    name: `m${index}`,
    ...(isName ? { hostName: wire(`m${index}.elsewhere.example.`) } : {}),
    ...(!isName && (below(4) > 0 || !hasSix) ? { ipv4: Uint8Array.of(192, 0, 2, index + 1) } : {}),
    ...(!isName && hasSix ? { ipv6: wire("0123456789abcde.").slice(0, 16) } : {}),
    resolve: false,
    weight: oneOf([0, 1, 1, 5, 100]),
    priority: oneOf([0, 0, 0, 1, 7]),
    serve: oneOf([0, 0, 0, 0, 1, 2]),
    isChecked: below(8) > 0,
    unknownServes: below(4) === 0,
    site: oneOf(["eu", "us", "ap"]),
    failureDomain: oneOf(["a", "b", "c"]),
    capacity: below(3),
    port: 443,
  };
}

function randomPool(name: string): PoolInput {
  const minHealthy = { kind: oneOf([1, 2]), value: oneOf([1, 2, 50]), isPerFamily: false };
  return {
    name,
    members: Array.from({ length: below(7) }, (_, index) => randomMember(index)),
    answers: oneOf([0, 0, 1, 3]),
    dial: oneOf([1000, 1000, 400]),
    minHealthy: below(4) === 0 ? minHealthy : undefined,
  };
}

function randomBranch(tier: number, nodesBelow: readonly string[]): BranchInput {
  const kind = below(12);
  const target =
    kind === 0
      ? { name: wire("alias.example.net.") }
      : kind < 5 && nodesBelow.length > 0
        ? { node: oneOf(nodesBelow) }
        : { pool: oneOf(poolNames) };
  return {
    target,
    weight: oneOf([0, 1, 2, 10]),
    dial: oneOf([1000, 1000, 1000, 300, 0]),
    tier,
    isFence: below(10) === 0,
    evaluateHealth: true,
  };
}

function randomPolicy(name: string): PolicyInput {
  const names = ["first", "second", "third"].slice(0, 1 + below(3));
  const nodes = names.map((own, index): NodeInput => {
    let tier = -1;
    const kind = oneOf(["failover", "weighted", "roundRobin"] as const);
    const branches = Array.from({ length: 1 + below(4) }, () => {
      if (kind === "failover" && (tier < 0 || below(3) > 0)) tier += 1;
      return randomBranch(Math.max(0, tier), names.slice(index + 1));
    });
    const actions = ["parent", "parent", "open", "closed"] as const;
    const onAllUnhealthy =
      index === 0 ? oneOf(["open", "open", "closed"] as const) : oneOf(actions);
    return {
      name: own,
      kind,
      branches,
      onAllUnhealthy,
      answers: oneOf([0, 0, 2]),
      minHealthy: undefined,
    };
  });
  return { name, root: "first", nodes };
}

/** What was put into the zones: `name type` → rdata in hex. */
const put = new Map<string, Set<string>>();
const owners: string[] = [];
const boundOwners: string[] = [];

function fillZone(origin: string, ownerCount: number): WrittenSection[] {
  const zone = new ZoneWriter(wire(`${origin}.`), { seed: 77 });
  const add = (name: string, type: number, rdata: Uint8Array): void => {
    zone.addRecord(wire(`${name}.`), type, 300, rdata);
    const set = put.get(`${name} ${type}`) ?? new Set();
    put.set(`${name} ${type}`, set.add(Buffer.from(rdata).toString("hex")));
    owners.push(name);
  };
  add(origin, 2, wire(`ns1.${origin}.`));
  for (let index = 0; index < ownerCount; index++) {
    const parent = index % 5 === 0 && owners.length > 1 ? oneOf(owners) : origin;
    const prefix = index % 9 === 0 ? "*" : `n${index}`;
    const name = `${prefix}.${parent.endsWith(origin) ? parent : origin}`;
    if (name.length > 200 || owners.includes(name)) continue;
    const kind = index % 13;
    if (kind === 1) add(name, 2, wire(`ns.other.example.`));
    else if (kind === 2) add(name, 39, wire("moved.example.net."));
    else if (kind === 3) add(name, 5, wire(`www.${origin}.`));
    else if (kind < 9) {
      zone.addBinding(wire(`${name}.`), kind === 4 ? [1, 28, 65] : [1, 28], {
        targetKind: kind % 2 === 0 ? TargetKind.policy : TargetKind.pool,
        targetKey: key64(
          kind % 2 === 0 ? `policy/${oneOf(policyNames)}` : `pool/${oneOf(poolNames)}`,
        ),
        ttlMin: 5,
        ttlMax: 60,
        answers: oneOf([0, 0, 1, 4]),
      });
      owners.push(name);
      boundOwners.push(name);
    } else {
      for (let record = 0; record <= below(3); record++)
        add(name, 1, Uint8Array.of(198, 51, 100, below(256)));
      add(name, 15, Buffer.concat([Uint8Array.of(0, 10), wire(`mail.${origin}.`)]));
    }
  }
  return zone.finish();
}

const written = [
  writePools(poolNames.map(randomPool)),
  writePolicies(policyNames.map(randomPolicy)),
  ...fillZone("example.org", 6000),
  ...fillZone("deep.example.org", 300),
  ...fillZone("example.com", 200),
];

function loadWorld(): World {
  const sections = written.map(({ buffer }) => {
    const section = openSection(buffer);
    assert.ok(!("error" in section));
    return section;
  });
  const world = World.load(sections, 1);
  assert.ok(!("error" in world));
  return world;
}

function randomSlots(world: World): { slot: number; value: number }[] {
  const changes: { slot: number; value: number }[] = [];
  for (let slot = 0; slot < world.pools.endpointCount; slot++) {
    const admin = oneOf([0, 0, 0, 0, 0, 1]);
    const value = endpointSlot(
      oneOf([1, 1, 2, 0]),
      admin,
      oneOf([1000, 250, 0]),
      oneOf([1000, 500]),
      4,
    );
    changes.push({ slot, value });
  }
  for (let pool = 0; pool < world.pools.poolCount; pool++)
    changes.push({ slot: world.poolEpochSlots + pool, value: random.next32() >>> 1 });
  for (let branch = 0; branch < world.policies.branchCount; branch++)
    if (below(2) === 0)
      changes.push({
        slot: world.branchSlots + branch,
        value: branchSlot(below(4), oneOf([1000, 1000, 200])),
      });
  for (const { slot, tierCount } of world.failoverNodes())
    changes.push({ slot, value: below(tierCount + 2) });
  return changes;
}

// What the real reader says, in the terms of the other one.

function recordsAt(chunk: NamesChunk, set: number): Partial<NameAnswer> {
  const [head = 0, ttl = 0, offset = 0] = chunk.words.subarray(set >>> 2);
  let at = chunk.nodesBase + offset;
  const rdata = Array.from({ length: head >>> 16 }, () => {
    const length = (chunk.bytes[at] ?? 0) | ((chunk.bytes[at + 1] ?? 0) << 8);
    const text = Buffer.from(chunk.bytes.subarray(at + 4, at + 4 + length)).toString("hex");
    at += 4 + length;
    return text;
  });
  return { ttl, rdata };
}

function realAnswer(world: World, name: Uint8Array, type: number): NameAnswer {
  const query = new QueryName(world.zones.seed);
  query.set(name, 0, name.length, 0);
  const zone = world.zones.find(query, 0);
  if (zone === undefined) return { found: "noZone" };
  const lookup = new NameLookup();
  const found = lookup.find(zone, query, type === 43);
  const chunk = lookup.chunk;
  if (found === Found.nothing || chunk === undefined) return { found: "nothing" };
  if (found === Found.delegation)
    return { found: "delegation", ...recordsAt(chunk, lookup.set(2)) };
  if (found === Found.dname) return { found: "dname", ...recordsAt(chunk, lookup.set(39)) };
  const kind = found === Found.exact ? "exact" : "wildcard";
  const set = lookup.set(type);
  if (set >= 0) return { found: kind, ...recordsAt(chunk, set) };
  if ((lookup.flags & NodeFlag.isBound) !== 0) {
    const own = lookup.boundSet(boundTypeBit(type));
    const bound = own >= 0 ? own : lookup.boundSet(BoundType.cname);
    if (bound >= 0) {
      const [, link = 0, shapeIndex = 0] = chunk.words.subarray(bound >>> 2);
      const shape = chunk.shapeAt(shapeIndex);
      const isPolicy = (chunk.targetOf(link) & 1) === TargetKind.policy;
      const index = chunk.targetOf(link) >> 1;
      const key = isPolicy
        ? key64(`policy/${world.policies.policyName(index)}`)
        : world.pools.poolKeyAt(index);
      const answers = chunk.words[shape + Shape.answers] ?? 0;
      return { found: kind, bound: { isPolicy, key, answers } };
    }
  }
  const cname = lookup.set(5);
  return cname >= 0 ? { found: kind, ...recordsAt(chunk, cname) } : { found: kind };
}

function askedName(): string {
  const name = oneOf(owners);
  switch (below(6)) {
    case 0:
      return `no-such.${name}`;
    case 1:
      return name.split(".").slice(1).join(".");
    case 2:
      return name.replace("*", "any.thing").toUpperCase();
    case 3:
      return below(20) === 0 ? "not.served.example" : `a.b.${name}`;
    default:
      return name;
  }
}

test(`the independent reader agrees on ${LOOKUPS} look-ups (seed ${seed})`, () => {
  const world = loadWorld();
  const overlay = new OverlayWriter(world.initialSlots());
  const reader = new IndependentReader(
    written.map(({ buffer }) => buffer),
    overlay.buffer,
  );
  const selector = new Selector(world);
  const client = new Client();
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  for (let round = 0; round < LOOKUPS; round++) {
    if (round % 500 === 0) assert.ok(overlay.publish(randomSlots(world)));
    const text = below(2) === 0 ? oneOf(boundOwners) : askedName();
    const type = oneOf([1, 1, 1, 28, 15, 5, 65, 2, 43]);
    const name = wire(`${text}.`);
    const said = reader.lookup(name, type);
    assert.deepEqual(said, realAnswer(world, name, type), `${text} ${type}`);
    const known = put.get(`${text} ${type}`);
    if (said.found === "exact" && known !== undefined)
      assert.deepEqual(new Set(said.rdata), known, `${text} ${type}`);
    count(said.found);
    if (said.bound === undefined) continue;
    const draw = random.next32();
    const family = type === 1 ? 4 : type === 28 ? 6 : 0;
    const { isPolicy, key, answers } = said.bound;
    const index = isPolicy ? world.policies.policyIndexOf(key) : world.pools.poolIndexOf(key);
    const kind = isPolicy ? TargetKind.policy : TargetKind.pool;
    const outcome = selector.select(overlay.current(), kind, index, client, draw, family, answers);
    const real =
      outcome === Outcome.alias
        ? "alias"
        : outcome === Outcome.noData
          ? "noData"
          : Array.from(selector.chosen.subarray(0, selector.chosenCount), (endpoint) =>
              world.endpointName(endpoint),
            );
    assert.deepEqual(reader.decide(said.bound, draw, family), real, `${text} draw ${draw}`);
    count(typeof real === "string" ? real : `${Math.min(2, real.length)} endpoints`);
  }
  // Every kind of outcome was met often enough to mean something.
  for (const what of ["exact", "wildcard", "delegation", "dname", "nothing", "noZone", "alias"])
    assert.ok((counts.get(what) ?? 0) > 20, `${what}: ${counts.get(what) ?? 0}`);
  for (const what of ["noData", "0 endpoints", "1 endpoints", "2 endpoints"])
    assert.ok((counts.get(what) ?? 0) > 50, `${what}: ${counts.get(what) ?? 0}`);
});

test("the independent reader imports nothing of this repository and stays within 400 lines", () => {
  const source = readFileSync(new URL("independent-reader.ts", import.meta.url), "utf8");
  const imports = [...source.matchAll(/from "([^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(imports, ["node:zlib"]);
  assert.ok(source.split("\n").length <= 401);
});
