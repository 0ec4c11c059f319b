// SPDX-License-Identifier: Apache-2.0
import { assert, key64 } from "@meridian/core";
import { SectionKind } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import {
  ADDRESSES_KEY_TEXT,
  ADDRESS_ENTRY_WORDS,
  AddressesTable,
  RESOLVED_MAX,
} from "./addresses-format.ts";

/** What one endpoint's host name resolved to, as wire bytes. */
export interface ResolvedEndpoint {
  /** Key of `endpoint/NAMESPACE/POOL/MEMBER`. */
  readonly key: bigint;
  readonly ipv4: readonly Uint8Array[];
  readonly ipv6: readonly Uint8Array[];
}

/**
 * Writes the addresses section. Addresses are sorted and kept once, so that a name server that turns its answers around changes
 * nothing; of more than RESOLVED_MAX the least are kept.
 */
export function writeAddresses(endpoints: readonly ResolvedEndpoint[]): WrittenSection {
  const sorted = endpoints.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const keys = BigUint64Array.from(sorted, ({ key }) => key);
  const entries = new Uint32Array(sorted.length * ADDRESS_ENTRY_WORDS);
  const ipv4: Uint8Array[] = [];
  const ipv6: Uint8Array[] = [];
  sorted.forEach((endpoint, index) => {
    const four = kept(endpoint.ipv4, 4);
    const six = kept(endpoint.ipv6, 16);
    entries.set([ipv4.length, four.length, ipv6.length, six.length], index * ADDRESS_ENTRY_WORDS);
    ipv4.push(...four);
    ipv6.push(...six);
  });
  const writer = new SectionWriter(SectionKind.addresses, key64(ADDRESSES_KEY_TEXT));
  writer.table(AddressesTable.keys, 8, keys);
  writer.table(AddressesTable.entries, ADDRESS_ENTRY_WORDS * 4, entries);
  writer.table(AddressesTable.ipv4, 4, new Uint8Array(Buffer.concat(ipv4)));
  writer.table(AddressesTable.ipv6, 16, new Uint8Array(Buffer.concat(ipv6)));
  return writer.finish();
}

function kept(addresses: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const sorted = addresses.toSorted((a, b) => Buffer.compare(a, b));
  const distinct = sorted.filter((address, index) => {
    assert(address.length === bytes, "an address has the bytes of its family");
    const previous = sorted[index - 1];
    return previous === undefined || Buffer.compare(previous, address) !== 0;
  });
  return distinct.slice(0, RESOLVED_MAX);
}
