// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parsePrefix } from "../location/prefix.ts";
import { openSection } from "../section.ts";
import type { TransferRule } from "../zone/transfer-settings.ts";
import { NO_VIEW, ViewTable, viewsError } from "./view-table.ts";
import { writeViews, type ViewInput } from "./view-table-writer.ts";

const KEYS = ["k1", "k2", "k3"];

/** Few bits, so that networks nest and addresses fall into them. */
const ipv4 = fc
  .tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(0, 6, 8, 15, 16, 32),
  )
  .map(([a, b, length]) => canonical([a, b, 0, 0], length));
const ipv6 = fc
  .tuple(
    fc.constantFrom(0x20, 0xfd, 0),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(0, 7, 16, 70, 128),
  )
  .map(([a, b, length]) => canonical([a, b, ...new Array<number>(13).fill(0), 1], length));
const rule: fc.Arbitrary<TransferRule> = fc.record(
  {
    clients: fc.array(fc.oneof(ipv4, ipv6), { minLength: 1, maxLength: 4 }),
    key: fc.constantFrom(...KEYS),
  },
  { requiredKeys: [] },
);
const views = fc
  .array(fc.array(rule, { minLength: 1, maxLength: 3 }), { maxLength: 5 })
  .map((all): ViewInput[] => all.map((match, index) => ({ name: `v${index}`, match, keys: [] })));
const client = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }))
    .map(([a, b]) => [a, b, 0, 0]),
  fc
    .tuple(
      fc.constantFrom(0x20, 0xfd, 0, 0xfc),
      fc.integer({ min: 0, max: 4 }),
      fc.constantFrom(0, 1),
    )
    .map(([a, b, last]) => [a, b, ...new Array<number>(13).fill(0), last]),
);

function tableOf(inputs: readonly ViewInput[]): ViewTable {
  const keys = KEYS.map((name) => ({ name, algorithm: "hmac-sha256", secret: name }));
  const section = openSection(
    writeViews(inputs.map((view, index) => (index === 0 ? { ...view, keys } : view))).buffer,
  );
  assert.ok(!("error" in section));
  assert.equal(viewsError(section), undefined);
  return ViewTable.open(section);
}

/** The obvious twin: view after view, rule after rule, bit after bit. */
function slowView(inputs: readonly ViewInput[], address: readonly number[], key: number): number {
  return inputs.findIndex(({ match }) =>
    match.some(
      ({ clients, key: wanted }) =>
        (wanted === undefined || wanted === KEYS[key]) &&
        (clients === undefined || clients.some((text) => lies(address, text))),
    ),
  );
}

function lies(address: readonly number[], text: string): boolean {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined);
  if ((prefix.family === 4 ? 4 : 16) !== address.length) return false;
  const bits = (bytes: readonly number[]): string =>
    bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const words = prefix.words.flatMap((word) =>
    [word >>> 24, word >>> 16, word >>> 8, word].map((byte) => byte & 0xff),
  );
  return bits(words).slice(0, prefix.length) === bits(address).slice(0, prefix.length);
}

test("find() says the first view that a client fits, as its twin does", () => {
  fc.assert(
    fc.property(views, client, fc.integer({ min: -1, max: 2 }), (inputs, address, key) => {
      const source = Uint8Array.from([9, ...address]);
      const found = tableOf(inputs.length === 0 ? [] : inputs).find(
        source,
        1,
        address.length === 4 ? 4 : 6,
        inputs.length === 0 ? -1 : key,
      );
      assert.equal(found, slowView(inputs, address, key));
    }),
    { numRuns: 500 },
  );
});

test("find() has no view for anybody where there are no rules", () => {
  assert.equal(tableOf([]).find(Uint8Array.of(10, 0, 0, 1), 0, 4, -1), NO_VIEW);
});

test("nobody fits a rule that names a key which is not there", () => {
  const match = [{ key: "k9" }, { clients: ["10.0.0.0/8"], key: "k9" }];
  const table = tableOf([{ name: "a", match, keys: [] }]);
  for (const key of [-1, 0, 1, 2])
    assert.equal(table.find(Uint8Array.of(10, 0, 0, 1), 0, 4, key), NO_VIEW);
});

test("viewsError() refuses what points elsewhere", () => {
  const good = writeViews([{ name: "a", match: [{ clients: ["10.0.0.0/8"] }], keys: [] }]);
  const section = openSection(good.buffer);
  assert.ok(!("error" in section));
  for (const [table, word] of [
    [25, 1],
    [26, 0],
    [26, 1],
  ] as const) {
    const at = section.wordBase(table) + word;
    const kept = section.words[at] ?? 0;
    section.words[at] = 77;
    assert.match(viewsError(section) ?? "", /Views section/);
    section.words[at] = kept;
  }
  assert.equal(viewsError(section), undefined);
});

function canonical(bytes: readonly number[], length: number): string {
  const masked = bytes.map(
    (byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, length - index * 8))) & 0xff,
  );
  const text =
    bytes.length === 4
      ? masked.join(".")
      : Array.from({ length: 8 }, (_, index) =>
          (((masked[index * 2] ?? 0) << 8) | (masked[index * 2 + 1] ?? 0)).toString(16),
        ).join(":");
  return `${text}/${length}`;
}
