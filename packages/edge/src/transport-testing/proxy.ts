// SPDX-License-Identifier: Apache-2.0

/** A PROXY header, version 2, for a client at `source` (4 or 16 bytes), with some more bytes of TLVs. */
export function proxyHeader(source: Uint8Array, extra: Uint8Array = new Uint8Array(0)): Buffer {
  const isIpv6 = source.length === 16;
  const rest = Buffer.alloc((isIpv6 ? 36 : 12) + extra.length);
  rest.set(source, 0);
  rest.set(extra, rest.length - extra.length);
  const fixed = Buffer.from([
    ...Buffer.from("\r\n\r\n\0\r\nQUIT\n"),
    0x21,
    isIpv6 ? 0x22 : 0x12,
    0,
    0,
  ]);
  fixed.writeUInt16BE(rest.length, 14);
  return Buffer.concat([fixed, rest]);
}
