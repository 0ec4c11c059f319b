// SPDX-License-Identifier: Apache-2.0

// What the routed names of a zone answer in a copy of it, where every client gets the same: what a transfer of the zone has for them.

import { classifierCompiler, compile, DataSets } from "@meridian/control";
import { nameKey, parseName, RRType, type ZoneRecord } from "@meridian/dns";
import { RoutedRecords } from "@meridian/edge";
import type { Model, Zone } from "@meridian/model";
import { type TransferAs, walkChunk, World, worldOf } from "@meridian/snapshot";
import { CommandError, ExitCode } from "../exit-code.ts";

/** A routed name with what a copy of the zone holds for it. */
export interface RoutedName {
  /** As the Record has it. */
  readonly name: string;
  readonly types: readonly string[];
  /** `policy/NS/NAME` or `pool/NS/NAME`. */
  readonly target: string;
  readonly records: readonly ZoneRecord[];
}

/** The routed names of a zone in the order of their documents. */
export function routedNames(model: Model, zone: Zone, as: TransferAs): RoutedName[] {
  if (zone.dynamicRecords.indices.length === 0) return [];
  const recordsOf = recordsByOwner(model, zone, as);
  return [...zone.dynamicRecords].map(({ metadata, spec }) => {
    const owner = parseName(spec.name);
    const { namespace } = metadata;
    const types = new Set<number>(spec.types.map((type) => RRType[type]));
    const known = "error" in owner ? [] : (recordsOf.get(nameKey(owner)) ?? []);
    const records = known.filter(({ type }) => types.has(type) || type === RRType.CNAME);
    // A CNAME stands alone, whichever of the name's Records it is from.
    if ("length" in owner)
      recordsOf.set(
        nameKey(owner),
        known.filter((record) => !records.includes(record)),
      );
    const target =
      spec.policy === undefined
        ? `pool/${namespace}/${spec.pool ?? ""}`
        : `policy/${namespace}/${spec.policy}`;
    return { name: spec.name, types: spec.types, target, records };
  });
}

function recordsByOwner(
  model: Model,
  { origin, document }: Zone,
  as: TransferAs,
): Map<string, readonly ZoneRecord[]> {
  const { sections } = compile(model, { seed: 1, classify: classifierCompiler(new DataSets()) });
  const world = worldOf(sections, 1);
  if (!(world instanceof World))
    throw new CommandError(ExitCode.failed, `Cannot answer from the documents: ${world}`);
  const apex = parseName(origin);
  const zone = world.zones.zones.find(
    (each) =>
      !("error" in apex) &&
      each.view === document.spec.view &&
      nameKey(each.origin) === nameKey(apex),
  );
  const routed = new RoutedRecords(world, as, { zone });
  const found = new Map<string, readonly ZoneRecord[]>();
  for (let chunk = 0; zone !== undefined && chunk < zone.chunkCount; chunk++)
    for (const { owner, bindings } of walkChunk(zone, zone.chunkAt(chunk)))
      if (bindings.length > 0) found.set(nameKey(owner), routed.of(bindings));
  return found;
}
