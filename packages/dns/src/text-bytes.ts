// SPDX-License-Identifier: Apache-2.0

const encoder = new TextEncoder();

/**
 * UTF-8 bytes of a text. Fields of records are short and nearly always ASCII, for which a loop
 * beats TextEncoder: together with name buffers small enough for the JavaScript heap it brings a million
 * MX lines of a master file from 8.9 s to 2.4 s.
 */
export function utf8Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) {
      return encoder.encode(text);
    }
    bytes[i] = code;
  }
  return bytes;
}
