// SPDX-License-Identifier: Apache-2.0
//
// Base 16, 32hex and 64 (RFC 4648) for rdata. Decoders are strict: wrong letters, odd lengths and
// stray padding give undefined, where Buffer would quietly skip them.

const BASE32HEX = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

/** Bytes of an even number of hexadecimal digits, or undefined. */
export function decodeHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    return undefined;
  }
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** Upper-case hexadecimal digits. */
export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex").toUpperCase();
}

/** Bytes of padded base 64, or undefined. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    return undefined;
  }
  return new Uint8Array(Buffer.from(text, "base64"));
}

/** Padded base 64. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

/** Bytes of unpadded base 32 with the extended hex alphabet (RFC 5155 §3.3), or undefined. */
export function decodeBase32Hex(text: string): Uint8Array | undefined {
  const out: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of text.toUpperCase()) {
    const value = BASE32HEX.indexOf(letter);
    if (value < 0) {
      return undefined;
    }
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((held >>> bits) & 0xff);
    }
  }
  return bits >= 5 || (held & ((1 << bits) - 1)) !== 0 ? undefined : Uint8Array.from(out);
}

/** Unpadded base 32 with the extended hex alphabet. */
export function encodeBase32Hex(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0x1fff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32HEX[(held >>> bits) & 31];
    }
  }
  return bits > 0 ? text + BASE32HEX[(held << (5 - bits)) & 31] : text;
}
