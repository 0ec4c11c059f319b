// SPDX-License-Identifier: Apache-2.0

// What the doctor says of zones that a validating resolver refuses: broken, expired and foreign signatures, and DS records that lead nowhere. One
// edge is parent and child, Unbound the resolver.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dsRdata, formatRdata, RRType } from "@meridian/dns";
import type { SigningMaterial } from "@meridian/snapshot";
import { examine } from "../../apps/meridian/src/doctor/examination.ts";
import { Progress } from "../../apps/meridian/src/progress.ts";
import { needs } from "../needs.ts";
import { startUnbound } from "../peers/unbound.ts";
import { RunningEdge } from "./running-edge.ts";
import { signingFixture, type SignedFixture } from "./signing-fixture.ts";
import { wire } from "./test-server.ts";

const DAY = 86_400;
const parent = "test.";
const child = "signed.test.";
const now = Math.floor(Date.now() / 1000);

interface Case {
  readonly material: SigningMaterial;
  /** DS rdata as text. */
  readonly ds: string;
  readonly codes: readonly string[];
}

function dsOf({ anchor }: SignedFixture): string {
  return formatRdata(RRType.DS, dsRdata(wire(child), anchor));
}

/** Fixtures with another signature of the keys. */
function withKeySignature(
  { material }: SignedFixture,
  change: (rrsig: Uint8Array) => Uint8Array,
): SigningMaterial {
  const apex = material.apex.map((set) => ({ ...set, rrsigs: set.rrsigs.map(change) }));
  return { ...material, apex };
}

function cases(good: SignedFixture): Record<string, Case> {
  const old = signingFixture(child, now - 60 * DAY);
  const early = signingFixture(child, now + 2 * DAY);
  const other = signingFixture(child, now);
  const ds = dsOf(good);
  const last = (rrsig: Uint8Array): Uint8Array =>
    rrsig.map((byte, at) => (at === rrsig.length - 1 ? byte ^ 1 : byte));
  const { material } = good;
  return {
    "all is right": { material, ds, codes: [] },
    "a broken signature": {
      material: withKeySignature(good, last),
      ds,
      codes: ["signature-wrong", "validation-fails"],
    },
    "expired signatures": {
      material: old.material,
      ds: dsOf(old),
      codes: ["signature-expired", "validation-fails"],
    },
    "signatures from the future": {
      material: early.material,
      ds: dsOf(early),
      codes: ["clock-skew", "validation-fails"],
    },
    "a key that is not published signs": {
      material: { ...material, keys: other.material.keys },
      ds,
      codes: ["signature-wrong", "validation-fails"],
    },
    "a wrong DS": {
      material,
      ds: dsOf(other),
      codes: ["ds-without-key", "validation-fails"],
    },
    "a DS of an unknown algorithm": {
      material,
      ds: `12345 99 2 ${"ab".repeat(32)}`,
      codes: ["ds-unknown", "validation-missing"],
    },
  };
}

test(
  "doctor names what makes a signed zone bogus",
  { skip: needs("unbound", "unbound") },
  async (t) => {
    const good = signingFixture(child, now);
    const root = signingFixture(parent, now);
    const edge = await RunningEdge.start();
    t.after(() => edge.close());
    for (const [what, { material, ds, codes }] of Object.entries(cases(good))) {
      const zones = [
        { origin: parent, text: parentZone(ds) },
        { origin: child, text: childZone },
      ];
      await edge.serve({ zones }, [root.material, material]);
      const { port } = edge.address;
      const resolver = await startUnbound(t, [
        { origin: parent, port, anchor: root.anchor },
        { origin: child, port },
      ]);
      const servers = ["ns1", "ns2"].map((name) => ({
        // Who is asked as the parent has the child, and no glue.
        ...{ name: `${name}.${child}`, addresses: ["127.0.0.1"], needsGlue: false },
      }));
      const findings = await examine(
        { origin: child.slice(0, -1), servers },
        {
          ...{ port, parents: [`127.0.0.1:${port}`], resolver: `127.0.0.1:${resolver}` },
          ...{ edges: [], seconds: 20, progress: new Progress() },
        },
      );
      const found = [...new Set(findings.map(({ code }) => code))];
      assert.deepEqual(
        found.filter((code) => code !== "ecs-ignored").toSorted(),
        codes,
        `${what}: ${JSON.stringify(findings)}`,
      );
    }
  },
);

const parentZone = (ds: string): string => `${parent} 60 IN SOA ns.test. h.test. 1 2 3 4 30
${parent} 60 IN NS ns.test.
ns.test. 60 IN A 127.0.0.1
${child} 60 IN NS ns1.${child}
${child} 60 IN NS ns2.${child}
${child} 60 IN DS ${ds}
ns1.${child} 60 IN A 127.0.0.1
ns2.${child} 60 IN A 127.0.0.1
`;

const childZone = `${child} 60 IN SOA ns1.${child} h.test. 1 2 3 4 30
${child} 60 IN NS ns1.${child}
${child} 60 IN NS ns2.${child}
ns1.${child} 60 IN A 127.0.0.1
ns2.${child} 60 IN A 127.0.0.1
`;
