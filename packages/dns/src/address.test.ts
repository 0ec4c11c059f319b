// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address.ts";

test("IPv4 and IPv6 addresses survive being written and read", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      assert.deepEqual(parseIpv6(formatIpv6(bytes)), bytes);
      assert.deepEqual(parseIpv4(formatIpv4(bytes)), bytes.slice(0, 4));
    }),
  );
});

test("parseIpv4() and parseIpv6() accept what the platform accepts", () => {
  const text = fc.stringMatching(/^[0-9a-f:.]{0,24}$/);
  fc.assert(
    fc.property(fc.oneof(text, fc.ipV4(), fc.ipV6()), (address) => {
      assert.equal(parseIpv4(address) !== undefined, isIPv4(address), address);
      assert.equal(parseIpv6(address) !== undefined, isIPv6(address), address);
    }),
    { numRuns: 2000 },
  );
});

test("parseIpv6() knows every form of RFC 4291 §2.2", () => {
  const forms = ["::", "::1", "1::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "::1.2.3.4"];
  for (const form of [...forms, "1:2:3:4:5:6:1.2.3.4", "::ffff:1.2.3.4", "FE80::ABCD"]) {
    assert.ok(parseIpv6(form) !== undefined, form);
  }
  const wrong = [
    "",
    ":",
    ":::",
    "1:::2",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
  ];
  for (const form of [
    ...wrong,
    "1:",
    ":1",
    "::1.2.3",
    "1.2.3.4::",
    "1:2:3:4:5:6:7:1.2.3.4",
    "g::",
  ]) {
    assert.equal(parseIpv6(form), undefined, form);
  }
});

test("formatIpv6() follows RFC 5952 §4", () => {
  const rows = [
    ["2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
  ] as const;
  for (const [text, expected] of rows) {
    assert.equal(formatIpv6(parseIpv6(text) ?? new Uint8Array(16)), expected);
  }
});
