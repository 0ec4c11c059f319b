// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  cookieOption,
  ecsOption,
  edeOption,
  formatEcs,
  nsidOption,
  parseCookie,
  parseEcs,
  parseEde,
  parseNsid,
  parseTcpKeepalive,
  tcpKeepaliveOption,
} from "./edns-option.ts";

test("ecsOption() clears what lies past the prefix, and parseEcs() reads it back", () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(address, fc.nat(128), fc.nat(128), (bytes, source, scope) => {
      const bits = bytes.length * 8;
      const [sourcePrefix, scopePrefix] = [source % (bits + 1), scope % (bits + 1)];
      const subnet = parseEcs(ecsOption(bytes, sourcePrefix, scopePrefix).data);
      const masked = bytes.map((byte, i) => {
        const keep = Math.max(0, Math.min(8, sourcePrefix - i * 8));
        return byte & (0xff << (8 - keep));
      });
      const family = bytes.length === 4 ? 1 : 2;
      assert.deepEqual(subnet, { family, sourcePrefix, scopePrefix, address: masked });
    }),
  );
});

test("parseEcs() refuses what RFC 7871 §7.1.2 answers with FORMERR", () => {
  const wrong = [
    [],
    [0, 1, 24],
    [0, 3, 0, 0],
    [0, 1, 33, 0, 1, 2, 3, 4, 5],
    [0, 1, 24, 33, 192, 0, 2],
    [0, 1, 24, 0, 192, 0],
    [0, 1, 24, 0, 192, 0, 2, 0],
    [0, 1, 23, 0, 192, 0, 3],
    [0, 2, 129, 0, ...Array<number>(17).fill(0)],
  ];
  for (const data of wrong) {
    assert.equal(parseEcs(Uint8Array.from(data)), undefined, data.join());
  }
  const subnet = parseEcs(Uint8Array.of(0, 2, 32, 0, 0x20, 1, 0xd, 0xb8));
  assert.equal(subnet && formatEcs(subnet), "2001:db8::/32/0");
  assert.equal(parseEcs(Uint8Array.of(0, 1, 0, 0))?.sourcePrefix, 0);
});

test("cookies have 8 or 16 to 40 bytes", () => {
  const lengths = Array.from({ length: 50 }, (_, i) => i);
  const accepted = lengths.filter((length) => parseCookie(new Uint8Array(length)) !== undefined);
  assert.deepEqual(accepted, [8, ...lengths.filter((length) => length >= 16 && length <= 40)]);
  const client = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const server = new Uint8Array(16).fill(9);
  assert.deepEqual(parseCookie(cookieOption(client, server).data), { client, server });
});

test("NSID, extended errors and keepalive read back", () => {
  assert.equal(parseNsid(nsidOption("eu-1").data), "eu-1");
  assert.deepEqual(parseEde(edeOption(24, "bad").data), { infoCode: 24, text: "bad" });
  assert.deepEqual(parseEde(Uint8Array.of(0, 1, 104, 0)), { infoCode: 1, text: "h" });
  assert.equal(parseEde(Uint8Array.of(0)), undefined);
  assert.equal(parseTcpKeepalive(tcpKeepaliveOption(300).data), 300);
  assert.equal(parseTcpKeepalive(tcpKeepaliveOption().data), null);
  assert.equal(parseTcpKeepalive(Uint8Array.of(1)), undefined);
});
