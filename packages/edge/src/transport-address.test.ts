// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { isIPv4 } from "node:net";
import { describe, it } from "node:test";

import fc from "fast-check";

import {
  expandWildcard,
  formatListenAddress,
  parseListenAddress,
  writeAddress,
} from "./transport-address.ts";

describe("parseListenAddress()", () => {
  it("reads IPv4 and IPv6 with a port, and format gives them back", () => {
    for (const text of ["127.0.0.1:5300", "0.0.0.0:0", "[::1]:5300", "[fe80::1%lo]:53"]) {
      assert.equal(formatListenAddress(parseListenAddress(text)), text);
    }
  });

  it("refuses what is not an address and a port, naming it", () => {
    const wrong = [
      "",
      ":53",
      "127.0.0.1",
      "127.0.0.1:",
      "::1:53",
      "[127.0.0.1]:53",
      "localhost:53",
    ];
    for (const text of [...wrong, "127.0.0.1:65536", "127.0.0.1:-1", "[::1]", "[::1:53"]) {
      assert.throws(
        () => parseListenAddress(text),
        (error: Error) =>
          error.message.startsWith(`Cannot listen on "${text}": expected an address`),
        text,
      );
    }
  });
});

describe("expandWildcard()", () => {
  it("leaves other addresses alone and finds loopback among all", () => {
    const one = parseListenAddress("127.0.0.2:53");
    assert.deepEqual(expandWildcard(one), [one]);
    const all = expandWildcard(parseListenAddress("0.0.0.0:53"));
    assert.ok(all.some((listen) => listen.address === "127.0.0.1" && listen.port === 53));
    assert.ok(all.every((listen) => listen.family === 4));
  });
});

describe("writeAddress()", () => {
  it("writes what an independent formatter printed, IPv4", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        const target = new Uint8Array(20);
        assert.equal(writeAddress(bytes.join("."), target, 2), 4);
        assert.deepEqual(target.subarray(2, 6), bytes);
      }),
    );
  });

  it("writes what an independent formatter printed, IPv6 with any run of zeros compressed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.nat(7),
        fc.nat(8),
        (bytes, from, count) => {
          const until = Math.min(from + count, 8);
          bytes.fill(0, from * 2, until * 2);
          const groups = Array.from({ length: 8 }, (_, i) =>
            (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
          );
          const text =
            until === from
              ? groups.join(":")
              : `${groups.slice(0, from).join(":")}::${groups.slice(until).join(":")}`;
          const target = new Uint8Array(16).fill(255);
          assert.equal(writeAddress(`${text}%eth0`, target, 0), 6);
          assert.deepEqual(target, bytes);
        },
      ),
    );
  });

  it("takes a mapped address as IPv4, a dotted tail as IPv6, and refuses the rest", () => {
    const target = new Uint8Array(16);
    assert.equal(writeAddress("::ffff:192.0.2.7", target, 0), 4);
    assert.deepEqual([...target.subarray(0, 4)], [192, 0, 2, 7]);
    assert.equal(writeAddress("64:ff9b::192.0.2.7", target, 0), 6);
    assert.equal(Buffer.from(target).toString("hex"), "0064ff9b0000000000000000c0000207");
    for (const text of ["", "example.org", "1.2.3", "1::2::3"]) {
      assert.equal(writeAddress(text, target, 0), 0);
    }
  });
});

describe("writeAddress() and node:net", () => {
  it("agree on which texts are IPv4 addresses", () => {
    const part = fc.oneof(
      fc.nat(300).map(String),
      fc.constantFrom("", "-1", "1e1", "0x1", "1.", "a"),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
        const text = parts.join(".");
        assert.equal(writeAddress(text, new Uint8Array(20), 0) === 4, isIPv4(text), text);
      }),
    );
  });
});
