// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { DataSets, classifierCompiler, compile } from "@meridian/control";
import { OverlayMirror, rehearseRevision, type RehearsedRevision } from "@meridian/edge";
import { RevisionRehearsal } from "@meridian/health";
import { loadModel } from "@meridian/model";
import { SectionPack, World } from "@meridian/snapshot";

const SEED = 1;
const DOCUMENTS = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: a}
spec: {origin: a.example, nameServers: [{name: ns.example.net}], records: [{name: www, type: A, values: ["192.0.2.1"]}]}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: p}
spec: {members: {one: {address: 192.0.2.1}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: t}
spec: {root: root, nodes: {root: {weighted: {branches: [{pool: p, weight: 1}]}}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: r}
spec: {name: r.a.example, types: [A], policy: t}
`;

function served(): RehearsedRevision {
  const { model } = loadModel([{ path: "model.yaml", bytes: Buffer.from(DOCUMENTS) }], { now: 0 });
  assert.ok(model !== undefined);
  const { sections } = compile(model, { seed: SEED, classify: classifierCompiler(new DataSets()) });
  const pack = SectionPack.make(sections);
  assert.ok(!("error" in pack));
  const world = World.load(pack.sections, SEED);
  assert.ok(!("error" in world));
  const start = { revision: 3, sequence: 9, slots: world.initialSlots() };
  return { pack, world, seed: SEED, mirror: new OverlayMirror(world, start, () => {}) };
}

test("rehearseRevision() takes a revision in once more and leaves what is served as it is", () => {
  const revision = served();
  const bytes = revision.pack.sections.map((section) => section.copy());
  const slots = revision.mirror.copy();
  assert.equal(rehearseRevision(revision), true);
  assert.deepEqual(
    revision.pack.sections.map((section) => section.copy()),
    bytes,
  );
  assert.deepEqual(revision.mirror.copy(), slots);
  assert.equal(revision.mirror.sequence, 9);
});

test("RevisionRehearsal rehearses some times after the first revision, while none is taken", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let [asked, isResting] = [0, false];
  const rehearsal = new RevisionRehearsal({
    rehearse: () => {
      asked += 1;
      return isResting;
    },
    onFailed: assert.fail,
  });
  const passSeconds = (seconds: number): void => {
    for (let tenth = 0; tenth < seconds * 10; tenth++) context.mock.timers.tick(100);
  };
  passSeconds(2);
  assert.equal(asked, 0);
  rehearsal.follow();
  passSeconds(2);
  assert.ok(asked > 0);
  isResting = true;
  asked = 0;
  passSeconds(5);
  assert.equal(asked, 16);
  rehearsal.follow();
  passSeconds(5);
  assert.equal(asked, 16);
  rehearsal.close();
});
