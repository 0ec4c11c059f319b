// SPDX-License-Identifier: Apache-2.0
// The part of a model that the running system looks at all the time, and how it follows the compiler's: after the first load only what
// has changed travels, as 100,000 endpoints would hold the main thread up for a second. What the system holds is known by a *print*
// (hashes by name), which the compiler makes and gets back with the next request, so that neither has to remember the other's past.

import { hash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { patchedMap } from "@meridian/core";
import {
  indexKey,
  signedUntilOf,
  type DataSet,
  type HealthCheckDocument,
  type Model,
  type Pool,
  type SiteDocument,
  type TrafficPolicyDocument,
  type ZoneDnssec,
  type ZonePublishTo,
  type ZoneSecondary,
} from "@meridian/model";
import type { TransferSettings } from "@meridian/snapshot";
import { transferSettings, zoneKeys } from "./transfer-secrets.ts";

/** A zone that is to be signed. */
export interface SignedZone {
  /** Of its document, for who may see it. */
  readonly namespace: string;
  readonly name: string;
  readonly dnssec: ZoneDnssec;
}

/** A zone of documents and files that has keys and signatures of its own: somebody signs it elsewhere. */
export interface PresignedFacts {
  /** Of its document, for who may see it. */
  readonly namespace: string;
  /** When its first signature ends. */
  readonly signedUntilSeconds: number;
}

/** A zone that comes from another server. */
export interface SecondaryZone {
  /** Of its document, for who may see it. */
  readonly namespace: string;
  readonly name: string;
  readonly secondary: ZoneSecondary;
  /** Keys that sign, by name; each names where its secret is. */
  readonly keys: TransferSettings["keys"];
}

/** A zone whose decided answers go to another server. */
export interface PublishedZone {
  readonly namespace: string;
  readonly name: string;
  readonly publishTo: ZonePublishTo;
  /** The key that signs; it names where its secret is. */
  readonly key: TransferSettings["keys"][number];
}

/** Documents by name. Plain data: it travels between processes. */
export interface ServedParts {
  readonly sites: Model["sites"];
  readonly pools: ReadonlyMap<string, Pool>;
  readonly policies: Model["policies"];
  readonly checks: Model["checks"];
  readonly dataSets: Model["dataSets"];
  /** By what zones are called: their origin, lower case, without the last dot, and behind an `@` their view. */
  readonly signedZones: ReadonlyMap<string, SignedZone>;
  /** The same. */
  readonly presignedZones: ReadonlyMap<string, PresignedFacts>;
  /** By origin. */
  readonly secondaryZones: ReadonlyMap<string, SecondaryZone>;
  /** By origin. */
  readonly publishedZones: ReadonlyMap<string, PublishedZone>;
  /** How many documents there are in all. */
  readonly documentCount: number;
}

/**
 * The documents behind what is served, without records and zones: those may be a million, so they stay in the compiler's process, which
 * is asked for what is shown of them.
 */
export class ServedModel implements ServedParts {
  readonly sites: Model["sites"];
  readonly pools: ReadonlyMap<string, Pool>;
  readonly policies: Model["policies"];
  readonly checks: Model["checks"];
  readonly dataSets: Model["dataSets"];
  readonly signedZones: ReadonlyMap<string, SignedZone>;
  readonly presignedZones: ReadonlyMap<string, PresignedFacts>;
  readonly secondaryZones: ReadonlyMap<string, SecondaryZone>;
  readonly publishedZones: ReadonlyMap<string, PublishedZone>;
  readonly documentCount: number;

  constructor(parts: ServedParts) {
    this.sites = parts.sites;
    this.pools = parts.pools;
    this.policies = parts.policies;
    this.checks = parts.checks;
    this.dataSets = parts.dataSets;
    this.signedZones = parts.signedZones;
    this.presignedZones = parts.presignedZones;
    this.secondaryZones = parts.secondaryZones;
    this.publishedZones = parts.publishedZones;
    this.documentCount = parts.documentCount;
  }

  pool(namespace: string, name: string): Pool | undefined {
    return this.pools.get(indexKey(namespace, name));
  }

  policy(namespace: string, name: string): TrafficPolicyDocument | undefined {
    return this.policies.get(indexKey(namespace, name));
  }

  check(namespace: string, name: string): HealthCheckDocument | undefined {
    return this.checks.get(`${namespace}/${name}`);
  }

  /** A site and those it is part of, from itself outwards (the model has refused cycles). */
  siteChain(name: string): SiteDocument[] {
    const chain: SiteDocument[] = [];
    for (let at = this.sites.get(name); at !== undefined;) {
      chain.push(at);
      at = at.spec.parent === undefined ? undefined : this.sites.get(at.spec.parent);
    }
    return chain;
  }
}

/** What of one kind is new or other than it was, and what is gone. */
export interface PartChange<Value> {
  readonly set: readonly (readonly [string, Value])[];
  readonly removed: readonly string[];
}

export interface PartsChange {
  readonly parts: {
    readonly sites: PartChange<SiteDocument>;
    readonly pools: PartChange<Pool>;
    readonly policies: PartChange<TrafficPolicyDocument>;
    readonly checks: PartChange<HealthCheckDocument>;
    readonly dataSets: PartChange<DataSet>;
    readonly signedZones: PartChange<SignedZone>;
    readonly presignedZones: PartChange<PresignedFacts>;
    readonly secondaryZones: PartChange<SecondaryZone>;
    readonly publishedZones: PartChange<PublishedZone>;
  };
  /** False where these are all parts, whatever was there before. */
  readonly isRelative: boolean;
  readonly documentCount: number;
  /** Of the parts after the change; absent where what is held by `id` was compiled from and few parts are other than it says. */
  readonly print?: Uint8Array;
  /** Names what was compiled: the next change may be compiled from it. */
  readonly id: string;
}

/** What its asker holds of a compiler's model. */
export interface HeldParts {
  /** `PartsChange.id` of the newest change. */
  readonly id: string;
  /** The newest print; left out on the way to the process that made it. */
  readonly print?: Uint8Array | undefined;
  /** Parts (`KIND/NAME`) that have changed since. */
  readonly changed: readonly string[];
}

/** What is held after a change. */
export function heldAfter(
  held: HeldParts | undefined,
  { id, print, parts }: PartsChange,
): HeldParts {
  if (print !== undefined) return { id, print, changed: [] };
  const changed = new Set(held?.changed);
  for (const [kind, { set, removed }] of Object.entries(parts)) {
    for (const [name] of set) changed.add(`${kind}/${name}`);
    for (const name of removed) changed.add(`${kind}/${name}`);
  }
  return { id, print: held?.print, changed: [...changed] };
}

const nothing = { set: [], removed: [] };

/** A change of pools and policies alone, of what its asker holds. */
export function smallChange(
  { pools, policies }: Pick<PartsChange["parts"], "pools" | "policies">,
  documentCount: number,
  id: string,
): PartsChange {
  const unchanged = { sites: nothing, checks: nothing, dataSets: nothing };
  // A zone that is signed or secondary is no small change.
  const parts = {
    ...unchanged,
    ...{ signedZones: nothing, presignedZones: nothing },
    ...{ secondaryZones: nothing, publishedZones: nothing },
    ...{ pools, policies },
  };
  return { parts, isRelative: true, documentCount, id };
}

/** How a model differs from the parts that are held; all of it where nothing is held. */
export function changedParts(
  model: Model,
  held: Omit<HeldParts, "id"> | undefined,
  id: string,
): PartsChange {
  const before = held?.print === undefined ? new Map<string, string>() : readPrint(held.print);
  // Some other text: they are told in any case, and if they are gone, that.
  for (const key of held?.changed ?? []) before.set(key, "");
  const print = new Map<string, string>();
  const change = <Value>(
    name: string,
    entries: ReadonlyMap<string, Value>,
    textOf: (value: Value) => string = JSON.stringify,
  ): PartChange<Value> => {
    const set: (readonly [string, Value])[] = [];
    for (const entry of entries) {
      const key = `${name}/${entry[0]}`;
      const found = hash("sha1", textOf(entry[1]), "base64");
      print.set(key, found);
      if (before.get(key) !== found) set.push(entry);
    }
    const removed = [...before.keys()].flatMap((key) =>
      key.startsWith(`${name}/`) && !print.has(key) ? [key.slice(name.length + 1)] : [],
    );
    return { set, removed };
  };
  const { sites, pools, policies, checks, dataSets, documentCount } = model;
  return {
    parts: {
      sites: change("sites", sites),
      pools: change("pools", pools, poolText),
      policies: change("policies", policies),
      checks: change("checks", checks),
      dataSets: change("dataSets", dataSets),
      signedZones: change("signedZones", signedZonesOf(model)),
      presignedZones: change("presignedZones", presignedZonesOf(model)),
      secondaryZones: change("secondaryZones", secondaryZonesOf(model)),
      publishedZones: change("publishedZones", publishedZonesOf(model)),
    },
    isRelative: held?.print !== undefined,
    documentCount,
    print: serialize(print),
    id,
  };
}

function signedZonesOf({ zones }: Model): ReadonlyMap<string, SignedZone> {
  const signed = new Map<string, SignedZone>();
  for (const { key, document } of zones.values()) {
    const { metadata, spec } = document;
    const { namespace, name } = metadata;
    if (spec.dnssec !== undefined) signed.set(key, { namespace, name, dnssec: spec.dnssec });
  }
  return signed;
}

function presignedZonesOf({ zones }: Model): ReadonlyMap<string, PresignedFacts> {
  const found = new Map<string, PresignedFacts>();
  for (const zone of zones.values()) {
    // Copies are looked at where they are kept.
    const signedUntilSeconds = zone.copy === undefined ? signedUntilOf(zone) : undefined;
    const { namespace } = zone.document.metadata;
    if (signedUntilSeconds !== undefined) found.set(zone.key, { namespace, signedUntilSeconds });
  }
  return found;
}

function secondaryZonesOf({ zones }: Model): ReadonlyMap<string, SecondaryZone> {
  const found = new Map<string, SecondaryZone>();
  for (const { origin, document } of zones.values()) {
    const { namespace, name } = document.metadata;
    const { secondary } = document.spec;
    if (secondary === undefined) continue;
    const { keys } = transferSettings(document);
    found.set(origin, { namespace, name, secondary, keys });
  }
  return found;
}

function publishedZonesOf({ zones }: Model): ReadonlyMap<string, PublishedZone> {
  const found = new Map<string, PublishedZone>();
  for (const { origin, document } of zones.values()) {
    const { namespace, name } = document.metadata;
    const { publishTo } = document.spec;
    const key = publishTo && zoneKeys(document).find((each) => each.name === publishTo.tsigKey);
    if (key !== undefined && publishTo !== undefined)
      found.set(origin, { namespace, name, publishTo, key });
  }
  return found;
}

/** Another text for another pool: its key is in the document, and so is every member but those of EndpointSets. */
function poolText({ document, members }: Pool): string {
  const others = [...members.values()].filter((member) => member.document !== document);
  return JSON.stringify([document, ...others]);
}

function readPrint(held: Uint8Array): Map<string, string> {
  const print: unknown = deserialize(held);
  return new Map<string, string>(print instanceof Map ? print : []);
}

/** The parts after a change; entries that have not changed are the same objects. */
export function withChange(held: ServedModel | undefined, change: PartsChange): ServedModel {
  const before = change.isRelative ? held : undefined;
  const { sites, pools, policies, checks, dataSets, signedZones } = change.parts;
  const { presignedZones, secondaryZones, publishedZones } = change.parts;
  return new ServedModel({
    sites: patched(before?.sites, sites),
    pools: patched(before?.pools, pools),
    policies: patched(before?.policies, policies),
    checks: patched(before?.checks, checks),
    dataSets: patched(before?.dataSets, dataSets),
    signedZones: patched(before?.signedZones, signedZones),
    presignedZones: patched(before?.presignedZones, presignedZones),
    secondaryZones: patched(before?.secondaryZones, secondaryZones),
    publishedZones: patched(before?.publishedZones, publishedZones),
    documentCount: change.documentCount,
  });
}

function patched<Value extends object>(
  held: ReadonlyMap<string, Value> | undefined,
  { set, removed }: PartChange<Value>,
): ReadonlyMap<string, Value> {
  if (held !== undefined && set.length + removed.length === 0) return held;
  return held === undefined ? new Map(set) : patchedMap(held, removed, set);
}
