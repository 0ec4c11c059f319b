// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { edgesOf, momentsOf, type ControlStatus } from "./control-peers.ts";
import type { EdgeView } from "./edge-hub.ts";

const NOW_MS = 100_000;

test("momentsOf() counts each edge once, as the control sees it that has it, whatever its clock says", () => {
  const all = momentsOf(
    [
      statusOf("c0", [edgeOf("a", 7), { ...edgeOf("b", 5), connected: false, standing: "silent" }]),
      // Its clock is an hour ahead.
      statusOf("c1", [
        { ...edgeOf("a", 6), connected: false, standing: "silent" },
        { ...edgeOf("b", 7), lastWordMs: NOW_MS + 3_600_000 },
        { ...edgeOf("c", 9), epoch: 1 },
        { ...edgeOf("d", 7), standing: "revoked" },
        { ...edgeOf("e", 3), connected: false, standing: "silent", lastWordMs: undefined },
      ]),
    ],
    2,
    NOW_MS,
  );
  assert.deepEqual(all, [
    { name: "a", revision: 7, silentMs: 0 },
    { name: "b", revision: 7, silentMs: 0 },
    // Of an epoch before this one.
    { name: "c", revision: 0, silentMs: 0 },
    { name: "e", revision: 3, silentMs: Infinity },
  ]);
});

test("edgesOf() has the newest certificate of an edge, whichever control made it", () => {
  const all = edgesOf([
    statusOf("c0", [{ ...edgeOf("a", 7), certificateEndsMs: 1000 }, edgeOf("b", 7)]),
    statusOf("c1", [{ ...edgeOf("a", 6), connected: false, certificateEndsMs: 2000 }]),
  ]);
  assert.deepEqual(
    all.map(({ name, control, certificateEndsMs }) => ({ name, control, certificateEndsMs })),
    [
      { name: "a", control: "c0", certificateEndsMs: 2000 },
      { name: "b", control: "c0", certificateEndsMs: undefined },
    ],
  );
});

function edgeOf(name: string, revision: number): EdgeView {
  return {
    ...{ name, connected: true, standing: "serving", epoch: 2, revision, sequence: 1 },
    ...{ lastWordMs: NOW_MS, version: "1", address: "", staleMs: 0, answers: undefined },
  };
}

function statusOf(name: string, edges: readonly EdgeView[]): ControlStatus {
  const control: ControlStatus["control"] = {
    name,
    role: "leader",
    standing: "agrees",
    epoch: 2,
    revision: 7,
    storeRevision: 7,
    storeAgeMs: 0,
    version: "1",
    address: "",
    certificateEndsMs: undefined,
    authorityEndsMs: undefined,
  };
  return { control, edges };
}
