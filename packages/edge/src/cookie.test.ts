// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ServerCookies, isCookieLength } from "./cookie.ts";
import { writeAddress } from "./transport-address.ts";

const hex = (text: string): Uint8Array => Buffer.from(text, "hex");
const OLD = hex("e5e973e5a6b2a43f48e7dc849e37bfcf");

/** What a client is sent that asks with `cookie` from `address`. */
function reply(secrets: readonly Uint8Array[], cookie: string, address: string, now: number) {
  const source = new Uint8Array(16);
  const family = writeAddress(address, source, 0);
  const input = hex(cookie);
  const cookies = new ServerCookies(secrets);
  const isGood = cookies.check(input, 0, input.length, source, 0, family, now);
  const output = new Uint8Array(24);
  cookies.write(output, 0, input, 0, source, 0, family, now);
  return { isGood, cookie: Buffer.from(output).toString("hex") };
}

describe("ServerCookies", () => {
  it("makes a new cookie (RFC 9018 appendix A.1)", () => {
    assert.deepEqual(reply([OLD], "2464c4abcf10c957", "198.51.100.100", 1559731985), {
      isGood: false,
      cookie: "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
    });
  });

  it("renews a cookie that is good and older than half an hour (RFC 9018 appendix A.2)", () => {
    const cookie = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    assert.deepEqual(reply([OLD], cookie, "198.51.100.100", 1559734385), {
      isGood: true,
      cookie: "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
    });
  });

  it("takes a cookie whose reserved bytes are not zero (RFC 9018 appendix A.3)", () => {
    const cookie = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
    assert.ok(reply([OLD], cookie, "203.0.113.203", 1559727985 + 3600).isGood);
    // The appendix asks later than that, and is sent a new one all the same.
    assert.deepEqual(reply([OLD], cookie, "203.0.113.203", 1559734700), {
      isGood: false,
      cookie: "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e",
    });
  });

  it("takes a cookie of the secret before, and answers with one of the first (RFC 9018 appendix A.4)", () => {
    const secrets = [
      hex("445536bcd2513298075a5d379663c962"),
      hex("dd3bdf9344b678b185a6f5cb60fca715"),
    ];
    const cookie = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
    assert.deepEqual(reply(secrets, cookie, "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961), {
      isGood: true,
      cookie: "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
    });
  });

  it("keeps a good cookie until it is half an hour old, and takes none after an hour or from five minutes ahead", () => {
    const made = reply([OLD], "0011223344556677", "192.0.2.1", 10_000).cookie;
    const after = (seconds: number) => reply([OLD], made, "192.0.2.1", 10_000 + seconds);
    assert.deepEqual(after(1799), { isGood: true, cookie: made });
    assert.notEqual(after(1800).cookie, made);
    assert.deepEqual(
      [-301, -300, 3600, 3601].map((seconds) => after(seconds).isGood),
      [false, true, true, false],
    );
  });

  it("takes no cookie with a bit changed, nor one of another address", () => {
    fc.assert(
      fc.property(fc.nat(24 * 8 - 1), fc.nat(31), (bit, addressBit) => {
        const made = hex(reply([OLD], "0011223344556677", "192.0.2.1", 10_000).cookie);
        made[bit >> 3]! ^= 1 << (bit & 7);
        assert.equal(
          reply([OLD], Buffer.from(made).toString("hex"), "192.0.2.1", 10_000).isGood,
          false,
        );
        made[bit >> 3]! ^= 1 << (bit & 7);
        const address = [192, 0, 2, 1];
        address[addressBit >> 3]! ^= 1 << (addressBit & 7);
        assert.equal(
          reply([OLD], Buffer.from(made).toString("hex"), address.join("."), 10_000).isGood,
          false,
        );
      }),
    );
  });

  it("knows which lengths an option may have (RFC 7873 §5.2.2)", () => {
    const good = Array.from({ length: 64 }, (_, length) => length).filter(isCookieLength);
    assert.deepEqual(good, [8, ...Array.from({ length: 25 }, (_, index) => 16 + index)]);
  });
});
