// SPDX-License-Identifier: Apache-2.0

import { FAMILY_IPV4, FAMILY_IPV6 } from "@meridian/snapshot";

/** Bytes of a client subnet option before its address. */
export const ECS_HEADER_BYTES = 8;
const IANA_IPV4 = 1;
const IANA_IPV6 = 2;

/** The client subnet option of one query (RFC 7871 §6). */
export class EcsQuery {
  isPresent: boolean = false;
  /** `FAMILY_IPV4` or `FAMILY_IPV6`; 0 where the client names none, which it may only do to opt out. */
  family: number = 0;
  /** 0 means that the client opted out of being located (RFC 7871 §7.1.2). */
  sourcePrefix: number = 0;
  /** Where the address begins in the query. */
  addressStart: number = 0;
  addressBytes: number = 0;

  /**
   * Reads the option's data. False where it is malformed: an unknown family, a prefix longer than an address, a scope that is not 0,
   * too few or too many address bytes, bits beyond the prefix, or a second option.
   */
  read(bytes: Uint8Array, at: number, length: number): boolean {
    if (this.isPresent || length < 4) return false;
    const iana = (bytes[at]! << 8) | bytes[at + 1]!;
    const prefix = bytes[at + 2]!;
    const isFamilyKnown = iana === IANA_IPV4 || iana === IANA_IPV6 || (iana === 0 && prefix === 0);
    const prefixMax = iana === IANA_IPV6 ? 128 : 32;
    if (!isFamilyKnown || prefix > prefixMax || bytes[at + 3] !== 0) return false;
    const addressBytes = (prefix + 7) >>> 3;
    if (length !== 4 + addressBytes) return false;
    const spareBits = addressBytes * 8 - prefix;
    if (spareBits > 0 && (bytes[at + 4 + addressBytes - 1]! & ((1 << spareBits) - 1)) !== 0)
      return false;
    this.isPresent = true;
    this.family = iana === IANA_IPV6 ? FAMILY_IPV6 : iana === IANA_IPV4 ? FAMILY_IPV4 : 0;
    this.sourcePrefix = prefix;
    this.addressStart = at + 4;
    this.addressBytes = addressBytes;
    return true;
  }

  /** The family as the option states it. */
  get ianaFamily(): number {
    return this.family === FAMILY_IPV6 ? IANA_IPV6 : this.family === FAMILY_IPV4 ? IANA_IPV4 : 0;
  }
}
