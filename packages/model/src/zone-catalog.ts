// SPDX-License-Identifier: Apache-2.0
// Catalog zones (RFC 9432): the zones that other servers are to have, as records of a zone that they take as any other.
//
//   @                 NS   invalid.
//   version           TXT  "2"
//   ID.zones          PTR  the zone; its ID is the same as long as it is called that
//   group.ID.zones    TXT  how it is to be set up (§4.4.2)
//   coo.ID.zones      PTR  the catalog that it goes over to (§4.4.1)
import { createHash } from "node:crypto";
import { RRType, equalNames } from "@meridian/dns";
import type { ZoneDocument } from "./documents.ts";
import type { StaticRecords } from "./static-records.ts";
import { nameBytes } from "./zone-data.ts";

/** A zone that may be listed. */
interface ListedZone {
  readonly document: ZoneDocument;
  readonly origin: string;
  readonly apex: Uint8Array;
}

const PATH = ["spec", "catalog"];
const VERSION = Buffer.from("\u00012");
const ID_DIGITS = 32;
/** RFC 9432 §4.1: nobody is to ask for a catalog's records. */
const NO_SERVER = Buffer.from("\u0007invalid\0");
const TTL_SECONDS = 0;

/** Adds the records of a catalog: of zones of its namespace that may be transferred, but itself. */
export function addCatalog(
  { document, apex }: ListedZone,
  zones: Iterable<ListedZone>,
  records: StaticRecords,
): void {
  const { file, line } = document.source;
  const add = (labels: readonly string[], type: number, rdata: Uint8Array): void => {
    const owner = Buffer.concat([...labels.map(labelOf), apex]);
    records.push(owner, type, TTL_SECONDS, rdata, PATH, file, line);
  };
  add([], RRType.NS, NO_SERVER);
  add(["version"], RRType.TXT, VERSION);
  for (const zone of zones) {
    if (!isListed(zone.document, document)) continue;
    const id = idOf(zone);
    add([id, "zones"], RRType.PTR, zone.apex);
    const { group, moveTo } = zone.document.spec.transfers?.catalog ?? {};
    if (group !== undefined) add(["group", id, "zones"], RRType.TXT, labelOf(group));
    const wanted = moveTo === undefined ? apex : nameBytes(moveTo);
    if (!equalNames(wanted, apex)) add(["coo", id, "zones"], RRType.PTR, wanted);
  }
}

function isListed(zone: ZoneDocument, catalog: ZoneDocument): boolean {
  const { namespace, labels = {} } = zone.metadata;
  const wanted = Object.entries(catalog.spec.catalog?.labels ?? {});
  return (
    zone !== catalog &&
    namespace === catalog.metadata.namespace &&
    zone.spec.transfers !== undefined &&
    zone.spec.catalog === undefined &&
    // A secondary knows no views of ours.
    zone.spec.view === undefined &&
    wanted.every(([name, value]) => labels[name] === value)
  );
}

function idOf({ origin }: ListedZone): string {
  return createHash("sha256").update(origin).digest("hex").slice(0, ID_DIGITS);
}

/** A label, or a character string: both begin with their length. */
function labelOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}
