// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import {
  RRType,
  formatMasterFile,
  parseMasterFile,
  parseName,
  type ZoneRecord,
} from "@meridian/dns";
import { ZoneCopy } from "./zone-copy.ts";

const origin = (() => {
  const name = parseName("example.org.");
  assert.ok(name instanceof Uint8Array);
  return name;
})();

function recordsOf(text: string): ZoneRecord[] {
  const records: ZoneRecord[] = [];
  const mistakes = parseMasterFile(Buffer.from(text), {
    ...{ origin, defaultTtl: 60, fileName: "zone", include: () => new Uint8Array(0) },
    onRecord: (owner, type, ttl, rdata) =>
      records.push({ owner: Uint8Array.from(owner), type, ttl, rdata: Uint8Array.from(rdata) }),
  });
  assert.deepEqual(mistakes, []);
  return records;
}

const soa = (serial: number): string => `@ SOA ns1 h ${serial} 7200 900 86400 60\n`;
const one = (text: string): ZoneRecord => {
  const [record] = recordsOf(text);
  assert.ok(record !== undefined);
  return record;
};
const base = `${soa(1)}@ NS ns1\nns1 A 192.0.2.53\n`;

/** As the store would have it. */
function kept(copy: ZoneCopy, before: readonly string[] = []): string[] {
  const changed = copy.changedTexts();
  return Array.from(
    { length: copy.partCount },
    (_, part) => changed.get(part) ?? before[part] ?? "",
  );
}

test("random changes, each kept and read again, lead to what the zone as a whole is", () => {
  const random = new Pcg32(3);
  const names = Array.from({ length: 3000 }, (_, index) => `host-${index} A 192.0.2.1\n`);
  let texts = kept(ZoneCopy.of(origin, recordsOf(base + names.join(""))));
  assert.ok(texts.length > 1, "it has several parts");
  const wanted = new Map(recordsOf(names.join("")).map((record, index) => [index, record]));
  for (let serial = 1; serial <= 100; serial += 1) {
    const index = random.next32() % 4000;
    const removed = wanted.get(index);
    const added = one(`host-${index} A 198.51.100.${serial % 256}\n`);
    wanted.set(index, added);
    const copy = ZoneCopy.read(origin, texts);
    const fault = copy.apply([
      {
        before: one(soa(serial)),
        removed: removed === undefined ? [] : [removed],
        after: one(soa(serial + 1)),
        added: [added],
      },
    ]);
    assert.equal(fault, undefined);
    assert.ok(copy.changedTexts().size <= 2, "one part, and that of the SOA");
    texts = kept(copy, texts);
  }
  const found = [...ZoneCopy.read(origin, texts).records()];
  const expected = [...recordsOf(`${soa(101)}@ NS ns1\nns1 A 192.0.2.53\n`), ...wanted.values()];
  assert.equal(formatMasterFile(found), formatMasterFile(expected));
});

test("changes that lie are refused", () => {
  const copy = (): ZoneCopy => ZoneCopy.of(origin, recordsOf(base));
  const change = { before: one(soa(1)), removed: [], after: one(soa(2)), added: [] };
  const gone = { ...change, removed: [one("nobody A 192.0.2.9\n")] };
  assert.match(copy().apply([gone]) ?? "", /nobody\.example\.org\. A, which is not there/);
  assert.match(
    copy().apply([{ ...change, before: one(soa(7)) }]) ?? "",
    /of serial 7 are of no copy/,
  );
  assert.equal(
    copy().apply([change, { ...change, before: one(soa(2)), after: one(soa(3)) }]),
    undefined,
  );
  // TTL and case of names tell no two records apart.
  const named = { ...change, removed: [{ ...one("@ NS NS1\n"), ttl: 5 }] };
  assert.equal(copy().apply([named]), undefined);
});

test("what cannot be served is found among the owners that changed", () => {
  const fault = (text: string): string | undefined => {
    const records = recordsOf(text);
    return ZoneCopy.of(origin, records).faultAmong(records);
  };
  assert.equal(fault(base), undefined);
  assert.match(
    fault(`${base}a CNAME b\na A 192.0.2.1\n`) ?? "",
    /a\.example\.org\. has a CNAME and A/,
  );
  assert.match(fault(`${base}a CNAME b\na CNAME c\n`) ?? "", /has 2 CNAMEs/);
  assert.match(fault(soa(1)) ?? "", /has no NS/);
  assert.match(fault(`${base}${soa(2)}`) ?? "", /has 2 SOAs/);
  const twice = ZoneCopy.of(origin, recordsOf(`${base}ns1 A 192.0.2.53\n`));
  assert.equal([...twice.records()].filter(({ type }) => type === RRType.A).length, 1);
});
