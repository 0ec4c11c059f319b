// SPDX-License-Identifier: Apache-2.0

// What was compiled last, kept so that a small change is compiled from it: the sections by what they are of, opened.
// `patchedState` gives what compiling the changed model anew would give, byte for byte; where it cannot tell, it gives nothing.
//
// The reader looks at all that is compiled before it is handed out: at the whole as a world, and of a small change at the sections
// that it makes. That they fit the others is looked at where they are served: to do it twice would cost a change of one name among
// a million as much as all else here.

import { assert } from "@meridian/core";
import type { ModelPatch, PatchedModel, PatchedOwner, PatchedRecords, Zone } from "@meridian/model";
import {
  World,
  countedIn,
  openSection,
  readPublishedZone,
  sectionFlaw,
  type SpareCopy,
} from "@meridian/snapshot";
import {
  ZoneEditor,
  openSealed,
  patchPolicies,
  patchPools,
  type NamedPart,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { routingOf, type Compiled } from "./compile.ts";
import { compilePolicy } from "./compile-policies.ts";
import { compilePool, wireName } from "./compile-pools.ts";
import { boundRecord, compileZone, hasOwnSerial, showsRouting } from "./compile-zones.ts";
import { secondarySettings } from "./secondary/secondary-settings.ts";
import type { SetSize } from "./shrinking.ts";
import { historyKey, nextSerial, type LastZone } from "./zone-history.ts";

/** The zone section, then its names sections. */
type ZoneParts = readonly NamedPart[];

export interface CompiledState {
  readonly patched: PatchedModel;
  readonly pools: NamedPart;
  readonly policies: NamedPart;
  /** Resolvers, views, classifiers and maps. */
  readonly others: readonly NamedPart[];
  /** By `Zone.key`. */
  readonly zones: ReadonlyMap<string, ZoneParts>;
}

/** Copies of the sections of which a change may take a few words: megabytes, of a million names. */
export interface LargeSpares {
  readonly pools: SpareCopy;
  readonly policies: SpareCopy;
}

/** How a zone of a changed model is compiled. */
export interface PatchOptions {
  readonly seed: number;
  /** As `CompileOptions.serialBase`. */
  readonly serialBase: number;
  /** Of all controls, by `historyKey`; where undefined, serials go on from the zones of the state. */
  readonly serials: ReadonlyMap<string, LastZone> | undefined;
  /** May have copies of sections of the state. */
  readonly spares?: LargeSpares;
}

/** Opens what was compiled as a whole. Throws where the reader refuses it. */
export function compiledState(
  patched: PatchedModel,
  compiled: Compiled,
  seed: number,
): CompiledState {
  const parts = new Map(compiled.sections.map((section) => [section.name, partOf(section)]));
  refuseBroken([...parts.values()], seed);
  const find = ({ name }: WrittenSection): NamedPart => {
    const part = parts.get(name);
    assert(part !== undefined, "every section was opened");
    return part;
  };
  const [pools, policies, ...others] = compiled.shared.map(find);
  assert(pools !== undefined && policies !== undefined, "pools and policies are always there");
  const zones = new Map(compiled.zones.map(({ key, sections }) => [key, sections.map(find)]));
  return { patched, pools, policies, others, zones };
}

/** All sections in their canonical order. */
export function sectionsOf({ pools, policies, others, zones }: CompiledState): WrittenSection[] {
  const byOrigin = [...zones].sort(([a], [b]) => (a < b ? -1 : 1));
  return [pools, policies, ...others, ...byOrigin.flatMap(([, parts]) => parts)].map(
    ({ written }) => written,
  );
}

/** Names and endpoints. */
export function sizeOfState({ pools, zones }: CompiledState): SetSize {
  const parts = [...zones.values()].flatMap(([zone]) => (zone === undefined ? [] : [zone]));
  return countedIn([pools, ...parts].map(({ section }) => section));
}

/** Whether all zones have the serials that all controls give them, so that those which do not change stay as they are. */
export function hasSerials(
  { zones }: CompiledState,
  serials: ReadonlyMap<string, LastZone>,
): boolean {
  return [...zones.values()].every(([zone]) => {
    assert(zone !== undefined, "a zone has a zone section");
    const { origin, view, contentHash, serial } = readPublishedZone(zone.section);
    const known = serials.get(historyKey(origin, view));
    return known?.contentHash === contentHash && known.serial === serial;
  });
}

/** A section that a change made, and the one in whose place it is. */
export interface ReplacedPart {
  readonly before: NamedPart;
  readonly after: NamedPart;
}

/** What a change made of sections that were there. */
export function replacedParts(before: CompiledState, after: CompiledState): ReplacedPart[] {
  const pairs = [
    { before: before.pools, after: after.pools },
    { before: before.policies, after: after.policies },
  ];
  for (const [key, parts] of after.zones) {
    const old = before.zones.get(key);
    if (old === undefined || old === parts) continue;
    for (const [index, part] of parts.entries()) {
      const was = old[index];
      if (was !== undefined) pairs.push({ before: was, after: part });
    }
  }
  return pairs.filter(
    ({ before: { written: was }, after: { written } }) =>
      was.name !== written.name && was.kind === written.kind && was.key === written.key,
  );
}

/** The sections of those zones that are others than they were. */
export function changedZones(before: CompiledState, after: CompiledState): WrittenSection[] {
  return [...after.zones].flatMap(([origin, parts]) =>
    before.zones.get(origin) === parts ? [] : parts.map(({ written }) => written),
  );
}

/**
 * The state after a change; undefined where it takes compiling the whole. The zones of `state` are those that were published last: their
 * serials go on.
 */
export function patchedState(
  state: CompiledState,
  patch: ModelPatch,
  options: PatchOptions,
): CompiledState | undefined {
  const { next, pools, policies, zones } = patch;
  const { model } = next;
  const isSamePools = pools.set.length + pools.removed.length === 0;
  const isSamePolicies = policies.set.length + policies.removed.length === 0;
  // The serial of such a zone follows everything that its names may be answered from.
  if (!(isSamePools && isSamePolicies) && [...model.zones.values()].some(showsRouting))
    return undefined;
  const routing = routingOf(state.pools.written, state.policies.written);
  const changedZones = new Map(state.zones);
  for (const origin of zones.removed) changedZones.delete(origin);
  for (const [origin, zone] of zones.set) {
    const last = options.serials?.get(historyKey(zone.apex, zone.document.spec.view));
    const compiled = compileZone(model, zone, { ...options, last, routing });
    if (!("sections" in compiled)) return undefined;
    changedZones.set(origin, compiled.sections.map(soundPartOf));
  }
  for (const change of zoneChanges(patch)) {
    const before = state.zones.get(change.zone.key);
    const parts = before && patchedZone(next, before, change, { ...options, routing });
    if (parts === undefined) return undefined;
    changedZones.set(change.zone.key, parts);
  }
  const patchedPools = (): NamedPart => {
    const inputs = pools.set.map(([, pool]) => compilePool(model, pool));
    return soundPartOf(
      patchPools(state.pools.section, inputs, pools.removed, options.spares?.pools),
    );
  };
  const patchedPolicies = (): NamedPart => {
    const inputs = policies.set.map(
      ([, policy]) => compilePolicy(model, policy, refuseClassifier).policy,
    );
    return soundPartOf(
      patchPolicies(state.policies.section, inputs, policies.removed, options.spares?.policies),
    );
  };
  return {
    patched: next,
    pools: isSamePools ? state.pools : patchedPools(),
    policies: isSamePolicies ? state.policies : patchedPolicies(),
    others: state.others,
    zones: changedZones,
  };
}

/** All that changes in one zone. */
interface ZoneChange {
  readonly zone: Zone;
  readonly owners: readonly PatchedOwner[];
  readonly records: readonly PatchedRecords[];
}

function zoneChanges({ owners, recordSets, copies }: ModelPatch): ZoneChange[] {
  const records = [...recordSets, ...copies.flatMap(({ changes }) => changes)];
  const zones = new Map(
    [...owners, ...records, ...copies].map(({ zone }) => [zone.key, zone] as const),
  );
  return [...zones.values()].map((zone) => ({
    zone,
    owners: owners.filter((each) => each.zone === zone),
    records: records.filter((each) => each.zone === zone),
  }));
}

/**
 * A zone with some names bound otherwise, or with other records; undefined where one of them has other data, or where the zone outgrows its
 * sections.
 */
function patchedZone(
  { model }: PatchedModel,
  before: ZoneParts,
  { zone, owners, records }: ZoneChange,
  { serialBase, serials, routing }: PatchOptions & { readonly routing: string },
): ZoneParts | undefined {
  const [zonePart, ...names] = before;
  assert(zonePart !== undefined, "a zone has a zone section");
  const isShown = showsRouting(zone);
  // With its first routed name, what its serial follows is another.
  if (isShown && owners.length > 0) return undefined;
  const editor = new ZoneEditor(zonePart.section, names);
  const bound = owners.map((owner) => ({ ...owner, wire: wireName(owner.name) }));
  for (const owner of bound) {
    const facts = editor.factsOf(owner.wire);
    const isSole = facts.boundCount === (owner.before === undefined ? 0 : 1);
    if (!isSole || facts.recordCount > 0 || facts.isOccluded) return undefined;
  }
  for (const { wire, after } of bound)
    editor.bind(wire, after === undefined ? [] : [boundRecord(model, after)]);
  for (const { owner, type, before: gone, after } of records)
    if (!editor.replaceRecords(owner, type, gone, after)) return undefined;
  for (const { owner } of records) {
    // Beside a routed name, a type may be there twice.
    if (editor.factsOf(owner).boundCount > 0 || !editor.isCnameAlone(owner)) return undefined;
  }
  const { contentHash, serial } = readPublishedZone(zonePart.section);
  const own = { sections: [], contentHash, serial };
  const last =
    serials === undefined ? own : serials.get(historyKey(zone.apex, zone.document.spec.view));
  const sections = editor.finish({
    serialOf: hasOwnSerial(zone) ? undefined : (hash) => nextSerial(last, hash, serialBase),
    contentSalt: isShown && zone.dynamicRecords.count > 0 ? routing : undefined,
    secondary: zone.copy && secondarySettings(zone.document, zone.copy.expiresSeconds),
  });
  const known = new Map(before.map((part) => [part.written.name, part]));
  return sections?.map((section) => known.get(section.name) ?? soundPartOf(section));
}

function partOf(written: WrittenSection): NamedPart {
  const section = openSection(written.buffer);
  if ("error" in section) throw refused(section.error);
  return { written, section };
}

function soundPartOf(written: WrittenSection): NamedPart {
  const section = openSealed(written.buffer);
  if ("error" in section) throw refused(section.error);
  const flaw = sectionFlaw(section);
  if (flaw !== undefined) throw refused(flaw);
  return { written, section };
}

function refuseBroken(parts: readonly NamedPart[], seed: number): void {
  const world = World.load(
    parts.map(({ section }) => section),
    seed,
  );
  if ("error" in world) throw refused(world.error);
}

function refused(reason: string): TypeError {
  return new TypeError(`The compiler wrote what the reader refuses: ${reason}`);
}

function refuseClassifier(): never {
  throw new TypeError("A policy that looks at places is compiled with all others");
}
