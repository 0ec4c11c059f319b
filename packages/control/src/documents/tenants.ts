// SPDX-License-Identifier: Apache-2.0

// The bounds of Tenants: what a change would claim or hold beyond them is refused, whoever asks. What was there before a bound stays, and
// may shrink.

import { countedKinds, parseStoreDocument, type TenantDocument } from "@meridian/model";
import { RequestRefusal } from "../request-refusal.ts";
import type { Write } from "../store/store.ts";
import { fieldsOf, formatKey, member } from "./document-key.ts";
import type { DocumentSet } from "./document-set.ts";
import { plainDocument } from "./document-text.ts";

type Stored = NonNullable<ReturnType<DocumentSet["get"]>>;

/** How much of what: of each kind, and names and endpoints. */
type Usage = Map<string, number>;

interface Size {
  readonly names: number;
  readonly endpoints: number;
}

export class Tenancy {
  /** Documents are values, which stay the same from set to set: each is looked into once. */
  readonly #sizes = new WeakMap<Stored, Size>();

  /** Throws where `writes`, which make `wanted` of `set`, break the bounds of a Tenant. */
  refuse(writes: readonly Write[], set: DocumentSet, wanted: DocumentSet): void {
    const tenants = tenantsOf(wanted);
    if (writes.some(({ key }) => key.kind === "Tenant")) refuseOverlaps(tenants);
    if (tenants.length === 0) return;
    for (const write of writes) refuseForeignNames(write, tenants);
    for (const tenant of tenants) {
      const namespaces = new Set(tenant.spec.namespaces);
      const isTouched = writes.some(({ key }) => namespaces.has(key.namespace));
      if (isTouched) this.#refuseExcess(tenant, namespaces, set, wanted);
    }
  }

  /** Everything that is too much, at once; what does not grow is let be. */
  #refuseExcess(
    { metadata, spec }: TenantDocument,
    namespaces: ReadonlySet<string>,
    set: DocumentSet,
    wanted: DocumentSet,
  ): void {
    const quotas = [
      ...(["names", "endpoints"] as const).map((what) => [what, spec.quotas[what]] as const),
      ...countedKinds.map((kind) => [kind, spec.quotas.documents[kind]] as const),
    ].filter((each): each is readonly [(typeof each)[0], number] => each[1] !== undefined);
    if (quotas.length === 0) return;
    const [before, after] = [this.#usageOf(set, namespaces), this.#usageOf(wanted, namespaces)];
    const excess = quotas.flatMap(([what, most]) => {
      const count = after.get(what) ?? 0;
      return count > most && count > (before.get(what) ?? 0)
        ? [
            `it would have ${count} ${what === "names" || what === "endpoints" ? what : `documents of kind ${what}`}, expected at most ${most}`,
          ]
        : [];
    });
    if (excess.length > 0)
      throw new RequestRefusal(
        "QUOTA_EXCEEDED",
        `Cannot apply: the quota of Tenant/${metadata.name} is exceeded: ${excess.join("; ")}`,
      );
  }

  #usageOf(set: DocumentSet, namespaces: ReadonlySet<string>): Usage {
    const usage: Usage = new Map();
    const add = (what: string, count: number): void => {
      usage.set(what, (usage.get(what) ?? 0) + count);
    };
    for (const document of set.all()) {
      const { kind, namespace } = document.key;
      if (!namespaces.has(namespace)) continue;
      add(kind, 1);
      const { names, endpoints } = this.#sizeOf(document);
      add("names", names);
      add("endpoints", endpoints);
    }
    return usage;
  }

  #sizeOf(document: Stored): Size {
    const known = this.#sizes.get(document) ?? sizeOf(document);
    this.#sizes.set(document, known);
    return known;
  }
}

/** Every Tenant. */
export function tenantsOf(set: DocumentSet): TenantDocument[] {
  return [...set.ofKind("Tenant")].flatMap(({ text }) => {
    const parsed = parseStoreDocument("Tenant", plainDocument(JSON.parse(text)));
    return "document" in parsed && parsed.document.kind === "Tenant" ? [parsed.document] : [];
  });
}

function refuseOverlaps(tenants: readonly TenantDocument[]): void {
  const owners = new Map<string, string>();
  for (const { metadata, spec } of tenants) {
    const domains = (spec.domains ?? []).map((each) => `domain "${plainName(each)}"`);
    for (const what of [...spec.namespaces.map((each) => `namespace "${each}"`), ...domains]) {
      const owner = owners.get(what) ?? metadata.name;
      if (owner !== metadata.name)
        throw new RequestRefusal(
          "DOCUMENT_CONFLICT",
          `Cannot apply Tenant/${metadata.name}: the ${what} is that of Tenant/${owner}, expected one owner`,
        );
      owners.set(what, owner);
    }
  }
}

/** The name of each Zone, Record and static record must be one that its namespace may claim. */
function refuseForeignNames({ key, text }: Write, tenants: readonly TenantDocument[]): void {
  const { kind } = key;
  if (text === undefined || (kind !== "Zone" && kind !== "Record" && kind !== "RecordSet")) return;
  const own = tenants.find(({ spec }) => spec.namespaces.includes(key.namespace));
  for (const name of namesOf(kind, JSON.parse(text))) {
    const owner = ownerOf(name, tenants);
    const isOwn = owner === undefined ? own?.spec.domains === undefined : owner === own;
    if (isOwn) continue;
    const wanted =
      own?.spec.domains === undefined
        ? "a name that is no other tenant's"
        : `one at or below ${own.spec.domains.map(plainName).join(", ")} that is no other tenant's`;
    throw new RequestRefusal(
      "NAME_NOT_OWNED",
      `Cannot apply ${formatKey(key)}: its name is "${name}", expected ${wanted}`,
    );
  }
}

/** The Tenant with the longest domain that a name lies in. */
export function ownerOf(
  name: string,
  tenants: readonly TenantDocument[],
): TenantDocument | undefined {
  const owners = tenants.flatMap((tenant) =>
    (tenant.spec.domains ?? [])
      .map(plainName)
      .filter((domain) => domain === "" || name === domain || name.endsWith(`.${domain}`))
      .map((domain) => ({ tenant, length: domain.length })),
  );
  return owners.toSorted((a, b) => b.length - a.length)[0]?.tenant;
}

function sizeOf({ key: { kind }, text }: Stored): Size {
  const isMembers = kind === "Pool" || kind === "EndpointSet";
  const raw: unknown = isMembers || kind === "Zone" ? JSON.parse(text) : undefined;
  return {
    names:
      kind === "Record" || kind === "RecordSet"
        ? 1
        : kind === "Zone"
          ? new Set(staticOwners(raw)).size
          : 0,
    endpoints: isMembers ? Object.keys(fieldsOf(member(member(raw, "spec"), "members"))).length : 0,
  };
}

function* namesOf(kind: "Zone" | "Record" | "RecordSet", raw: unknown): Generator<string> {
  const spec = member(raw, "spec");
  yield plainName(String(member(spec, kind === "Zone" ? "origin" : "name")));
  if (kind === "Zone") yield* staticOwners(raw);
}

/** Full names of the owners of a Zone's static records. */
function* staticOwners(raw: unknown): Generator<string> {
  const spec = member(raw, "spec");
  const origin = plainName(String(member(spec, "origin")));
  const records = member(spec, "records");
  for (const record of Array.isArray(records) ? records : []) {
    const name = String(member(record, "name"));
    if (name === "@") yield origin;
    else yield name.endsWith(".") ? plainName(name) : plainName(`${name}.${origin}`);
  }
}

/** Lower case, without the last dot. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
