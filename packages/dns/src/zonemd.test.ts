// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RRType } from "./constants.ts";
import { parseMasterFile } from "./master-file.ts";
import { parseName } from "./name-text.ts";
import type { ZoneRecord } from "./zone-record.ts";
import { ZonemdHash, verifyZonemd, zoneDigest, zonemdRdata } from "./zonemd.ts";

const origin = wire("example.");
const head = `$ORIGIN example.
@ 86400 IN SOA ns1 admin 2018031900 1800 900 604800 86400
@ 86400 IN NS ns1
@ 86400 IN NS ns2
`;

/** RFC 8976 Appendix A.1, A.2 and A.3. */
const simple = `${head}
@ 86400 IN ZONEMD 2018031900 1 1 ( c68090d90a7aed71 6bc459f9340e3d7c 1370d4d24b7e2fc3
  a1ddc0b9a87153b9 a9713b3c9ae5cc27 777f98b8e730044c )
ns1 3600 IN A 203.0.113.63
ns2 3600 IN AAAA 2001:db8::63
`;
const complex = `${head}
@ 86400 IN ZONEMD 2018031900 1 1 ( a3b69bad980a3504 e1cffcb0fd6397f9 3848071c93151f55
  2ae2f6b1711d4bd2 d8b39808226d7b9d b71e34b72077f8fe )
ns1 3600 IN A 203.0.113.63
NS2 3600 IN AAAA 2001:db8::63
occluded.sub 7200 IN TXT "I'm occluded but must be digested"
sub 7200 IN NS ns1
duplicate 300 IN TXT "I must be digested just once"
duplicate 300 IN TXT "I must be digested just once"
foo.test. 555 IN TXT "out-of-zone data must be excluded"
UPPERCASE 3600 IN TXT "canonicalize uppercase owner names"
* 777 IN PTR dont-forget-about-wildcards
mail 3600 IN MX 20 MAIL1
mail 3600 IN MX 10 Mail2.Example.
sortme 3600 IN AAAA 2001:db8::5:61
sortme 3600 IN AAAA 2001:db8::3:62
sortme 3600 IN AAAA 2001:db8::4:63
sortme 3600 IN AAAA 2001:db8::1:65
sortme 3600 IN AAAA 2001:db8::2:64
non-apex 900 IN ZONEMD 2018031900 1 1 ( 616c6c6f77656420 6275742069676e6f 7265642e20616c6c
  6f77656420627574 2069676e6f726564 2e20616c6c6f7765 )
`;
const several = `${head}
@ 86400 IN ZONEMD 2018031900 1 1 ( 62e6cf51b02e54b9 b5f967d547ce4313 6792901f9f88e637
  493daaf401c92c27 9dd10f0edb1c56f8 080211f8480ee306 )
@ 86400 IN ZONEMD 2018031900 1 2 ( 08cfa1115c7b948c 4163a901270395ea 226a930cd2cbcf2f
  a9a5e6eb85f37c8a 4e114d884e66f176 eab121cb02db7d65 2e0cc4827e7a3204 f166b47e5613fd27 )
@ 86400 IN ZONEMD 2018031900 1 240 ( e2d523f654b9422a 96c5a8f44607bbee )
@ 86400 IN ZONEMD 2018031900 241 1 ( e1846540e33a9e41 89792d18d5d131f6 05fc283eaaaaaaaa
  aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa )
ns1.example. 3600 IN A 203.0.113.63
ns2.example. 86400 IN TXT "This example has multiple digests"
NS2.EXAMPLE. 3600 IN AAAA 2001:db8::63
`;

test("the digests of RFC 8976 are verified and made alike", () => {
  for (const text of [simple, complex, several]) {
    const records = zone(text);
    assert.equal(verifyZonemd(origin, records), "verified");
    for (const algorithm of Object.values(ZonemdHash)) {
      const made = zonemdRdata(2_018_031_900, algorithm, zoneDigest(origin, records, algorithm));
      const known = records.find(
        ({ type, rdata, owner }) =>
          type === RRType.ZONEMD &&
          owner.length === origin.length &&
          rdata[4] === 1 &&
          rdata[5] === algorithm,
      );
      if (known !== undefined) assert.deepEqual(made, known.rdata);
    }
  }
});

test("each algorithm alone is enough, and is told from the others", () => {
  const records = zone(several);
  const only = (algorithm: number): string =>
    verifyZonemd(
      origin,
      records.filter(({ type, rdata }) => type !== RRType.ZONEMD || rdata[5] === algorithm),
    );
  assert.deepEqual([1, 2, 240].map(only), ["verified", "verified", "unsupported"]);
});

test("a digest does not verify another content, another serial, or beside a second of its kind", () => {
  const altered = complex.replace("203.0.113.63", "203.0.113.64");
  assert.equal(verifyZonemd(origin, zone(altered)), "digest");
  const older = simple.replace("admin 2018031900", "admin 2018031901");
  assert.equal(verifyZonemd(origin, zone(older)), "serial");
  const records = zone(simple);
  const digest = records.find(({ type }) => type === RRType.ZONEMD);
  assert.ok(digest);
  const twice = [...records, { ...digest, rdata: digest.rdata.with(6, 0) }];
  assert.equal(verifyZonemd(origin, twice), "unsupported");
  assert.equal(verifyZonemd(origin, zone(head)), "absent");
});

test("the order in which records come does not matter", () => {
  const records = zone(complex);
  const expected = zoneDigest(origin, records, ZonemdHash.sha512);
  const shuffled = fc.shuffledSubarray(records, { minLength: records.length });
  fc.assert(
    fc.property(shuffled, (all) => {
      assert.deepEqual(zoneDigest(origin, all, ZonemdHash.sha512), expected);
    }),
  );
});

test("signatures of the digest are left out, others are not", () => {
  const records = zone(simple);
  const signature = (covered: number): ZoneRecord => {
    const rdata = new Uint8Array(40);
    rdata[1] = covered;
    return { owner: origin, type: RRType.RRSIG, ttl: 300, rdata };
  };
  assert.equal(verifyZonemd(origin, [...records, signature(RRType.ZONEMD)]), "verified");
  assert.equal(verifyZonemd(origin, [...records, signature(RRType.SOA)]), "digest");
});

function zone(text: string): ZoneRecord[] {
  const records: ZoneRecord[] = [];
  const errors = parseMasterFile(text, {
    fileName: "zone",
    origin,
    onRecord: (owner, type, ttl, rdata) => records.push({ owner, type, ttl, rdata }),
  });
  assert.deepEqual(errors, []);
  return records;
}

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}
