// SPDX-License-Identifier: Apache-2.0

// What can be said of a section without the others of its snapshot.

import { classifierError, locationMapError, resolversError } from "./location/location-check.ts";
import { differInPlainWords, type PlainWords } from "./plain-words.ts";
import { policiesError } from "./policies/policies-check.ts";
import { BRANCH_WORDS, BranchWord, PoliciesTable } from "./policies/policies-format.ts";
import { addressesError } from "./pools/address-table.ts";
import { poolsError } from "./pools/pools-check.ts";
import {
  ENDPOINT_WORDS,
  EndpointWord,
  POOL_WORDS,
  PoolWord,
  PoolsTable,
} from "./pools/pools-format.ts";
import { SectionKind, type Section } from "./section.ts";
import { viewsError } from "./views/view-table.ts";
import { chunkError } from "./zone/names-chunk.ts";
import { ZoneFact, ZoneTableId } from "./zone/zone-format.ts";
import { zoneError } from "./zone/zone-table.ts";

/** What `poolsError` does not look at. */
const POOLS_PLAIN: readonly PlainWords[] = [
  {
    table: PoolsTable.pools,
    rowWords: POOL_WORDS,
    columns: [PoolWord.minHealthy, PoolWord.dial],
  },
  {
    table: PoolsTable.endpoints,
    rowWords: ENDPOINT_WORDS,
    columns: [EndpointWord.weight, EndpointWord.ipv4, EndpointWord.capacity],
  },
];
/** What `policiesError` does not look at. */
const POLICIES_PLAIN: readonly PlainWords[] = [
  {
    table: PoliciesTable.branches,
    rowWords: BRANCH_WORDS,
    columns: [BranchWord.weight, BranchWord.dial],
  },
];

/** Why a section cannot be read by index, whatever others it comes with; undefined where it can. */
export function sectionFlaw(section: Section): string | undefined {
  switch (section.kind) {
    case SectionKind.zone:
      return zoneError(section);
    case SectionKind.names:
      return chunkError(section, section.seed);
    default:
      return sharedFlaw(section);
  }
}

/** Names and endpoints of the sections that a snapshot has of zones and pools. */
export function countedIn(sections: Iterable<Section>): {
  readonly names: number;
  readonly endpoints: number;
} {
  let [names, endpoints] = [0, 0];
  for (const section of sections) {
    if (section.kind === SectionKind.zone)
      names += section.words[section.wordBase(ZoneTableId.facts) + ZoneFact.ownerCount]!;
    else if (section.kind === SectionKind.pools) endpoints += section.count(PoolsTable.endpoints);
  }
  return { names, endpoints };
}

/**
 * The same of one that no zone has; undefined for those of zones, which are looked at when they are opened. `before` is a sound one of its kind, if
 * one is known.
 */
export function sharedFlaw(section: Section, before?: Section): string | undefined {
  switch (section.kind) {
    case SectionKind.pools:
      return isAs(before, section, POOLS_PLAIN) ? undefined : poolsError(section);
    case SectionKind.policies:
      return isAs(before, section, POLICIES_PLAIN) ? undefined : policiesError(section);
    case SectionKind.locationMap:
      return locationMapError(section);
    case SectionKind.classifier:
      return classifierError(section);
    case SectionKind.addresses:
      return addressesError(section);
    case SectionKind.resolvers:
      return resolversError(section);
    case SectionKind.views:
      return viewsError(section);
    default:
      return undefined;
  }
}

function isAs(
  before: Section | undefined,
  section: Section,
  plain: readonly PlainWords[],
): boolean {
  return before !== undefined && differInPlainWords(before, section, plain);
}
