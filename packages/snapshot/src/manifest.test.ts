// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import fc from "fast-check";
import { SectionKind } from "./section.ts";
import {
  cutManifest,
  encodeManifest,
  isLater,
  makeManifest,
  parseManifest,
  wholeOf,
  type ManifestSection,
} from "./manifest.ts";

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.constantFrom(..."0123456789abcdef".split("")),
    minLength: digits,
    maxLength: digits,
  });

const sectionArbitrary = fc.record({
  kind: fc.nat(9),
  key: hex(16),
  name: hex(64),
  bytes: fc.nat(0x4000_0000),
});

const one: ManifestSection = { kind: 2, key: "0".repeat(16), name: "a".repeat(64), bytes: 64 };

test("a manifest is read back as it was made", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(),
      fc.array(sectionArbitrary, { maxLength: 6 }),
      fc.maxSafeNat(),
      (revision, seed, sections, epoch) => {
        const manifest = makeManifest(revision, seed, sections, epoch);
        assert.deepEqual(parseManifest(encodeManifest(manifest)), manifest);
      },
    ),
  );
});

test("isLater() orders by epoch first, as a restored store has lower revisions", () => {
  const at = (epoch: number, revision: number): { epoch: number; revision: number } => ({
    epoch,
    revision,
  });
  assert.ok(isLater(at(2, 1), at(1, 9)));
  assert.ok(isLater(at(1, 9), at(1, 8)));
  assert.ok(!isLater(at(1, 9), at(1, 9)));
  assert.ok(!isLater(at(1, 9), at(2, 1)));
});

test("the hash covers seed and sections, and neither revision nor the order of members", () => {
  const { hash } = makeManifest(1, 7, [one]);
  const text = `7\n2 ${one.key} ${one.name} 64\n`;
  assert.equal(hash, createHash("sha256").update(text).digest("hex"));
  assert.equal(makeManifest(2, 7, [one], 3).hash, hash);
  assert.equal(
    makeManifest(1, 7, [{ bytes: 64, name: one.name, key: one.key, kind: 2 }]).hash,
    hash,
  );
  assert.notEqual(makeManifest(1, 8, [one]).hash, hash);
  assert.notEqual(makeManifest(1, 7, [{ ...one, bytes: 72 }]).hash, hash);
});

test("a cut lacks the zones that are withheld, and nothing else", () => {
  const section = (kind: number, text: string, digit: string): ManifestSection => ({
    kind,
    key: key64(text).toString(16).padStart(16, "0"),
    name: digit.repeat(64),
    bytes: 64,
  });
  const shared = section(SectionKind.pools, "pools", "1");
  const zones = ["a.example", "b.example"].map((origin, at) => [
    section(SectionKind.zone, `zone/${origin}`, `${at + 2}`),
    section(SectionKind.names, `names/${origin}/0`, `${at + 4}`),
    section(SectionKind.names, `names/${origin}/1`, `${at + 6}`),
  ]);
  const whole = makeManifest(3, 7, [shared, ...zones.flat()]);
  const cut = cutManifest(whole, ["b.example", "unknown.example"]);
  assert.deepEqual(cut.sections, [shared, ...(zones[0] ?? [])]);
  assert.equal(wholeOf(cut), whole.hash);
  assert.notEqual(cut.hash, whole.hash);
  assert.deepEqual(parseManifest(encodeManifest(cut)), cut);
  assert.equal(cutManifest(whole, ["unknown.example"]), whole);
});

test("bytes that are torn or altered are refused with a reason", () => {
  const whole = encodeManifest(makeManifest(3, 7, [one, { ...one, kind: 3 }]));
  fc.assert(
    fc.property(fc.nat(whole.length - 2), (length) => {
      assert.equal(typeof parseManifest(whole.slice(0, length)), "string");
    }),
  );
  const refusal = (from: string, to: string): string => {
    const parsed = parseManifest(whole.replace(from, to));
    return typeof parsed === "string" ? parsed : "accepted";
  };
  assert.match(refusal('"seed": 7', '"seed": 8'), /Manifest hash is/);
  assert.match(refusal('"format": 1', '"format": 2'), /format is 2/);
  assert.match(refusal('"revision": 3', '"revision": -3'), /lacks a member/);
  assert.match(refusal('"epoch": 1', '"epoch": "1"'), /lacks a member/);
  for (const text of ["", "null", "[]", "{}", '{"format":1}', "\u0000"])
    assert.equal(typeof parseManifest(text), "string");
});

test("section names that would leave the folder are refused", () => {
  const whole = encodeManifest(makeManifest(3, 7, [one]));
  const escaping = `../${"a".repeat(61)}`;
  assert.equal(typeof parseManifest(whole.replaceAll(one.name, escaping)), "string");
});
