// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RRType, typeFromText, typeToText } from "./constants.ts";
import { parseName } from "./name-text.ts";
import { rdataNames, rdataParts } from "./rdata-layout.ts";
import { formatGeneric, formatRdata, isRdata, parseRdata, parseRdataText } from "./rdata.ts";
import { formatQuoted } from "./text-field.ts";

const parsedOrigin = parseName("example.org.");
assert.ok(parsedOrigin instanceof Uint8Array);
const origin: Uint8Array = parsedOrigin;

function roundTrip(typeText: string, text: string): string {
  const type = typeFromText(typeText);
  assert.ok(type !== undefined);
  const result = parseRdataText(type, text, origin);
  return "error" in result ? result.error : formatRdata(type, result.rdata);
}

/** Type, text as written, and text as Meridian writes it (the same where it is left out). */
const examples: readonly (readonly [type: string, text: string, canonical?: string])[] = [
  ["A", "192.0.2.1"],
  ["AAAA", "2001:DB8:0::1", "2001:db8::1"],
  ["CNAME", "www", "www.example.org."],
  ["NS", "ns1.example.com."],
  ["PTR", "@", "example.org."],
  ["DNAME", "."],
  [
    "SOA",
    "ns1 host\\.master 1 1h 30m 1w2d 5",
    "ns1.example.org. host\\.master.example.org. 1 3600 1800 777600 5",
  ],
  ["MX", "10 mail", "10 mail.example.org."],
  ["TXT", 'plain "two words" "q\\"b\\\\" \\065\\000', '"plain" "two words" "q\\"b\\\\" "A\\000"'],
  ["TXT", '""'],
  ["SPF", '"v=spf1 -all"'],
  ["HINFO", '"PC" Linux', '"PC" "Linux"'],
  ["SRV", "0 5 5060 sip", "0 5 5060 sip.example.org."],
  ["CAA", '128 issue "ca.example.net; a=b"'],
  ["CAA", '0 iodef ""'],
  ["NAPTR", '100 10 "U" "E2U+sip" "!^.*$!sip:a@b!" .'],
  ["DS", "60485 5 1 2BB183AF 5F22", "60485 5 1 2BB183AF5F22"],
  ["TLSA", "3 1 1 abcd", "3 1 1 ABCD"],
  ["SSHFP", "4 2 123456", "4 2 123456"],
  ["URI", '10 1 "ftp://ftp1.example.com/public"'],
  ["DNSKEY", "256 3 5 AQPSKmynfz W4kyBv", "256 3 5 AQPSKmynfzW4kyBv"],
  ["RRSIG", "A 5 3 86400 20030322173103 20030220173103 2642 example.com. AAAA"],
  ["NSEC", "host A MX RRSIG NSEC TYPE1234", "host.example.org. A MX RRSIG NSEC TYPE1234"],
  ["NSEC3", "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR MX RRSIG"],
  ["NSEC3PARAM", "1 0 0 -"],
  ["ZONEMD", "2018031900 1 1 AB CD", "2018031900 1 1 ABCD"],
  ["OPENPGPKEY", "AQPS"],
  ["RP", "a b", "a.example.org. b.example.org."],
  ["AFSDB", "1 a.", "1 a."],
  ["HTTPS", "0 svc.example.net."],
  [
    "HTTPS",
    '1 . port=8443 alpn="h2,h3" ipv6hint=2001:db8::1,::2',
    "1 . alpn=h2,h3 port=8443 ipv6hint=2001:db8::1,::2",
  ],
  [
    "SVCB",
    "16 foo alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
    "16 foo.example.org. mandatory=alpn,ipv4hint alpn=h2,h3-19 ipv4hint=192.0.2.1",
  ],
  ["SVCB", "1 . no-default-alpn alpn=h2 ech=AAAA", "1 . alpn=h2 no-default-alpn ech=AAAA"],
  // RFC 9460 appendix D.2, figures 4 to 9.
  ["SVCB", "1 foo.example.com. key667=hello", '1 foo.example.com. key667="hello"'],
  ["SVCB", '1 foo.example.com. key667="hello\\210qoo"'],
  ["SVCB", '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"'],
  [
    "SVCB",
    "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
    '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
  ],
  ["TYPE65534", "\\# 3 ab cd ef", "\\# 3 ABCDEF"],
  ["TYPE65534", "\\# 0"],
  ["A", "\\# 4 c0 00 02 01", "192.0.2.1"],
];

for (const [type, text, canonical] of examples) {
  test(`parseRdataText() and formatRdata() agree on ${type} ${text}`, () => {
    assert.equal(roundTrip(type, text), canonical ?? text);
    assert.equal(roundTrip(type, canonical ?? text), canonical ?? text);
  });
}

test("every known layout has an example", () => {
  const shown = new Set(examples.map(([type]) => typeFromText(type)));
  const sameLayout = new Set<number>([RRType.CDS, RRType.CDNSKEY, RRType.SMIMEA]);
  const missing = Object.values(RRType).filter(
    (type) => rdataParts(type) !== undefined && !shown.has(type) && !sameLayout.has(type),
  );
  assert.deepEqual(missing.map(typeToText), []);
});

const mistakes: readonly (readonly [type: string, text: string, error: RegExp])[] = [
  ["A", "192.0.2.256", /address is "192\.0\.2\.256", expected an IPv4 address/],
  ["A", "192.0.2.1 x", /extra field is "x"/],
  ["A", "192.0.02.1", /IPv4/],
  ["A", "\\# 3 aabbcc", /bytes that are A data/],
  ["A", "\\# 4 aabbc", /4 bytes/],
  ["AAAA", "1.2.3.4", /IPv6/],
  ["MX", "70000 a", /preference is "70000", expected a number 0\.\.65535/],
  ["MX", "10", /exchange is missing/],
  ["MX", "10 a..b", /exchange is "a\.\.b", expected no empty label/],
  ["TXT", "", /at least one string/],
  ["TXT", `"${"x".repeat(256)}"`, /at most 255 bytes/],
  ["TXT", "a\\300", /escapes/],
  ["TXT", '"open', /closing quote/],
  ["CAA", "0 a-b x", /letters and digits/],
  ["DS", "1 2 3 abc", /even number/],
  ["DS", "1 2 3", /hexadecimal/],
  ["TYPE65534", "hello", /generic form/],
  ["NSEC", "a A FOO", /record type/],
  ["SVCB", "1 . key1=h2 alpn=h2", /at most once/],
  ["SVCB", "1 . mandatory=port", /mandatory key/],
  ["SVCB", "1 . mandatory=mandatory", /without mandatory itself/],
  ["SVCB", "1 . mandatory=alpn,alpn alpn=h2", /without repeats/],
  ["SVCB", "1 . no-default-alpn=x alpn=h2", /without a value/],
  ["SVCB", "1 . no-default-alpn", /alpn beside/],
  ["SVCB", "1 . port=65536", /port=0/],
  ["SVCB", "1 . port", /port=0/],
  ["SVCB", "1 . alpn=", /1 to 255/],
  ["SVCB", "1 . alpn=h2,,h3", /1 to 255/],
  ["SVCB", "1 . ipv4hint=::1", /IPv4/],
  ["SVCB", "1 . ipv6hint=1.2.3.4", /IPv6/],
  ["SVCB", "1 . foo=1", /a key such as/],
  ["SVCB", "1 . key65535=1", /a key such as/],
  ["SVCB", "1 . key007=1", /a key such as/],
];

for (const [type, text, error] of mistakes) {
  test(`parseRdataText() refuses ${type} ${text.slice(0, 40)}`, () => {
    assert.match(roundTrip(type, text), error);
  });
}

test("formatRdata() of any bytes reads back as the same bytes, for every type", () => {
  const types = Object.values(RRType).filter((type) => rdataParts(type) !== undefined);
  fc.assert(
    fc.property(
      fc.constantFrom(...types, 65_280),
      fc.oneof(fc.uint8Array({ maxLength: 40 }), shapedBytes()),
      (type, bytes) => {
        const text = formatRdata(type, bytes);
        const known = isRdata(type, bytes);
        assert.ok(known || text.startsWith("\\#"));
        const result = parseRdataText(type, text);
        if (known) {
          assert.deepEqual("error" in result ? result.error : result.rdata, bytes, text);
        }
      },
    ),
    { numRuns: 5000 },
  );
});

test("parseRdata() never throws and gives only rdata of its type", () => {
  const types = Object.values(RRType);
  const field = fc.oneof(
    fc.constantFrom("0", "1", "65535", "a", "@", '"x"', "\\#", "AA", "alpn=h2", "192.0.2.1", "::"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.array(field, { maxLength: 9 }), (type, fields) => {
      const result = parseRdata(type, fields, origin);
      assert.ok("error" in result || isRdata(type, result.rdata));
    }),
    { numRuns: 5000 },
  );
});

test("parseRdata() refuses empty fields where data is needed", () => {
  for (const type of [RRType.OPENPGPKEY, RRType.DS, RRType.NSEC3, RRType.A, RRType.MX]) {
    assert.ok("error" in parseRdata(type, ["1", "1", "1", "", "", ""]), typeToText(type));
  }
  assert.ok("error" in parseRdata(RRType.OPENPGPKEY, [""]));
});

test("TXT strings of any bytes survive", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 255 }), (bytes) => {
      const result = parseRdataText(RRType.TXT, formatQuoted(bytes));
      assert.deepEqual("error" in result ? result : [...result.rdata], [bytes.length, ...bytes]);
    }),
  );
});

test("formatGeneric() fits every type", () => {
  assert.equal(formatGeneric(new Uint8Array(0)), "\\# 0");
  assert.equal(formatGeneric(Uint8Array.of(1, 255)), "\\# 2 01FF");
});

test("rdataNames() lists the types of RFC 1035 only", () => {
  const compressible = Object.values(RRType).filter((type) => rdataNames(type) !== "none");
  assert.deepEqual(compressible.map(typeToText), ["NS", "CNAME", "SOA", "PTR", "MX"]);
});

/** Bytes with names, counts and parameters in them, so that layouts are met more often. */
function shapedBytes(): fc.Arbitrary<Uint8Array> {
  const piece = fc.constantFrom<readonly number[]>(
    [0],
    [1, 97, 0],
    [2, 97, 98],
    [0, 1],
    [0, 3, 0, 2, 1, 187],
    [0, 1, 0, 3, 2, 104, 50],
    [0, 0, 0, 0],
    [192, 0, 2, 1],
    [255],
  );
  return fc.array(piece, { maxLength: 10 }).map((pieces) => Uint8Array.from(pieces.flat()));
}
