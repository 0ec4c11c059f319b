// SPDX-License-Identifier: Apache-2.0

// What was compiled last, kept so that a small change is compiled from it: the sections by what they are of, opened, and the world that
// they make. `patchedState` gives what compiling the changed model anew would give, byte for byte; where it cannot tell, it gives nothing.

import { assert } from "@meridian/core";
import { nameKey } from "@meridian/dns";
import type { ModelPatch, PatchedModel, PatchedOwner, Zone } from "@meridian/model";
import { World, openSection, readPublishedZone } from "@meridian/snapshot";
import {
  ZoneEditor,
  patchPolicies,
  patchPools,
  type NamedPart,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import type { Compiled } from "./compile.ts";
import { compilePolicy } from "./compile-policies.ts";
import { compilePool, wireName } from "./compile-pools.ts";
import { boundRecord, compileZone, hasOwnSerial } from "./compile-zones.ts";
import { nextSerial, type LastZone } from "./zone-history.ts";

/** The zone section, then its names sections. */
type ZoneParts = readonly NamedPart[];

export interface CompiledState {
  readonly patched: PatchedModel;
  readonly pools: NamedPart;
  readonly policies: NamedPart;
  /** Resolvers, classifiers and maps. */
  readonly others: readonly NamedPart[];
  /** By origin. */
  readonly zones: ReadonlyMap<string, ZoneParts>;
  readonly world: World;
}

/** How a zone of a changed model is compiled. */
export interface PatchOptions {
  readonly seed: number;
  /** As `CompileOptions.serialBase`. */
  readonly serialBase: number;
  /** Of all controls, by `nameKey` of the origin; where undefined, serials go on from the zones of the state. */
  readonly serials: ReadonlyMap<string, LastZone> | undefined;
}

/** Opens what was compiled as a whole. Throws where the reader refuses it. */
export function compiledState(
  patched: PatchedModel,
  compiled: Compiled,
  seed: number,
): CompiledState {
  const parts = new Map(compiled.sections.map((section) => [section.name, partOf(section)]));
  const world = worldOfParts([...parts.values()], seed);
  const find = ({ name }: WrittenSection): NamedPart => {
    const part = parts.get(name);
    assert(part !== undefined, "every section was opened");
    return part;
  };
  const [pools, policies, ...others] = compiled.shared.map(find);
  assert(pools !== undefined && policies !== undefined, "pools and policies are always there");
  const zones = new Map(compiled.zones.map(({ origin, sections }) => [origin, sections.map(find)]));
  return { patched, pools, policies, others, zones, world };
}

/** All sections in their canonical order. */
export function sectionsOf({ pools, policies, others, zones }: CompiledState): WrittenSection[] {
  const byOrigin = [...zones].sort(([a], [b]) => (a < b ? -1 : 1));
  return [pools, policies, ...others, ...byOrigin.flatMap(([, parts]) => parts)].map(
    ({ written }) => written,
  );
}

/** Whether all zones have the serials that all controls give them, so that those which do not change stay as they are. */
export function hasSerials(
  { zones }: CompiledState,
  serials: ReadonlyMap<string, LastZone>,
): boolean {
  return [...zones.values()].every(([zone]) => {
    assert(zone !== undefined, "a zone has a zone section");
    const { origin, contentHash, serial } = readPublishedZone(zone.section);
    const known = serials.get(nameKey(origin));
    return known?.contentHash === contentHash && known.serial === serial;
  });
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
  { next, pools, policies, zones, owners }: ModelPatch,
  options: PatchOptions,
): CompiledState | undefined {
  const { model } = next;
  const changedZones = new Map(state.zones);
  for (const origin of zones.removed) changedZones.delete(origin);
  for (const [origin, zone] of zones.set) {
    const last = options.serials?.get(nameKey(zone.apex));
    const compiled = compileZone(model, zone, { ...options, last });
    if (!("sections" in compiled)) return undefined;
    changedZones.set(origin, compiled.sections.map(partOf));
  }
  for (const [zone, changed] of Map.groupBy(owners, (owner) => owner.zone)) {
    const before = state.zones.get(zone.origin);
    const parts = before && patchedZone(next, zone, before, changed, options);
    if (parts === undefined) return undefined;
    changedZones.set(zone.origin, parts);
  }
  const isSamePools = pools.set.length + pools.removed.length === 0;
  const isSamePolicies = policies.set.length + policies.removed.length === 0;
  const patchedPools = (): NamedPart => {
    const inputs = pools.set.map(([, pool]) => compilePool(model, pool));
    return partOf(patchPools(state.pools.section, inputs, pools.removed));
  };
  const patchedPolicies = (): NamedPart => {
    const inputs = policies.set.map(
      ([, policy]) => compilePolicy(model, policy, refuseClassifier).policy,
    );
    return partOf(patchPolicies(state.policies.section, inputs, policies.removed));
  };
  const parts = {
    patched: next,
    pools: isSamePools ? state.pools : patchedPools(),
    policies: isSamePolicies ? state.policies : patchedPolicies(),
    others: state.others,
    zones: changedZones,
  };
  const all = [parts.pools, parts.policies, ...parts.others, ...[...changedZones.values()].flat()];
  return { ...parts, world: worldOfParts(all, options.seed, state.world) };
}

/** A zone with some names bound otherwise; undefined where one of them has other data, or where the zone outgrows its sections. */
function patchedZone(
  { model }: PatchedModel,
  zone: Zone,
  before: ZoneParts,
  owners: readonly PatchedOwner[],
  { serialBase, serials }: PatchOptions,
): ZoneParts | undefined {
  const [zonePart, ...names] = before;
  assert(zonePart !== undefined, "a zone has a zone section");
  const editor = new ZoneEditor(zonePart.section, names);
  const bound = owners.map((owner) => ({ ...owner, wire: wireName(owner.name) }));
  for (const owner of bound) {
    const facts = editor.factsOf(owner.wire);
    const isSole = facts.boundCount === (owner.before === undefined ? 0 : 1);
    if (!isSole || facts.recordCount > 0 || facts.isOccluded) return undefined;
  }
  for (const { wire, after } of bound)
    editor.bind(wire, after === undefined ? [] : [boundRecord(model, after)]);
  const { contentHash, serial } = readPublishedZone(zonePart.section);
  const own = { sections: [], contentHash, serial };
  const last = serials === undefined ? own : serials.get(nameKey(zone.apex));
  const sections = editor.finish(
    hasOwnSerial(zone) ? undefined : (hash) => nextSerial(last, hash, serialBase),
  );
  const known = new Map(before.map((part) => [part.written.name, part]));
  return sections?.map((section) => known.get(section.name) ?? partOf(section));
}

function partOf(written: WrittenSection): NamedPart {
  const section = openSection(written.buffer);
  if ("error" in section) throw refused(section.error);
  return { written, section };
}

function worldOfParts(parts: readonly NamedPart[], seed: number, before?: World): World {
  const world = World.load(
    parts.map(({ section }) => section),
    seed,
    before,
  );
  if ("error" in world) throw refused(world.error);
  return world;
}

function refused(reason: string): TypeError {
  return new TypeError(`The compiler wrote what the reader refuses: ${reason}`);
}

function refuseClassifier(): never {
  throw new TypeError("A policy that looks at places is compiled with all others");
}
