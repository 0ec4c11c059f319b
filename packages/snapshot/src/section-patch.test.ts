// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  patchPolicies,
  writePolicies,
  type BranchInput,
  type NodeInput,
  type PolicyInput,
} from "./policies/policies-writer.ts";
import {
  patchPools,
  writePools,
  type EndpointInput,
  type PoolInput,
} from "./pools/pools-writer.ts";
import { openSection, type Section } from "./section.ts";
import type { WrittenSection } from "./section-writer.ts";
import { SpareCopy } from "./spare-copy.ts";

function open({ buffer }: WrittenSection): Section {
  const section = openSection(buffer);
  assert(!("error" in section));
  return section;
}

function after<Input extends { readonly name: string }>(
  before: readonly Input[],
  set: readonly Input[],
  removed: readonly string[],
): Input[] {
  const all = new Map(before.map((input) => [input.name, input]));
  for (const name of removed) all.delete(name);
  for (const input of set) all.set(input.name, input);
  return [...all.values()];
}

/** Few names, so that texts are shared between pools, members and sites. */
const text = fc.constantFrom("a", "b", "eu", "us", "web", "ä", "z9");
const hostName = fc.constantFrom(
  Uint8Array.of(1, 97, 0),
  Uint8Array.of(1, 98, 4, 116, 101, 115, 116, 0),
);

const member: fc.Arbitrary<EndpointInput> = fc
  .record({
    name: text,
    ipv4: fc.option(fc.uint8Array({ minLength: 4, maxLength: 4 }), { nil: undefined }),
    ipv6: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }),
    hostName: fc.option(hostName, { nil: undefined }),
    resolve: fc.boolean(),
    weight: fc.nat(1000),
    priority: fc.nat(2),
    serve: fc.nat(2),
    isChecked: fc.boolean(),
    unknownServes: fc.boolean(),
    site: fc.oneof(fc.constant(""), text),
    failureDomain: text,
    capacity: fc.nat(9),
    port: fc.nat(65_535),
  })
  .map(({ ipv4, ipv6, hostName: host, ...rest }) => ({
    ...rest,
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...(host === undefined ? {} : { hostName: host }),
  }));

const pool: fc.Arbitrary<PoolInput> = fc.record({
  name: text.map((name) => `default/${name}`),
  members: fc.uniqueArray(member, { maxLength: 4, selector: ({ name }) => name }),
  answers: fc.nat(8),
  dial: fc.nat(1000),
  minHealthy: fc.constant(undefined),
});

const branch: fc.Arbitrary<BranchInput> = fc.record({
  target: fc.oneof(
    text.map((name) => ({ pool: `default/${name}` })),
    hostName.map((name) => ({ name })),
    text.map((node) => ({ node })),
  ),
  weight: fc.nat(100),
  dial: fc.nat(1000),
  tier: fc.nat(2),
  isFence: fc.boolean(),
  evaluateHealth: fc.boolean(),
});

const node: fc.Arbitrary<NodeInput> = fc
  .record({
    name: text,
    kind: fc.constantFrom("weighted", "failover", "geo", "sticky"),
    branches: fc.array(branch, { maxLength: 3 }),
    onAllUnhealthy: fc.constantFrom("parent", "open", "fallback"),
    fallback: fc.option(branch, { nil: undefined }),
    answers: fc.nat(3),
    minHealthy: fc.constant(undefined),
    classifier: fc.option(fc.bigInt({ min: 1n, max: 5n }), { nil: undefined }),
  })
  .map(({ fallback, classifier, ...rest }): NodeInput => ({
    ...rest,
    ...(fallback === undefined ? {} : { fallback }),
    ...(classifier === undefined ? {} : { classifier }),
  }));

const policy: fc.Arbitrary<PolicyInput> = fc
  .record({
    name: text.map((name) => `default/${name}`),
    nodes: fc.uniqueArray(node, { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
  })
  .map(({ name, nodes }) => ({ name, nodes, root: nodes.at(-1)?.name ?? "" }));

function changes<Input extends { readonly name: string }>(
  input: fc.Arbitrary<Input>,
): fc.Arbitrary<{
  readonly before: Input[];
  readonly set: Input[];
  readonly removed: string[];
}> {
  const some = fc.uniqueArray(input, { maxLength: 6, selector: ({ name }) => name });
  return fc.record({
    before: some,
    set: some,
    removed: fc.array(
      text.map((name) => `default/${name}`),
      { maxLength: 3 },
    ),
  });
}

test("patchPools() gives the very bytes of writePools()", () => {
  fc.assert(
    fc.property(changes(pool), ({ before, set, removed }) => {
      const patched = patchPools(open(writePools(before)), set, removed);
      assert.equal(patched.name, writePools(after(before, set, removed)).name);
    }),
    { numRuns: 300 },
  );
});

test("patchPolicies() gives the very bytes of writePolicies()", () => {
  fc.assert(
    fc.property(changes(policy), ({ before, set, removed }) => {
      const patched = patchPolicies(open(writePolicies(before)), set, removed);
      assert.equal(patched.name, writePolicies(after(before, set, removed)).name);
    }),
    { numRuns: 300 },
  );
});

/** Entries that are there, with other numbers, addresses and targets: most of these take the place that they had. */
function alike<Input extends { readonly name: string }>(
  input: fc.Arbitrary<Input>,
  merge: (old: Input, other: Input) => Input,
): fc.Arbitrary<{ readonly before: Input[]; readonly set: Input[] }> {
  const some = fc.uniqueArray(input, { minLength: 2, maxLength: 6, selector: ({ name }) => name });
  return fc
    .tuple(some, fc.array(input, { minLength: 1, maxLength: 2 }), fc.nat(5))
    .map(([before, others, first]) => ({
      before,
      set: others.slice(0, before.length).map((other, index) => {
        const old = before[(first + index) % before.length];
        assert(old !== undefined);
        return merge(old, other);
      }),
    }));
}

test("patchPools() gives the very bytes of writePools() where members have other numbers and addresses", () => {
  const merged = alike(pool, (old, { members, answers, dial }) => ({
    ...{ ...old, answers, dial },
    members: old.members.map(({ name, site, priority, ...own }, index) => {
      const other = members[index] ?? own;
      return { ...own, ...other, name, site, priority };
    }),
  }));
  fc.assert(
    fc.property(merged, ({ before, set }) => {
      const section = open(writePools(before));
      const patched = patchPools(section, set, []);
      assert.equal(patched.name, writePools(after(before, set, [])).name);
      const spare = new SpareCopy();
      spare.prepare(section);
      assert.equal(patchPools(section, set, [], spare).name, patched.name);
      assert.equal(open(writePools(before)).words.join(), section.words.join());
    }),
    { numRuns: 300 },
  );
});

test("patchPolicies() gives the very bytes of writePolicies() where branches have other numbers and targets", () => {
  const branchOf = (old: BranchInput, other: BranchInput | undefined): BranchInput =>
    other === undefined
      ? old
      : { ...old, weight: other.weight, dial: other.dial, tier: other.tier };
  const merged = alike(policy, (old, { nodes }) => ({
    ...old,
    nodes: old.nodes.map((own, index) => {
      const other = nodes[index];
      if (other === undefined) return own;
      const branches = own.branches.map((each, at) => {
        const found = other.branches[at];
        const target = found !== undefined && found.tier === 0 ? found.target : each.target;
        return { ...branchOf(each, found), target };
      });
      return { ...own, kind: other.kind, answers: other.answers, branches };
    }),
  }));
  fc.assert(
    fc.property(merged, ({ before, set }) => {
      const patched = patchPolicies(open(writePolicies(before)), set, []);
      assert.equal(patched.name, writePolicies(after(before, set, [])).name);
    }),
    { numRuns: 500 },
  );
});
