// SPDX-License-Identifier: Apache-2.0

// What Cells say: who is in which, and which zones are whose. A zone that a Cell names is a unit of its own; another one is in its
// tenant's, by the namespace of its document or, where that is in a file, by the tenants' domains.

import { parseStoreDocument, type CellDocument } from "@meridian/model";
import { member } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument } from "../documents/document-text.ts";
import { ownerOf, plainName, tenantsOf } from "../documents/tenants.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { Write } from "../store/store.ts";
import type { CellUnits, WantedCells } from "./assignment.ts";
import { placeRequestOf, placeShards } from "./place-shards.ts";

type Stored = NonNullable<ReturnType<DocumentSet["get"]>>;

export class CellReader {
  /** Documents are values: each is looked into once. */
  readonly #origins = new WeakMap<Stored, string>();

  /** What the documents say of these zones and of their own. */
  read(set: DocumentSet, origins: Iterable<string>): WantedCells {
    const cells = cellsOf(set).map(unitsOf);
    const known = new Set(cells.flatMap(({ units }) => units));
    const zones = new Map<string, string>();
    if (known.size === 0) return { cells, zones };
    const tenants = tenantsOf(set);
    const namespaces = this.#namespaces(set);
    for (const origin of new Set([...origins, ...namespaces.keys()])) {
      // A zone of a view is where the one of its origin is.
      const plain = origin.replace(/@.*$/, "");
      const namespace = namespaces.get(plain);
      const tenant =
        namespace === undefined
          ? ownerOf(plain, tenants)
          : tenants.find(({ spec }) => spec.namespaces.includes(namespace));
      const unit = [`zone/${plain}`, `tenant/${tenant?.metadata.name ?? ""}`].find((each) =>
        known.has(each),
      );
      if (unit !== undefined) zones.set(origin, unit);
    }
    return { cells, zones };
  }

  /** By origin. */
  #namespaces(set: DocumentSet): Map<string, string> {
    const namespaces = new Map<string, string>();
    for (const document of set.ofKind("Zone")) {
      const origin =
        this.#origins.get(document) ??
        plainName(String(member(member(JSON.parse(document.text), "spec"), "origin")));
      this.#origins.set(document, origin);
      namespaces.set(origin, document.key.namespace);
    }
    return namespaces;
  }
}

/** Throws where Cells have something in common, or where one has no room for all that it is to serve. */
export function refuseCells(writes: readonly Write[], wanted: DocumentSet): void {
  if (!writes.some(({ key }) => key.kind === "Cell")) return;
  const owners = new Map<string, string>();
  for (const cell of cellsOf(wanted)) {
    const { metadata, spec } = cell;
    const { units } = unitsOf(cell);
    for (const what of [...spec.edges.map(({ name }) => `edge/${name}`), ...units]) {
      const owner = owners.get(what);
      if (owner !== undefined)
        throw new RequestRefusal(
          "DOCUMENT_CONFLICT",
          `Cannot apply Cell/${metadata.name}: ${what} is in Cell/${owner}, expected in one place`,
        );
      owners.set(what, metadata.name);
    }
    refuseFull(cell, units);
  }
}

function refuseFull(cell: CellDocument, units: readonly string[]): void {
  const request = placeRequestOf(cell, units, new Map());
  const placed = placeShards(request);
  if (placed.kind === "placed") return;
  const { edges, size, overlap } = request;
  const { foundCount, countMax } = placed;
  throw new RequestRefusal(
    "CELL_FULL",
    `Cannot apply Cell/${cell.metadata.name}: it has ${units.length} tenants and zones, each on ${size} of ${edges.length} edges with at most ${overlap} in common, expected at most ${foundCount}, for which room was found (there is none for more than ${countMax}); give it more edges or more overlap`,
  );
}

function unitsOf(cell: CellDocument): CellUnits {
  const { tenants, zones } = cell.spec;
  return {
    cell,
    units: [
      ...tenants.map((name) => `tenant/${name}`),
      ...zones.map((origin) => `zone/${plainName(origin)}`),
    ],
  };
}

function cellsOf(set: DocumentSet): CellDocument[] {
  return [...set.ofKind("Cell")].flatMap(({ text }) => {
    const parsed = parseStoreDocument("Cell", plainDocument(JSON.parse(text)));
    return "document" in parsed && parsed.document.kind === "Cell" ? [parsed.document] : [];
  });
}
