// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { key64 } from "@meridian/core";
import { encodeMessage, makeQuery, parseName, RRType } from "@meridian/dns";
import { LOOK_AHEAD_MAX, LookAhead } from "./look-ahead.ts";
import { Candidates, Mode } from "./pools/candidates.ts";
import { branch, loadWorld, member, node, pool } from "./testing/world-fixture.ts";
import { TargetKind } from "./zone/zone-format.ts";
import { ZoneWriter } from "./zone/zone-writer.ts";

const STRIDE = 512;
const NAMES = 200;

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array, `"${text}" is a name`);
  return name;
}

/** Names `n0` … of example.org at a policy of two pools, and others that lead elsewhere. */
function lookAhead(): { readonly ahead: LookAhead; readonly slots: Uint32Array } {
  const zone = new ZoneWriter(wire("example.org."));
  const bound = { ttlMin: 5, ttlMax: 60 };
  const policy = {
    ...bound,
    targetKind: TargetKind.policy,
    targetKey: key64("policy/default/p"),
  } as const;
  for (let index = 0; index < NAMES; index++)
    zone.addBinding(wire(`n${index}.example.org.`), [RRType.A], policy);
  zone.addBinding(wire("pool.example.org."), [RRType.A], {
    ...bound,
    targetKind: TargetKind.pool,
    targetKey: key64("pool/default/a"),
  });
  zone.addRecord(wire("example.org."), RRType.NS, 60, wire("ns.example.org."));
  zone.addRecord(wire("plain.example.org."), RRType.A, 60, Uint8Array.of(192, 0, 2, 9));
  const world = loadWorld(
    [pool("default/a", [member("x", 1)]), pool("default/b", [member("y", 2)])],
    [
      {
        name: "default/p",
        root: "w",
        nodes: [
          node("w", "weighted", [branch({ pool: "default/a" }), branch({ pool: "default/b" })]),
        ],
      },
    ],
    zone.finish(),
  );
  const counters = {
    words: new Uint32Array(64),
    policyBase: 1,
    endpointBase: 10,
    nodeBase: 20,
    branchBase: 30,
  };
  const ahead = new LookAhead(world, new Candidates(world.pools, Mode.verdict), counters);
  return { ahead, slots: world.initialSlots() };
}

function poolsOf(packets: readonly Uint8Array[]): number {
  const { ahead, slots } = lookAhead();
  const input = new Uint8Array(packets.length * STRIDE);
  const lengths = new Int32Array(packets.length);
  for (const [index, packet] of packets.entries()) {
    input.set(packet, index * STRIDE);
    lengths[index] = packet.length;
  }
  return ahead.run(input, STRIDE, lengths, packets.length, slots);
}

const asked = (...names: readonly string[]): number =>
  poolsOf(names.map((name) => encodeMessage(makeQuery(wire(name), RRType.A))));

test("run() comes to both pools of each name that is bound to the policy, in any case", () => {
  const names = Array.from({ length: LOOK_AHEAD_MAX }, (_, index) =>
    index % 2 === 0 ? `n${index}.example.org.` : `N${index}.Example.ORG.`,
  );
  assert.equal(asked(...names), LOOK_AHEAD_MAX * 2);
});

test("run() passes over what leads to no policy, and goes on behind it", () => {
  assert.equal(
    asked("plain.example.org.", "pool.example.org.", "no.example.org.", "n1.example.net.", "."),
    0,
  );
  assert.equal(asked("no.example.org.", "n7.example.org.", "example.org.", "n8.example.org."), 4);
});

test("run() looks at no more queries than it has room for", () => {
  const names = Array.from({ length: LOOK_AHEAD_MAX + 9 }, (_, index) => `n${index}.example.org.`);
  assert.equal(asked(...names), LOOK_AHEAD_MAX * 2);
});

test("run() takes any bytes", () => {
  const query = encodeMessage(makeQuery(wire("n1.example.org."), RRType.A));
  const broken = fc
    .tuple(fc.nat(query.length), fc.array(fc.tuple(fc.nat(query.length - 1), fc.nat(255))))
    .map(([length, changes]) => {
      const packet = Uint8Array.from(query);
      for (const [at, byte] of changes) packet[at] = byte;
      return packet.subarray(0, length);
    });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(broken, fc.uint8Array({ maxLength: STRIDE })), { maxLength: 8 }),
      (packets) => {
        const count = poolsOf([...packets, query]);
        assert.ok(count >= 2 && count <= (packets.length + 1) * 2);
      },
    ),
    { numRuns: 50 },
  );
});
