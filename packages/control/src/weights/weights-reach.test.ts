// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { EdgeHub, type EdgeStream } from "../edges/edge-hub.ts";
import { ServedWeights, isControlReach, reachOfAll } from "./weights-reach.ts";

const edge = (name: string): { name: string; revision: number } => ({ name, revision: 1 });

test("a change of weights has reached whom the overlay has reached as it was then, whatever comes later", async () => {
  let [sequence, storeRevision, hasSeen] = [4, 10, 4];
  let change = Promise.resolve();
  const served = new ServedWeights({
    weights: { look: () => change },
    storeRevision: () => storeRevision,
    place: () => ({ revision: 1, sequence }),
    behind: (place) => ({ waiting: place.sequence > hasSeen ? [edge("eu")] : [], silent: [] }),
  });
  assert.equal(served.known(), undefined);
  assert.deepEqual(await served.reach(), { asOf: 10, waiting: [], silent: [] });
  const changed = Promise.withResolvers<void>();
  change = changed.promise;
  storeRevision = 11;
  const asked = served.reach();
  // It is not in the overlay yet: what is known is of before.
  assert.equal(served.known()?.asOf, 10);
  sequence = 5;
  changed.resolve();
  assert.deepEqual(await asked, { asOf: 11, waiting: [edge("eu")], silent: [] });
  // Health goes on changing slots: that is not waited for.
  sequence = 9;
  hasSeen = 5;
  assert.deepEqual((await served.reach()).waiting, []);
  assert.deepEqual(served.known(), { asOf: 11, waiting: [], silent: [] });
  change = Promise.reject(new Error("closed"));
  await assert.rejects(served.reach(), /closed/);
  assert.equal(served.known()?.asOf, 11);
});

test("of all controls those that have not seen the weights are waited for, and edges that are silent everywhere are listed", () => {
  const at = (asOf: number, waiting: readonly string[], silent: readonly string[]) => ({
    ...{ asOf, waiting: waiting.map(edge), silent: silent.map(edge) },
  });
  assert.deepEqual(
    reachOfAll(7, [
      { name: "a", reach: at(7, ["us"], ["ap", "eu"]) },
      { name: "b", reach: at(6, ["eu"], ["ap", "us"]) },
      { name: "away" },
    ]),
    {
      waiting: [{ name: "control b", revision: 0 }, edge("eu"), edge("us")],
      silent: [edge("ap")],
    },
  );
  assert.deepEqual(reachOfAll(7, [{ name: "a", reach: at(8, [], []) }]), {
    ...{ waiting: [], silent: [] },
  });
  assert.ok(isControlReach(JSON.parse(JSON.stringify(at(1, ["a"], [])))));
  for (const wrong of [{}, { ...at(1, [], []), waiting: 3 }, { ...at(1, [], []), silent: [{}] }])
    assert.ok(!isControlReach(wrong));
});

test("an edge is behind until it acknowledges the place or a later revision, and after 3 s of silence it is not waited for", () => {
  let nowMs = 0;
  const hub = new EdgeHub({ wallMs: () => nowMs, monotonicMs: () => nowMs });
  const stream: EdgeStream = { backlogBytes: 0, write: () => {}, end: () => {} };
  const place = { revision: 2, sequence: 5 };
  const names = (): unknown[] => {
    const { waiting, silent } = hub.behind(place, ["eu", "us"]);
    return [waiting.map(({ name }) => name), silent.map(({ name }) => name)];
  };
  const position = (revision: number, sequence: number) => ({ epoch: 1, revision, sequence });
  const hello = {
    ...{ ...position(2, 4), protocol: 1, version: "0", dns: [] },
    ...{ takesSections: false, takesShifts: false, takesLeases: false },
  };
  hub.join("eu", hello, stream, "192.0.2.1");
  assert.deepEqual(names(), [["eu"], ["us"]]);
  const told = (revision: number, sequence: number): unknown[] => {
    const served = { ...position(revision, sequence), hash: "0".repeat(64), unmovedMs: 0 };
    hub.acknowledge("eu", stream, served);
    return names();
  };
  assert.deepEqual(told(1, 99), [["eu"], ["us"]]);
  assert.deepEqual(told(2, 5), [[], ["us"]]);
  assert.deepEqual(told(3, 0), [[], ["us"]]);
  assert.deepEqual(told(2, 4), [["eu"], ["us"]]);
  nowMs = 3001;
  assert.deepEqual(names(), [[], ["eu", "us"]]);
});
