// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatName, parseMasterFile, parseName } from "@meridian/dns";
import { readCatalog } from "./catalog-members.ts";

const apex = parseName("catalog.test.");
const base = "@ SOA . . 1 1 1 1 1\n@ NS invalid.\n";

function catalogOf(text: string): ReturnType<typeof readCatalog> {
  assert.ok(apex instanceof Uint8Array);
  const records: { owner: Uint8Array; type: number; rdata: Uint8Array }[] = [];
  parseMasterFile(Buffer.from(base + text), {
    ...{ origin: apex, defaultTtl: 0, fileName: "catalog", include: () => new Uint8Array(0) },
    onRecord: (owner, type, _ttl, rdata) =>
      records.push({ owner: Uint8Array.from(owner), type, rdata: Uint8Array.from(rdata) }),
  });
  return readCatalog(apex, records);
}

function read(text: string): readonly string[] | string {
  const found = catalogOf(text);
  return "error" in found ? found.error : found.members.map(({ origin }) => formatName(origin));
}

test("a catalog lists the zones that its members name; what is below a member is a property", () => {
  const text = 'version TXT "2"\na.zones PTR one.test.\nB.zones PTR two.test.\n';
  const more = 'group.a.zones TXT "signed"\ncoo.a.zones PTR other.test.\nzones TXT "x"\n';
  assert.deepEqual(read(text + more), ["one.test.", "two.test."]);
  assert.deepEqual(read('version TXT "2"\n'), []);
});

test("members say how they are to be set up, and where they go over to; of two places, none counts", () => {
  const text = `version TXT "2"
a.zones PTR one.test.
group.A.zones TXT "b" "a"
group.a.zones TXT "c"
coo.a.zones PTR other.test.
b.zones PTR two.test.
coo.b.zones PTR other.test.
coo.b.zones PTR third.test.
group.b.zones PTR group.test.
more.group.b.zones TXT "d"
`;
  const found = catalogOf(text);
  assert.ok("members" in found);
  assert.deepEqual(
    found.members.map(({ groups, moveTo }) => [groups, moveTo && formatName(moveTo)]),
    [
      [["a", "b", "c"], "other.test."],
      [[], undefined],
    ],
  );
});

test("a catalog that is broken lists nothing", () => {
  const one = "a.zones PTR one.test.\n";
  assert.match(String(read(one)), /version is not 2/);
  assert.match(String(read(`version TXT "1"\n${one}`)), /version is not 2/);
  assert.match(String(read(`version TXT "2"\nversion TXT "1"\n${one}`)), /version is not 2/);
  assert.match(
    String(read(`version TXT "2"\n${one}a.zones PTR two.test.\n`)),
    /a\.zones\.catalog\.test\. names two zones/,
  );
  assert.match(
    String(read(`version TXT "2"\n${one}b.zones PTR ONE.test.\n`)),
    /ONE\.test\. is listed twice/,
  );
});
