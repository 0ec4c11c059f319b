// SPDX-License-Identifier: Apache-2.0
// Records that are no DNS records (gdnsd's DYNA, PowerDNS's LUA) while a file is read as a master file: a type for private use (RFC 6895 §3.1)
// whose data are their text.

export const BOUND_TYPE = 65_401;

/** Type and data of such a record, as a master file has them. */
export function boundData(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return `TYPE${BOUND_TYPE} \\# ${bytes.length} ${Buffer.from(bytes).toString("hex")}`;
}

/** The text of such a record. */
export function boundText(rdata: Uint8Array): string {
  return new TextDecoder().decode(rdata);
}
