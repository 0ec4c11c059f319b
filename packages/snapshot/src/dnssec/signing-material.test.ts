// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  SigningMaterials,
  encodeSigningMaterial,
  parseSigningMaterial,
  withMaterial,
  type SigningMaterial,
} from "./signing-material.ts";

const sample: SigningMaterial = {
  zone: new Uint8Array(Buffer.from("\x07example\x03org\x00", "latin1")),
  sequence: 3,
  denial: "nsec",
  signatureValiditySeconds: 1_209_600,
  refreshSeconds: 604_800,
  apex: [{ type: 48, ttl: 3600, rdatas: [Uint8Array.of(1, 0, 3, 13)], rrsigs: [Uint8Array.of(9)] }],
  keys: [
    {
      keyTag: 7,
      algorithm: 13,
      publicKey: new Uint8Array(64).fill(1),
      privateKey: new Uint8Array(138).fill(2),
      signs: true,
    },
  ],
};

test("parseSigningMaterial() reads what encodeSigningMaterial() wrote", () => {
  assert.deepEqual(parseSigningMaterial(encodeSigningMaterial(sample)), sample);
});

test("parseSigningMaterial() refuses what lacks a field, a signing key, or is out of bounds", () => {
  const without = (change: Partial<SigningMaterial>): string =>
    encodeSigningMaterial({ ...sample, ...change });
  const [key] = sample.keys;
  assert.ok(key !== undefined);
  for (const text of [
    "",
    "[]",
    "null",
    without({ keys: [] }),
    without({ keys: [{ ...key, signs: false }] }),
    without({ keys: [{ ...key, algorithm: 256 }] }),
    without({ refreshSeconds: sample.signatureValiditySeconds }),
    without({ zone: Uint8Array.of(3, 65, 66, 67, 0) }),
    without({ zone: Uint8Array.of(3, 65, 66) }),
    without({ sequence: -1 }),
    without({ keys: new Array<typeof key>(17).fill(key) }),
    `${encodeSigningMaterial(sample)}${" ".repeat(140_000)}`,
  ])
    assert.equal(parseSigningMaterial(text), undefined, text.slice(0, 200));
});

test("parseSigningMaterial() never throws", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.equal(parseSigningMaterial(text), undefined);
    }),
  );
});

test("withMaterial() replaces the material of a zone alone", () => {
  const other = { ...sample, zone: Uint8Array.of(1, 97, 0) };
  const newer = { ...sample, sequence: 4 };
  assert.deepEqual(withMaterial([sample, other], newer), [other, newer]);
});

test("a zone of a view is signed as its origin outside, unless keys of its own or elsewhere sign it", () => {
  const materials = new SigningMaterials([sample]);
  const asked = { origin: sample.zone, view: "internal", hasOwnKeys: false, isPresigned: false };
  assert.equal(materials.of(asked), sample);
  assert.equal(materials.of({ ...asked, hasOwnKeys: true }), undefined);
  assert.equal(materials.of({ ...asked, isPresigned: true }), undefined);
  assert.equal(materials.of({ ...asked, view: undefined, isPresigned: true }), sample);
});
