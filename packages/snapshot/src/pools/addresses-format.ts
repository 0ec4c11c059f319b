// SPDX-License-Identifier: Apache-2.0

// The addresses section (kind 6): what the host names of endpoints resolved to, apart from the pools section so that a change of
// addresses rebuilds this section alone. There is none where no endpoint needs one.
//
//   keys      u64 endpoint keys, ascending
//   entries   u32 first IPv4, u32 IPv4 count, u32 first IPv6, u32 IPv6 count      one a key, in its order
//   ipv4      4 bytes each        ipv6      16 bytes each

/** Tables of the addresses section. */
export const AddressesTable = { keys: 16, entries: 17, ipv4: 18, ipv6: 19 } as const;

/** Words of an entry. */
export const ADDRESS_ENTRY_WORDS = 4;

/** Most addresses of one endpoint and family. */
export const RESOLVED_MAX = 8;

/** Text whose key names the section. */
export const ADDRESSES_KEY_TEXT = "section/addresses";
