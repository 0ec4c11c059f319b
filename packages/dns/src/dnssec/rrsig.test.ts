// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RRType } from "../constants.ts";
import { parseName } from "../name-text.ts";
import { parseRdataText } from "../rdata.ts";
import { DnssecAlgorithm, DsDigest, publicKeyField, publicKeyOf } from "./algorithm.ts";
import { canonicalRdata, canonicalRdatas, signedLabels, type Rrset } from "./canonical.ts";
import { DnskeyFlags, dnskeyRdata, dsRdata, keyTagOf, readDnskey, readDs } from "./dnskey.ts";
import { readRrsig, rrsigFault, signRrset } from "./rrsig.ts";

function name(text: string): Uint8Array {
  const parsed = parseName(text);
  assert.ok(parsed instanceof Uint8Array);
  return parsed;
}

function rdata(type: number, text: string): Uint8Array {
  const parsed = parseRdataText(type, text);
  assert.ok("rdata" in parsed, JSON.stringify(parsed));
  return parsed.rdata;
}

function rrset(owner: string, type: number, ttl: number, ...texts: string[]): Rrset {
  return { owner: name(owner), type, ttl, rdatas: texts.map((text) => rdata(type, text)) };
}

/** RFC 6605 §6.1: its private key, its DNSKEY, DS and signature. */
const p256 = {
  dnskey:
    "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
  privateKey: "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=",
  ds: "55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
  rrset: rrset("www.example.net.", RRType.A, 3600, "192.0.2.1"),
  rrsig:
    "A 13 3 3600 20100909100439 20100812100439 55648 example.net. " +
    "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
  now: Date.UTC(2010, 7, 20) / 1000,
};

/** RFC 8080 §6.1, with the RRSIG as its erratum 4935 gives it. */
const ed25519 = {
  dnskey: "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
  privateKey: "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
  ds: "3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
  rrset: rrset("example.com.", RRType.MX, 3600, "10 mail.example.com."),
  rrsig:
    "MX 15 2 3600 1440021600 1438207200 3613 example.com. " +
    "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
  now: 1_439_000_000,
};

function p256Key(): KeyObject {
  const field = readDnskey(rdata(RRType.DNSKEY, p256.dnskey))?.publicKey ?? new Uint8Array();
  return createPrivateKey({
    key: {
      kty: "EC",
      crv: "P-256",
      d: Buffer.from(p256.privateKey, "base64").toString("base64url"),
      x: Buffer.from(field.subarray(0, 32)).toString("base64url"),
      y: Buffer.from(field.subarray(32)).toString("base64url"),
    },
    format: "jwk",
  });
}

describe("vectors", () => {
  it("RFC 4034 §5.4 and RFC 4509 §2.3: key tag and DS", () => {
    const key = rdata(
      RRType.DNSKEY,
      "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
    );
    assert.equal(keyTagOf(key), 60_485);
    assert.deepEqual(
      dsRdata(name("DSKEY.example.com."), key),
      rdata(
        RRType.DS,
        "60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
      ),
    );
  });

  for (const [title, zone, vector] of [
    ["RFC 6605 §6.1: P-256", "example.net.", p256],
    ["RFC 8080 §6.1: Ed25519", "example.com.", ed25519],
  ] as const) {
    it(title, () => {
      const key = rdata(RRType.DNSKEY, vector.dnskey);
      const rrsig = rdata(RRType.RRSIG, vector.rrsig);

      assert.deepEqual(dsRdata(name(zone), key), rdata(RRType.DS, vector.ds));
      assert.equal(rrsigFault(vector.rrset, rrsig, key, vector.now), undefined);
      assert.equal(rrsigFault({ ...vector.rrset, ttl: 5 }, rrsig, key, vector.now), undefined);
      const wrong = { ...vector.rrset, rdatas: [new Uint8Array([192, 0, 2, 2])] };
      assert.equal(rrsigFault(wrong, rrsig, key, vector.now), "wrong-signature");
    });
  }

  it("RFC 8080 §6.1: signatures of Ed25519 are the RFC's, byte for byte", () => {
    const d = Buffer.from(ed25519.privateKey, "base64").toString("base64url");
    const x = Buffer.from(ed25519.dnskey.split(" ")[3] ?? "", "base64").toString("base64url");
    const privateKey = createPrivateKey({
      key: { kty: "OKP", crv: "Ed25519", d, x },
      format: "jwk",
    });
    const signer = { zone: name("example.com."), algorithm: 15, keyTag: 3613, privateKey };
    const times = { inception: 1_438_207_200, expiration: 1_440_021_600 };
    assert.deepEqual(signRrset(ed25519.rrset, signer, times), rdata(RRType.RRSIG, ed25519.rrsig));
  });

  it("RFC 6605 §6.1: its private key gives its DNSKEY", () => {
    const fields = readDnskey(rdata(RRType.DNSKEY, p256.dnskey));
    assert.deepEqual(publicKeyField(13, p256Key()), fields?.publicKey);
  });

  it("RFC 5702 §6.1: a key of RSA/SHA-256 and its signature", () => {
    const key = rdata(
      RRType.DNSKEY,
      "256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=",
    );
    const rrsig = rdata(
      RRType.RRSIG,
      "A 8 3 3600 20300101000000 20000101000000 9033 example.net. " +
        "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==",
    );
    assert.equal(keyTagOf(key), 9033);
    const set = rrset("www.example.net.", RRType.A, 3600, "192.0.2.91");
    assert.equal(rrsigFault(set, rrsig, key, 1_700_000_000), undefined);
    const parsed = publicKeyOf(8, readDnskey(key)?.publicKey ?? new Uint8Array());
    assert.ok(parsed);
    assert.deepEqual(publicKeyField(8, parsed), key.subarray(4));
  });
});

describe("canonical form", () => {
  it("lower-cases the names of the types of RFC 4034 §6.2, and no other byte", () => {
    const cases: readonly (readonly [number, string, string])[] = [
      [RRType.MX, "10 Mail.Example.ORG.", "10 mail.example.org."],
      [RRType.SOA, "A. B. 1 2 3 4 5", "a. b. 1 2 3 4 5"],
      [RRType.SRV, "1 2 3 A.B.", "1 2 3 a.b."],
      [RRType.NAPTR, '1 2 "U" "E2U" "!X!" A.B.', '1 2 "U" "E2U" "!X!" a.b.'],
      [RRType.DNAME, "A.B.", "a.b."],
      // RFC 6840 §5.1: not in NSEC. RFC 9460 never compresses nor lowers a target.
      [RRType.NSEC, "A.B. A", "A.B. A"],
      [RRType.HTTPS, "1 A.B.", "1 A.B."],
      [RRType.TXT, "Text", "Text"],
    ];
    for (const [type, given, wanted] of cases) {
      assert.deepEqual(canonicalRdata(type, rdata(type, given)), rdata(type, wanted), given);
    }
  });

  it("never reads past rdata that is not of its type", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 70 }),
        fc.uint8Array({ maxLength: 60 }),
        (type, bytes) => {
          assert.equal(canonicalRdata(type, bytes).length, bytes.length);
        },
      ),
    );
  });

  it("orders by bytes and drops doubles, whatever order was given", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 8 }), (rdatas) => {
        const forward = canonicalRdatas(RRType.TXT, rdatas);
        assert.deepEqual(forward, canonicalRdatas(RRType.TXT, rdatas.toReversed()));
        const texts = forward.map((bytes) => Buffer.from(bytes).toString("hex"));
        assert.deepEqual(texts, [...new Set(texts)].toSorted());
      }),
    );
  });

  it("signedLabels() counts neither root nor asterisk", () => {
    assert.deepEqual(
      [".", "example.", "*.example.", "a.*.example."].map((text) => signedLabels(name(text))),
      [0, 1, 1, 3],
    );
  });
});

describe("signRrset() and rrsigFault()", () => {
  const zone = name("example.org.");
  const times = { inception: 1000, expiration: 2000 };
  const pairs = [
    [DnssecAlgorithm.ECDSAP256SHA256, generateKeyPairSync("ec", { namedCurve: "P-256" })],
    [DnssecAlgorithm.ED25519, generateKeyPairSync("ed25519")],
    [DnssecAlgorithm.RSASHA256, generateKeyPairSync("rsa", { modulusLength: 1024 })],
  ] as const;

  for (const [algorithm, { privateKey }] of pairs) {
    const publicKey = publicKeyField(algorithm, privateKey);
    assert.ok(publicKey);
    const dnskey = dnskeyRdata({ flags: DnskeyFlags.ZONE, algorithm, publicKey });
    const signer = { zone, algorithm, keyTag: keyTagOf(dnskey), privateKey };

    it(`algorithm ${algorithm}: what is signed is valid from the first second to the last`, () => {
      const set = rrset("a.EXAMPLE.org.", RRType.A, 60, "192.0.2.2", "192.0.2.1");
      const rrsig = signRrset(set, signer, times);
      assert.ok(rrsig);
      const turned = { ...set, owner: name("A.example.org."), rdatas: set.rdatas.toReversed() };
      assert.deepEqual(
        [999, 1000, 2000, 2001].map((now) => rrsigFault(turned, rrsig, dnskey, now)),
        ["not-yet-valid", undefined, undefined, "expired"],
      );
      assert.equal(readRrsig(rrsig)?.originalTtl, 60);
    });

    it(`algorithm ${algorithm}: a changed byte, type, owner or key is not valid`, () => {
      const set = rrset("a.example.org.", RRType.TXT, 60, "x");
      const rrsig = signRrset(set, signer, times);
      assert.ok(rrsig);
      const torn = Uint8Array.from(rrsig);
      torn[torn.length - 1]! ^= 1;
      const other = { ...set, owner: name("b.example.org.") };
      const outside = { ...set, owner: name("a.example.com.") };
      const spare = dnskeyRdata({ flags: 0, algorithm, publicKey });
      assert.deepEqual(
        [
          rrsigFault(set, torn, dnskey, 1500),
          rrsigFault(other, rrsig, dnskey, 1500),
          rrsigFault(outside, rrsig, dnskey, 1500),
          rrsigFault({ ...set, type: RRType.SPF }, rrsig, dnskey, 1500),
          rrsigFault(set, rrsig, spare, 1500),
          rrsigFault(set, rrsig.subarray(0, 12), dnskey, 1500),
        ],
        ["wrong-signature", "wrong-signature", "other-set", "other-set", "other-key", "malformed"],
      );
    });
  }

  it("a wildcard's signature holds for the names that it answers, not above it", () => {
    const [algorithm, { privateKey }] = pairs[1];
    const publicKey = publicKeyField(algorithm, privateKey);
    assert.ok(publicKey);
    const dnskey = dnskeyRdata({ flags: DnskeyFlags.ZONE, algorithm, publicKey });
    const signer = { zone, algorithm, keyTag: keyTagOf(dnskey), privateKey };
    const set = rrset("*.w.example.org.", RRType.A, 60, "192.0.2.1");
    const rrsig = signRrset(set, signer, times);
    assert.ok(rrsig);
    const faultAt = (owner: string): string | undefined =>
      rrsigFault({ ...set, owner: name(owner) }, rrsig, dnskey, 1500);
    assert.equal(faultAt("a.w.example.org."), undefined);
    assert.equal(faultAt("a.b.w.example.org."), undefined);
    assert.equal(faultAt("w.example.org."), "wrong-signature");
    assert.equal(faultAt("example.org."), "wrong-signature");
    assert.equal(faultAt("a.x.example.org."), "wrong-signature");
  });

  it("never throws on bytes that are no signature or no key", () => {
    const set = rrset("a.example.org.", RRType.TXT, 60, "x");
    const fault = fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(8, 13, 15, 99),
      fc.uint8Array({ maxLength: 70 }),
      (rrsig, algorithm, publicKey) => {
        const key = dnskeyRdata({ flags: DnskeyFlags.ZONE, algorithm, publicKey });
        const head = [0, RRType.TXT, algorithm, 3, 0, 0, 0, 60, 0, 0, 9, 9, 0, 0, 0, 1];
        const tag = keyTagOf(key);
        const bytes = new Uint8Array([...head, tag >> 8, tag & 0xff, ...zone, ...rrsig]);
        assert.notEqual(rrsigFault(set, bytes, key, 1000), undefined);
      },
    );
    fc.assert(fault);
  });

  it("readDs() and dsRdata() agree on SHA-384", () => {
    const key = rdata(RRType.DNSKEY, p256.dnskey);
    const ds = readDs(dsRdata(zone, key, DsDigest.SHA384));
    assert.deepEqual(
      { ...ds, digest: ds?.digest.length },
      { keyTag: 55_648, algorithm: 13, digestType: 4, digest: 48 },
    );
  });
});
