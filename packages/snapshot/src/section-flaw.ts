// SPDX-License-Identifier: Apache-2.0

// What can be said of a section without the others of its snapshot.

import { classifierError, locationMapError, resolversError } from "./location/location-check.ts";
import { policiesError } from "./policies/policies-check.ts";
import { addressesError } from "./pools/address-table.ts";
import { poolsError } from "./pools/pools-check.ts";
import { PoolsTable } from "./pools/pools-format.ts";
import { SectionKind, type Section } from "./section.ts";
import { viewsError } from "./views/view-table.ts";
import { chunkError } from "./zone/names-chunk.ts";
import { ZoneFact, ZoneTableId } from "./zone/zone-format.ts";
import { zoneError } from "./zone/zone-table.ts";

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

/** The same of one that no zone has; undefined for those of zones, which are looked at when they are opened. */
export function sharedFlaw(section: Section): string | undefined {
  switch (section.kind) {
    case SectionKind.pools:
      return poolsError(section);
    case SectionKind.policies:
      return policiesError(section);
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
