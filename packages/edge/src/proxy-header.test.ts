// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { NOT_PROXIED, PROXY_BYTES_MAX, PROXY_INCOMPLETE, ProxyHeader } from "./proxy-header.ts";
import { proxyHeader } from "./transport-testing/proxy.ts";

const read = (bytes: Uint8Array): { length: number; family: number; source: number[] } => {
  const header = new ProxyHeader();
  const length = header.read(bytes, 0, bytes.length);
  const { family, sourceStart } = header;
  const size = length < 0 || family === 0 ? 0 : family === 4 ? 4 : 16;
  return { length, family, source: [...bytes.subarray(sourceStart, sourceStart + size)] };
};

describe("ProxyHeader", () => {
  it("reads the client's address of both families, whatever follows", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fc.uint8Array({ minLength: 16, maxLength: 16 }),
        ),
        fc.uint8Array({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 50 }),
        (source, extra, rest) => {
          const header = proxyHeader(source, extra);
          const found = read(Buffer.concat([header, rest]));
          assert.deepEqual(found, {
            length: header.length,
            family: source.length === 4 ? 4 : 6,
            source: [...source],
          });
        },
      ),
    );
  });

  it("says of each beginning of a header that it is not whole", () => {
    const header = proxyHeader(Uint8Array.of(192, 0, 2, 1), new Uint8Array(5));
    for (let length = 0; length < header.length; length++)
      assert.equal(read(header.subarray(0, length)).length, PROXY_INCOMPLETE, `${length} bytes`);
  });

  it("takes a proxy that speaks for itself as that", () => {
    const header = proxyHeader(Uint8Array.of(192, 0, 2, 1));
    header[12] = 0x20;
    assert.deepEqual(read(header), { length: header.length, family: 0, source: [] });
  });

  it("refuses another version, command, family or a length beyond the bound", () => {
    const source = Uint8Array.of(192, 0, 2, 1);
    for (const [at, value] of [
      [0, 1],
      [12, 0x11],
      [12, 0x22],
      [13, 0x31],
      [13, 0x01],
      [13, 0x21],
      [14, 5],
      [15, 11],
    ] as const) {
      const header = proxyHeader(source);
      header[at] = value;
      assert.equal(read(header).length, NOT_PROXIED, `${at}: ${value}`);
    }
  });

  it("never reads beyond the end, nor makes a header longer than the bound", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, hasSignature) => {
        const signed = hasSignature
          ? Buffer.concat([proxyHeader(Uint8Array.of(1, 2, 3, 4)).subarray(0, 12), bytes])
          : bytes;
        const { length } = read(signed);
        assert.ok(
          length === NOT_PROXIED ||
            length === PROXY_INCOMPLETE ||
            (length <= signed.length && length <= PROXY_BYTES_MAX),
        );
      }),
    );
  });
});
