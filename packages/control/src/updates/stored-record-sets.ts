// SPDX-License-Identifier: Apache-2.0

// The RecordSets of the store by their names: an update looks at few of perhaps a million. What is known of a list of documents holds as
// long as that list does.

import { createHash } from "node:crypto";
import {
  formatRdata,
  nameKey,
  parseName,
  parseRdataText,
  typeFromText,
  typeToText,
  type UpdateRrset,
} from "@meridian/dns";
import { apiVersion, nameText, wholeSeconds, type RecordSetDocument } from "@meridian/model";
import { member } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { DocumentKey, StoredDocument } from "../store/store.ts";

type Stored = Pick<StoredDocument, "key" | "text" | "revision">;

/** A RecordSet of the store in wire form. */
export interface StoredRecordSet extends UpdateRrset {
  readonly document: Stored;
}

/** Longest TTL that a duration can say in seconds. */
const TTL_SECONDS_MAX = 999_999_999;
/** As `metadata.name` may be. */
const DOCUMENT_NAME = /^[a-z0-9_*]([a-z0-9._*-]{0,251}[a-z0-9])?$/;
const TYPE_WORD = /^[A-Z][A-Z0-9]{0,15}$/;

/** The zone that sets are looked for in. */
export interface ZonePlace {
  readonly origin: Uint8Array;
  readonly ttl: string;
  readonly view: string | undefined;
}

export class StoredRecordSets {
  readonly #owners = new WeakMap<readonly Stored[], ReadonlyMap<string, readonly Stored[]>>();

  /** Those of a zone at a name. Its TTL is that of those that give none. */
  at(set: DocumentSet, namespace: string, owner: Uint8Array, zone: ZonePlace): StoredRecordSet[] {
    const key = nameKey(owner);
    const found: StoredRecordSet[] = [];
    for (const documents of set.listsOfKind("RecordSet"))
      for (const document of this.#byOwner(documents).get(key) ?? [])
        if (document.key.namespace === namespace) found.push(...readSet(document, zone));
    return found;
  }

  #byOwner(documents: readonly Stored[]): ReadonlyMap<string, readonly Stored[]> {
    let owners = this.#owners.get(documents);
    if (owners === undefined) {
      owners = Map.groupBy(documents, ({ text }) => {
        const wire = parseName(String(member(member(JSON.parse(text), "spec"), "name")));
        return wire instanceof Uint8Array ? nameKey(wire) : "";
      });
      this.#owners.set(documents, owners);
    }
    return owners;
  }
}

function readSet(document: Stored, { origin, ttl: zoneTtl, view }: ZonePlace): StoredRecordSet[] {
  const spec = member(JSON.parse(document.text), "spec");
  if (member(spec, "view") !== view) return [];
  const type = typeFromText(String(member(spec, "type")));
  const [ttl, values] = [member(spec, "ttl"), member(spec, "values")];
  if (type === undefined || !Array.isArray(values)) return [];
  const rdatas = values.flatMap((value) => {
    const parsed = parseRdataText(type, String(value), origin);
    return "rdata" in parsed ? [parsed.rdata] : [];
  });
  return [{ type, ttl: wholeSeconds(typeof ttl === "string" ? ttl : zoneTtl), rdatas, document }];
}

/** The document that an update writes of a set. Its name says what it holds, where names of documents can. */
export function recordSetDocument(
  { namespace, view }: { readonly namespace: string; readonly view: string | undefined },
  owner: Uint8Array,
  { type, ttl, rdatas }: UpdateRrset,
): Omit<RecordSetDocument, "source"> {
  const word = typeToText(type);
  const text = nameText(owner);
  return {
    apiVersion,
    kind: "RecordSet",
    metadata: { name: documentName(text, type, view), namespace },
    spec: {
      name: text,
      ...(view === undefined ? {} : { view }),
      type: TYPE_WORD.test(word) ? word : `TYPE${type}`,
      ttl: `${Math.min(ttl, TTL_SECONDS_MAX)}s`,
      values: rdatas.map((rdata) => formatRdata(type, rdata)),
    },
  };
}

function documentName(owner: string, type: number, view: string | undefined): string {
  const word = typeToText(type).toLowerCase();
  // A dash in it could be one of the name.
  const own = word.includes("-") ? `type${type}` : word;
  const suffix = view === undefined ? own : `${own}-${viewSuffix(view)}`;
  const plain = `${owner}-${suffix}`;
  if (DOCUMENT_NAME.test(plain)) return plain;
  const hashed = view === undefined ? owner : `${owner} ${view}`;
  return `${createHash("sha256").update(hashed).digest("hex").slice(0, 40)}-${own}`;
}

/** A view in the name of a document: where its end could be taken for a type, which stands last where there is no view, by its hash. */
function viewSuffix(view: string): string {
  const last = view.slice(view.lastIndexOf("-") + 1).toUpperCase();
  return typeFromText(last) === undefined
    ? view
    : `v-${createHash("sha256").update(view).digest("hex").slice(0, 40)}x`;
}

/** The key of a document. */
export function keyOfRecordSet({ metadata }: Pick<RecordSetDocument, "metadata">): DocumentKey {
  return { kind: "RecordSet", namespace: metadata.namespace, name: metadata.name };
}
