// SPDX-License-Identifier: Apache-2.0
// The zones that a catalog of another server lists (RFC 9432 §4): each PTR at a name below `zones` names one. A catalog that is broken is to
// change nothing, so control looks at it before it takes the place of the one before; here what does not fit counts for nothing.
import { RRType, equalNames, formatName, isSubdomain, nameKey, parseName } from "@meridian/dns";
import type { ZoneDocument } from "./documents.ts";
import type { StaticRecords } from "./static-records.ts";

/** The one version there is, as TXT rdata. */
const VERSION = Buffer.from("\u00012");
const MEMBERS_MAX = 10_000;

interface CatalogRecord {
  readonly owner: Uint8Array;
  readonly type: number;
  readonly rdata: Uint8Array;
}

/** A zone that a catalog lists. */
export interface CatalogMember {
  readonly origin: Uint8Array;
  /** How it is to be set up, as a text each (RFC 9432 §4.4.2); in the order of their bytes. */
  readonly groups: readonly string[];
  /** The catalog that it goes over to (RFC 9432 §4.4.1). */
  readonly moveTo: Uint8Array | undefined;
}

/** The zones that a catalog lists, or why it is none. */
export function readCatalog(
  apex: Uint8Array,
  records: Iterable<CatalogRecord>,
): { readonly members: readonly CatalogMember[] } | { readonly error: string } {
  const version = below(apex, "version");
  const zones = below(apex, "zones");
  const versions: Uint8Array[] = [];
  const byOwner = new Map<string, Uint8Array>();
  const members = new Map<string, Uint8Array>();
  const properties = new Map<string, Uint8Array[]>();
  for (const { owner, type, rdata } of records) {
    if (type === RRType.TXT && equalNames(owner, version)) versions.push(rdata);
    const name = propertyAt(owner, type, zones);
    if (name !== undefined) properties.set(name, [...(properties.get(name) ?? []), rdata]);
    if (type !== RRType.PTR || !isMember(owner, zones)) continue;
    if (byOwner.has(nameKey(owner))) return { error: `${formatName(owner)} names two zones` };
    if (members.has(nameKey(rdata))) return { error: `${formatName(rdata)} is listed twice` };
    byOwner.set(nameKey(owner), rdata);
    members.set(nameKey(rdata), rdata);
  }
  const [found] = versions;
  if (versions.length !== 1 || found === undefined || Buffer.compare(found, VERSION) !== 0)
    return { error: "its version is not 2" };
  if (members.size > MEMBERS_MAX)
    return { error: `it lists ${members.size} zones, expected at most ${MEMBERS_MAX}` };
  return {
    members: [...byOwner].map(([owner, origin]) => {
      const groups = properties.get(`group ${owner}`) ?? [];
      const moves = properties.get(`coo ${owner}`) ?? [];
      return {
        origin,
        groups: groups.flatMap((text) => stringsOf(text)).toSorted(),
        // Of two that contradict each other, none counts.
        moveTo: moves.length === 1 ? moves[0] : undefined,
      };
    }),
  };
}

/**
 * The zones that catalogs list, of each the catalog that has it: the first that lists it, unless that says that the zone goes over to one
 * which lists it as well.
 */
export function listedZones(catalogs: Iterable<SecondaryCatalog>): ZoneDocument[] {
  const all = [...catalogs].flatMap((catalog) => membersOf(catalog));
  const owners = Map.groupBy(all, ({ origin }) => nameKey(origin));
  return [...owners.values()].flatMap((rivals) => {
    let owner = rivals[0];
    for (let step = 1; owner !== undefined && step < rivals.length; step += 1) {
      const { moveTo } = owner;
      const next = rivals.find(({ apex }) => moveTo !== undefined && equalNames(apex, moveTo));
      if (next === undefined) break;
      owner = next;
    }
    return owner === undefined ? [] : [documentOf(owner)];
  });
}

interface SecondaryCatalog {
  readonly document: ZoneDocument;
  readonly apex: Uint8Array;
  readonly records: StaticRecords;
}

type ListedMember = CatalogMember & Pick<SecondaryCatalog, "document" | "apex">;

/** Of a secondary zone that is a catalog; none for others. */
function membersOf({ document, apex, records }: SecondaryCatalog): ListedMember[] {
  if (document.spec.secondary?.catalog !== true) return [];
  const catalog = readCatalog(apex, records);
  return "error" in catalog ? [] : catalog.members.map((member) => ({ ...member, document, apex }));
}

/** As the catalog is itself, but for what its group says. */
function documentOf({ origin: member, groups, document }: ListedMember): ZoneDocument {
  const text = formatName(member).toLowerCase();
  const origin = text === "." ? text : text.slice(0, -1);
  const { secondary } = document.spec;
  if (secondary === undefined) return document;
  const name = groups.find((group) => Object.hasOwn(secondary.groups ?? {}, group));
  const { groups: declared = {}, ...rest } = secondary;
  const group = name === undefined ? undefined : declared[name];
  const { primaries = rest.primaries, zonemd = rest.zonemd } = group ?? {};
  return {
    ...document,
    metadata: {
      ...document.metadata,
      name: origin,
      ...(group === undefined ? {} : { labels: { ...document.metadata.labels, ...group.labels } }),
    },
    spec: { ...document.spec, origin, secondary: { ...rest, primaries, zonemd, catalog: false } },
  };
}

/** One label below `zones`. */
function isMember(owner: Uint8Array, zones: Uint8Array): boolean {
  const label = owner[0] ?? 0;
  return label > 0 && owner.length === zones.length + label + 1 && isSubdomain(owner, zones);
}

/** The property of a member that a record is, as `WORD MEMBER`; undefined for others. */
function propertyAt(owner: Uint8Array, type: number, zones: Uint8Array): string | undefined {
  const length = owner[0] ?? 0;
  const member = owner.subarray(1 + length);
  if (!isMember(member, zones)) return undefined;
  const word = Buffer.from(owner.subarray(1, 1 + length))
    .toString("latin1")
    .toLowerCase();
  const isKnown =
    (word === "group" && type === RRType.TXT) || (word === "coo" && type === RRType.PTR);
  return isKnown ? `${word} ${nameKey(member)}` : undefined;
}

/** The character strings of a TXT record. */
function stringsOf(rdata: Uint8Array): string[] {
  const texts: string[] = [];
  for (let at = 0; at < rdata.length; at += 1 + (rdata[at] ?? 0))
    texts.push(Buffer.from(rdata.subarray(at + 1, at + 1 + (rdata[at] ?? 0))).toString());
  return texts;
}

function below(apex: Uint8Array, label: string): Uint8Array {
  const name = parseName(label, apex);
  return "error" in name ? apex : name;
}
