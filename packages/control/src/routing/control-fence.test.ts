// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { unset, type ControlState, type Standings } from "./control-change.ts";
import {
  bindingsPrint,
  fencedChange,
  formatFence,
  noFence,
  parseFence,
  settledChange,
  wantedStandings,
  type ControlFence,
} from "./control-fence.ts";

const bindings = { print: "p", bound: new Set(["a", "b", "c"]) };
const known: ControlFence = { ...noFence, known: "p" };

function standings(states: Readonly<Record<string, ControlState>>): Standings {
  return new Map(
    Object.entries(states).map(([name, state]) => [name, { ...unset, state, changedAtMs: 1 }]),
  );
}

function shown(all: Standings): string {
  return [...all].map(([name, { state }]) => `${name} ${state}`).join(" ");
}

/** What a change comes to at once, and what waits. */
function change(before: Standings, fence: ControlFence, wanted: Standings): string {
  const next = fencedChange(before, fence, wanted, bindings, 7);
  const { settling, pending } = next.fence;
  return `${shown(next.standings)}; settling ${settling.join()}; pending ${[...pending.keys()].join()}`;
}

test("fencedChange() turns off at once, and on when nothing that is Off may be answered", () => {
  const eu = standings({ a: "On", b: "Off" });
  const us = standings({ a: "Off", b: "On" });
  assert.equal(change(eu, known, us), "a Off b Off; settling a; pending b");
  // Turned off by a change before, and not settled.
  const off = standings({ a: "Off", b: "Off" });
  assert.equal(
    change(off, { ...known, settling: ["a"] }, us),
    "a Off b Off; settling a; pending b",
  );
  assert.equal(change(off, known, us), "a Off b On; settling ; pending ");
  // An edge may not know yet what is fenced.
  assert.equal(change(off, noFence, us), "a Off b Off; settling ; pending b");
  // Back: what was to be On was answered by nobody.
  const pending = new Map([["b", { ...unset, changedAtMs: 3 }]]);
  const running = { ...known, settling: ["a"], pending };
  assert.equal(change(off, running, eu), "a On b Off; settling ; pending ");
  // Another one in its place waits as well.
  const other = standings({ a: "Off", b: "Off", c: "On" });
  const withC = standings({ a: "Off", b: "Off", c: "Off" });
  assert.equal(change(withC, running, other), "a Off b Off c Off; settling a; pending c");
  // What is bound to nothing needs no hand-over.
  assert.equal(
    change(standings({ gate: "On", b: "Off" }), known, standings({ gate: "Off", b: "On" })),
    "gate Off b On; settling ; pending ",
  );
});

test("settledChange() turns on what waits, once, and knows the bindings", () => {
  const off = standings({ a: "Off", b: "Off" });
  const fence = { ...noFence, settling: ["a"], pending: standings({ b: "On" }), startedAtMs: 7 };
  assert.equal(shown(wantedStandings(off, fence)), "a Off b On");
  const next = settledChange(off, fence, "p");
  assert.equal(shown(next.standings), "a Off b On");
  assert.deepEqual(next.fence, { ...noFence, known: "p" });
  assert.deepEqual(settledChange(next.standings, next.fence, "p"), next);
});

test("parseFence() reads what formatFence() writes", () => {
  const fence = { known: "p", settling: ["a"], pending: standings({ b: "On" }), startedAtMs: 7 };
  assert.deepEqual(parseFence(formatFence(fence)), fence);
  assert.deepEqual(parseFence(undefined), noFence);
});

test("bindingsPrint() is another for another panel, control or target, and no other order", () => {
  const panel = { uid: "u", revision: 1 };
  const a = { name: "a", uid: "1", targets: ["pool/x", "pool/y"] };
  const b = { name: "b", uid: "2", targets: ["site/z"] };
  const print = bindingsPrint(panel, [a, b]);
  assert.equal(bindingsPrint(panel, [b, { ...a, targets: a.targets.toReversed() }]), print);
  assert.equal(bindingsPrint(panel, [a, b, { name: "gate", uid: "3", targets: [] }]), print);
  for (const other of [
    bindingsPrint({ uid: "v", revision: 1 }, [a, b]),
    bindingsPrint({ uid: "u", revision: 2 }, [a, b]),
    bindingsPrint(panel, [a]),
    bindingsPrint(panel, [a, { ...b, uid: "3" }]),
    bindingsPrint(panel, [a, { ...b, targets: [] }]),
  ])
    assert.notEqual(other, print);
});
