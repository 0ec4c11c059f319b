// SPDX-License-Identifier: Apache-2.0
import { assert, key64, parseDuration } from "@meridian/core";
import { RRType, parseRdata } from "@meridian/dns";
import {
  indexKey,
  NameKey,
  type Model,
  type RecordDocument,
  type RecordShape,
  type Zone,
} from "@meridian/model";
import { ClientLocation, TargetKind } from "@meridian/snapshot";
import {
  ZoneWriter,
  type Binding,
  type ServiceBinding,
  type SharedBinding,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { wireName } from "./compile-pools.ts";
import { secondarySettings } from "./secondary/secondary-settings.ts";
import { transferRules, transferSettings } from "./transfer-secrets.ts";
import { nextSerial, type LastZone } from "./zone-history.ts";

const locationModes = {
  "prefer-ecs": ClientLocation.preferEcs,
  resolver: ClientLocation.resolver,
  "ecs-only": ClientLocation.ecsOnly,
} as const;

/** Types that a Record may be bound for, by their presentation name. */
const boundTypes: Readonly<Record<RecordDocument["spec"]["types"][number], number>> = {
  A: RRType.A,
  AAAA: RRType.AAAA,
  CNAME: RRType.CNAME,
  HTTPS: RRType.HTTPS,
  SVCB: RRType.SVCB,
  SRV: RRType.SRV,
};

/** A zone that was written, or why it cannot be. */
export type CompiledZone =
  | { readonly sections: readonly WrittenSection[] }
  | { readonly error: string };

/** What the compiled form of a zone depends on besides the model. */
export interface ZoneInput {
  /** Seed of the name hashes, one for all zones of a snapshot. */
  readonly seed: number;
  /** The zone as published before. */
  readonly last: LastZone | undefined;
  /** Least serial of a zone that has none of its own. */
  readonly serialBase: number;
  /** Another one when what routed names are answered from changes: the serial of a zone that goes out with their answers follows it. */
  readonly routing: string;
}

/** Sections of one zone. */
export function compileZone(model: Model, zone: Zone, input: ZoneInput): CompiledZone {
  const spec = zone.document.spec;
  // A zone of a view may be signed as the one of its origin that is in none.
  const dnssec = spec.dnssec ?? model.zones.get(zone.origin)?.document.spec.dnssec;
  try {
    const writer = new ZoneWriter(zone.apex, {
      clientLocation: locationModes[spec.clientLocation ?? "prefer-ecs"],
      ...(trustsEveryone(spec.ecsTrust) ? {} : { ecsTrust: spec.ecsTrust }),
      ...(dnssec === undefined ? {} : { answerVariants: dnssec.answerVariants }),
      hasOwnKeys: spec.view !== undefined && spec.dnssec !== undefined,
      seed: input.seed,
      owners: zone.records.owners.count + zone.dynamicRecords.count,
      // Signed queries are checked by the same keys.
      ...((spec.transfers ?? spec.secondary ?? spec.updates ?? spec.allowQuery) === undefined
        ? {}
        : { transfers: transferSettings(zone.document) }),
      ...(zone.copy === undefined
        ? {}
        : { secondary: secondarySettings(zone.document, zone.copy.expiresSeconds) }),
      view: spec.view,
      ...(spec.allowQuery === undefined ? {} : { allowQuery: transferRules(spec.allowQuery) }),
      ...(showsRouting(zone) && zone.dynamicRecords.count > 0
        ? { contentSalt: input.routing }
        : {}),
    });
    addStatic(writer, zone);
    addBound(model, writer, zone);
    const serialOf = hasOwnSerial(zone)
      ? undefined
      : (hash: string): number => nextSerial(input.last, hash, input.serialBase);
    return { sections: writer.finish(serialOf) };
  } catch (error) {
    // One zone that cannot be compiled keeps its last good sections; the others go on.
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** Whether what goes out to secondaries depends on pools and policies. */
export function showsRouting({ document }: Zone): boolean {
  const { transfers } = document.spec;
  return transfers !== undefined && transfers.transferAs !== "omit";
}

/** Whether the document or the master file fixes the serial. */
export function hasOwnSerial({ document, records }: Zone): boolean {
  if (document.spec.soa?.serial !== undefined) return true;
  const soa = records.firstOf(RRType.SOA);
  return soa >= 0 && records.at(soa).path[1] !== "soa";
}

function trustsEveryone(prefixes: readonly string[]): boolean {
  return prefixes.includes("0.0.0.0/0") && prefixes.includes("::/0");
}

function addStatic(writer: ZoneWriter, { records }: Zone): void {
  for (let at = 0; at < records.count; at++) {
    const owner = records.owners.name(records.ownerAt(at));
    writer.addRecord(owner, records.typeAt(at), records.ttlAt(at), records.rdataAt(at));
  }
}

/** Binds the names of Records, those of one shape to one binding. */
function addBound(model: Model, writer: ZoneWriter, { dynamicRecords }: Zone): void {
  const { table, indices } = dynamicRecords;
  const bound: (SharedBinding | undefined)[] = table.shapes.map(() => undefined);
  const key = new NameKey();
  for (const record of indices) {
    const number = table.shapeAt(record);
    let known = bound[number];
    if (known === undefined) {
      const shape = table.shapes[number];
      assert(shape !== undefined, "every Record has a shape");
      const types = shape.spec.types.map((type) => boundTypes[type]);
      known = writer.sharedBinding(types, bindingOf(model, shape));
      bound[number] = known;
    }
    const start = table.ownerStart(record);
    key.setText(table.names.bytes, start, start + table.ownerBytes(record));
    writer.bind(key.bytes, key.length, known);
  }
}

/** What the name of one Record is bound to, and for which types. */
export function boundRecord(
  model: Model,
  { spec, metadata }: RecordDocument,
): { readonly types: readonly number[]; readonly binding: Binding } {
  const types = spec.types.map((type) => boundTypes[type]);
  return { types, binding: bindingOf(model, { spec, metadata }) };
}

function bindingOf(model: Model, { spec, metadata }: RecordShape): Binding {
  const isPolicy = spec.policy !== undefined;
  const policyLocation =
    spec.policy === undefined
      ? undefined
      : model.policy(metadata.namespace, spec.policy)?.spec.clientLocation;
  const location = spec.clientLocation ?? policyLocation;
  const target = isPolicy
    ? `policy/${indexKey(metadata.namespace, spec.policy ?? "")}`
    : `pool/${indexKey(metadata.namespace, spec.pool ?? "")}`;
  return {
    targetKind: isPolicy ? TargetKind.policy : TargetKind.pool,
    targetKey: key64(target),
    ttlMin: seconds(spec.ttl.min),
    ttlMax: seconds(spec.ttl.max),
    answers: spec.answers ?? 0,
    clientLocation: location === undefined ? ClientLocation.inherit : locationModes[location],
    ...(spec.types.some((type) => type === "HTTPS" || type === "SVCB")
      ? { service: serviceOf(spec.https) }
      : {}),
    ...(spec.types.includes("SRV") ? { srv: srvOf(spec.srv) } : {}),
    ...(spec.objective === undefined
      ? {}
      : { objectiveSeconds: seconds(spec.objective.recoveryTime) }),
  };
}

function serviceOf(spec: RecordDocument["spec"]["https"]): ServiceBinding {
  const fields = [String(spec?.priority ?? 1), dotted(spec?.target ?? ".")];
  if (spec?.alpn !== undefined) fields.push(`alpn=${spec.alpn.join(",")}`);
  if (spec?.port !== undefined) fields.push(`port=${spec.port}`);
  const target = wireName(spec?.target ?? ".");
  const parsed = parseRdata(RRType.HTTPS, fields, new Uint8Array([0]));
  if (!("rdata" in parsed))
    throw new TypeError(`Cannot encode the service parameters ${fields.join(" ")}`);
  // Rdata is priority (2), target name, parameters.
  return {
    priority: spec?.priority ?? 1,
    target,
    params: parsed.rdata.subarray(2 + target.length),
    hasHints: spec?.hints ?? true,
  };
}

function srvOf(spec: RecordDocument["spec"]["srv"]): NonNullable<Binding["srv"]> {
  return {
    priority: spec?.priority ?? 0,
    weight: spec?.weight ?? 0,
    port: spec?.port ?? 0,
    ...(spec?.target === undefined ? {} : { target: wireName(spec.target) }),
  };
}

function dotted(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}

/** Whole seconds, rounded up, at least one. */
function seconds(duration: string): number {
  return Math.max(1, Math.ceil((parseDuration(duration) ?? 0) / 1000));
}
