// SPDX-License-Identifier: Apache-2.0
import { key64 } from "@meridian/core";
import { SectionKind } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { comparePrefixes, formatPrefix, type AddressPrefix } from "./prefix.ts";
import { flattenPrefixes, writeRanges } from "./range-partition.ts";
import { RESOLVER_CLIENT_WORDS, RESOLVERS_KEY_TEXT, ResolverTableId } from "./resolver-table.ts";

/** Clients behind `resolver`, which sends no client subnet, are taken to be in `client`. */
export interface ResolverClients {
  readonly resolver: AddressPrefix;
  readonly client: AddressPrefix;
}

/** Writes a resolvers section: the longest resolver prefix wins, of equal ones the last given. */
export function writeResolvers(entries: readonly ResolverClients[]): WrittenSection {
  const clients = new Map(entries.map(({ client }) => [formatPrefix(client), client]));
  const sorted = [...clients.values()].toSorted(comparePrefixes);
  const ids = new Map(sorted.map((client, index) => [formatPrefix(client), index + 1]));
  const ranges = flattenPrefixes(
    entries.map(({ resolver, client }) => ({
      prefix: resolver,
      value: ids.get(formatPrefix(client)) ?? 0,
    })),
  );
  const writer = new SectionWriter(SectionKind.resolvers, key64(RESOLVERS_KEY_TEXT));
  writeRanges(writer, ranges.withEmbedded());
  const words = new Uint32Array(sorted.length * RESOLVER_CLIENT_WORDS);
  sorted.forEach(({ family, length, words: address }, index) =>
    words.set([(family << 8) | length, ...address], index * RESOLVER_CLIENT_WORDS),
  );
  writer.table(ResolverTableId.clients, RESOLVER_CLIENT_WORDS * 4, words);
  return writer.finish();
}
