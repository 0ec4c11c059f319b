// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MeridianError } from "@meridian/core";
import { SectionKind } from "@meridian/snapshot";
import fc from "fast-check";
import { compile } from "./compile.ts";
import { worldOf } from "@meridian/snapshot";
import { changedSections, compileModel, modelOf } from "./testing/control-fixture.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";

const zone = (origin: string): string =>
  `${header} Zone\nmetadata: {name: ${origin}}\nspec: {origin: ${origin}, nameServers: [{name: ns.example.net}]}\n`;
const pool = (name: string, last: number): string =>
  `${header} Pool\nmetadata: {name: ${name}}\nspec: {members: {one: {address: 192.0.2.${last}}, two: {address: 2001:db8::${last}}}}\n`;
const policy = (name: string, to: string): string =>
  `${header} TrafficPolicy\nmetadata: {name: ${name}}\nspec: {root: w, nodes: {w: {weighted: {branches: [{pool: ${to}, weight: 2}, {name: other.example.net, weight: 1}]}}, spare: {subnet: {branches: [{pool: ${to}, prefixes: [192.0.2.0/24]}]}}}}\n`;
const record = (name: string, to: string): string =>
  `${header} Record\nmetadata: {name: ${name}}\nspec: {name: ${name}, ${to}}\n`;

const documents = [
  zone("example.org"),
  zone("example.com"),
  ...["a", "b", "c"].map((name, at) => pool(name, at + 1)),
  policy("p", "a"),
  policy("q", "b"),
  record("www.example.org", "policy: p"),
  record("www.example.com", "pool: c"),
];

const compiledOf = (texts: readonly string[]): ReturnType<typeof compileModel> =>
  compileModel(modelOf(texts.join("---\n")));

test("the same documents in any order give the same bytes", () => {
  const expected = compiledOf(documents).sections.map(({ name }) => name);
  fc.assert(
    fc.property(fc.shuffledSubarray(documents, { minLength: documents.length }), (shuffled) => {
      assert.deepEqual(
        compiledOf(shuffled).sections.map(({ name }) => name),
        expected,
      );
    }),
    { numRuns: 20 },
  );
});

test("one more pool changes one section, one more record the zone and its names", () => {
  const before = compiledOf(documents).sections;
  assert.equal(changedSections(before, compiledOf([...documents, pool("d", 9)]).sections), 1);
  const recorded = compiledOf([...documents, record("new.example.com", "pool: a")]).sections;
  assert.ok(changedSections(before, recorded) <= 3);
});

test("policies with equal inputs share one classifier", () => {
  const { sections } = compiledOf(documents);
  assert.equal(sections.filter(({ kind }) => kind === SectionKind.classifier).length, 1);
});

test("what is compiled is loaded, with every link resolved", () => {
  const world = worldOf(compiledOf(documents).sections, 1);
  assert.ok(typeof world === "object");
  assert.equal(world.pools.poolCount, 3);
  assert.equal(world.policies.policyCount, 2);
  assert.equal(world.zones.zones.length, 2);
  for (const zone of world.zones.zones) {
    const chunk = zone.chunkAt(0);
    for (let link = 0; link < chunk.linkCount; link++) assert.ok(chunk.targetOf(link) >= 0);
  }
});

test("a policy that cannot be compiled is refused with its name and the reason", () => {
  const model = modelOf(documents.join("---\n"));
  const refused = (): unknown =>
    compile(model, {
      seed: 1,
      classify: () => {
        throw new Error("the data set is torn");
      },
    });
  assert.throws(refused, (error: unknown) => {
    assert.ok(error instanceof MeridianError);
    assert.equal(error.code, "COMPILE_FAILED");
    assert.match(error.message, /^Cannot compile policy "default\/p": the data set is torn$/);
    return true;
  });
});
