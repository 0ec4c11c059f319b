// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressBytes, addressKind, formatAddress, formatPrefix, parsePrefix } from "./address.ts";

test("addressKind() tells addresses, host names and neither apart", () => {
  const expected = {
    "192.0.2.1": "ipv4",
    "2001:db8::1": "ipv6",
    "::ffff:192.0.2.1": "ipv6",
    "www.example.org": "name",
    "a_b.example.org.": "name",
    "192.0.2.300": undefined,
    "192.0.2": undefined,
    "fe80::1%eth0": undefined,
    localhost: undefined,
    "-a.example.org": undefined,
    "a-.example.org": undefined,
    "a..example.org": undefined,
    ".example.org": undefined,
    "a b.example.org": undefined,
    "": undefined,
    ".": undefined,
    [`${"a".repeat(64)}.org`]: undefined,
    [`${"a".repeat(63)}.org`]: "name",
    [`${"a.".repeat(127)}a`]: undefined,
  };
  for (const [text, kind] of Object.entries(expected)) assert.equal(addressKind(text), kind, text);
});

test("formatAddress() writes what addressBytes() read, in one form only (RFC 5952)", () => {
  const forms = {
    "2001:DB8:0:0:0:0:0:1": "2001:db8::1",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
    "::": "::",
    "1::": "1::",
    "::1": "::1",
  };
  for (const [text, form] of Object.entries(forms)) {
    assert.equal(formatAddress(addressBytes(text) ?? new Uint8Array(4)), form);
  }
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const bytes = addressBytes(text);
      assert.ok(bytes !== undefined);
      assert.deepEqual(addressBytes(formatAddress(bytes)), bytes);
    }),
  );
});

test("parsePrefix() says the network address where host bits are set", () => {
  assert.deepEqual(parsePrefix("1.2.3.4/24"), { wanted: "the network address, 1.2.3.0/24" });
  assert.deepEqual(parsePrefix("1.2.3.4/33"), { wanted: "a prefix of at most /32" });
  for (const text of ["1.2.3.4", "1.2.3.0/024", "/24", "1.2.3.0/", "a/8", "1.2.3.0/8/8"]) {
    assert.ok("wanted" in parsePrefix(text), text);
  }
});

test("parsePrefix() accepts exactly the bases whose other bits are 0", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(128), (text, some) => {
      const bits = text.includes(":") ? 128 : 32;
      const length = some % (bits + 1);
      const parsed = parsePrefix(`${text}/${length}`);
      const digits = [...(addressBytes(text) ?? [])].map((byte) =>
        byte.toString(2).padStart(8, "0"),
      );
      const isNetwork = !digits.join("").slice(length).includes("1");
      assert.equal("wanted" in parsed, !isNetwork);
      if ("wanted" in parsed) {
        const suggested = parsed.wanted.replace("the network address, ", "");
        assert.ok(!("wanted" in parsePrefix(suggested)), suggested);
      } else assert.ok(!("wanted" in parsePrefix(formatPrefix(parsed))));
    }),
  );
});
