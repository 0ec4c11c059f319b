// SPDX-License-Identifier: Apache-2.0
// What holds among names: each lies in a zone, is defined once for a type, and a CNAME stands alone.
import { WordList } from "@meridian/core";
import { formatName, isSubdomain, lowerName, RRType, typeToText } from "@meridian/dns";
import type { Document, RecordDocument, RecordSetDocument, ZoneDocument } from "../documents.ts";
import { NameKey, NameTable } from "../name-table.ts";
import { formatPath, type Path } from "../problem.ts";
import type { Report } from "../report.ts";
import type { Zone, ZoneTable } from "../zone-table.ts";

/** A text form of a name that is equal for equal names: lower case, without the last dot. */
export function nameText(name: Uint8Array): string {
  const text = formatName(lowerName(name));
  return text === "." ? text : text.slice(0, -1);
}

/** Where the records of one owner name and type are defined. */
interface Place {
  readonly document: Document;
  readonly path: Path;
  /** Equal for records that may share an owner name and type: of one list entry, the file, one Record. */
  readonly key: string;
}

/**
 * The types of each owner, by the owner's number in the zone, each with its place. The first type is
 * held in a flat list: most of a million names have one, and a map each took half of the time.
 */
class OwnerTypes {
  readonly #first: WordList = new WordList();
  readonly #more = new Map<number, Map<number, Place>>();
  readonly #places: Place[] = [];
  readonly #placeIndex = new Map<Place, number>();

  get(owner: number, type: number): Place | undefined {
    const place = this.#firstPlace(owner);
    if (place === undefined) return undefined;
    return this.#first.at(owner * 2) === type ? place : this.#more.get(owner)?.get(type);
  }

  set(owner: number, type: number, place: Place): void {
    while (this.#first.length < (owner + 1) * 2) this.#first.push(0);
    if (this.#firstPlace(owner) === undefined) {
      this.#first.put(owner * 2, type);
      this.#first.put(owner * 2 + 1, this.#numberOf(place) + 1);
      return;
    }
    const more = this.#more.get(owner) ?? new Map<number, Place>();
    this.#more.set(owner, more.set(type, place));
  }

  keys(owner: number): number[] {
    if (this.#firstPlace(owner) === undefined) return [];
    return [this.#first.at(owner * 2), ...(this.#more.get(owner)?.keys() ?? [])];
  }

  #firstPlace(owner: number): Place | undefined {
    if (owner < 0 || owner * 2 >= this.#first.length) return undefined;
    return this.#places[this.#first.at(owner * 2 + 1) - 1];
  }

  #numberOf(place: Place): number {
    let number = this.#placeIndex.get(place);
    if (number === undefined) {
      number = this.#places.push(place) - 1;
      this.#placeIndex.set(place, number);
    }
    return number;
  }
}

/** Reports what is wrong among the static records of the zones and between them and Records. */
export function checkZones(table: ZoneTable, report: Report): void {
  for (const zone of table.zones.values()) new ZoneCheck(zone, report).run(table.readsFiles);
}

class ZoneCheck {
  readonly #zone: Zone;
  readonly #report: Report;
  readonly #types = new OwnerTypes();
  readonly #key = new NameKey();

  constructor(zone: Zone, report: Report) {
    this.#zone = zone;
    this.#report = report;
  }

  run(readsFiles: boolean): void {
    const { document, records, recordSets, apex, dynamicRecords } = this.#zone;
    if (document.spec.secondary !== undefined) {
      // What its primary has was looked at when it came.
      for (const record of [...dynamicRecords, ...recordSets.values()])
        refuseBeside(record, document, this.#report);
      return;
    }
    const places = records.paths.map((path) => {
      const set = recordSets.get(path);
      return set === undefined ? placeOf(document, path) : placeOfSet(set);
    });
    for (let at = 0; at < records.count; at += 1) {
      const place = places[records.pathAt(at)];
      if (place !== undefined) this.#add(records.ownerAt(at), records.typeAt(at), place);
    }
    this.#addDynamic();
    const apexOwner = records.owners.find(this.#key.setWire(apex));
    for (let owner = 0; owner < records.owners.count; owner += 1) {
      this.#checkCname(owner, owner === apexOwner);
    }
    this.#checkCuts(apexOwner);
    const hasServers = this.#types.get(apexOwner, RRType.NS) !== undefined;
    if (!hasServers && (document.spec.file === undefined || readsFiles)) {
      const path = ["spec", "nameServers"];
      const wanted = "at least one name server";
      this.#report.error(document, { code: "zone-wrong", path, found: [], wanted });
    }
  }

  #add(owner: number, type: number, place: Place): void {
    const first = this.#types.get(owner, type);
    if (first === undefined) {
      this.#types.set(owner, type, place);
      return;
    }
    if (first.key === place.key) return;
    this.#report.error(place.document, {
      code: "name-duplicate",
      path: place.path,
      found: `${this.#text(owner)} ${typeToText(type)} again after ${formatPlace(first)}`,
      said: true,
      wanted: "each owner name and type in one place",
    });
  }

  /**
   * Adds the types of Records. Most stand alone at their name, and then nothing can be wrong: only
   * names with a second definition, and CNAMEs, become owners and get their types looked at.
   */
  #addDynamic(): void {
    const { records, dynamicRecords } = this.#zone;
    const { table } = dynamicRecords;
    const isCname = table.shapes.map(({ spec }) => spec.types[0] === "CNAME");
    const servers = this.#servers();
    const alone = new NameTable();
    const firstOf = new WordList();
    const { bytes } = table.names;
    const key = this.#key;
    for (const record of this.#suspects(servers)) {
      const start = table.ownerStart(record);
      key.setText(bytes, start, start + table.ownerBytes(record));
      const number = alone.add(key);
      const isFirst = number === firstOf.length;
      if (isFirst) firstOf.push(record);
      const isOwner = records.owners.find(key) >= 0;
      const isAlone = isFirst && !isOwner && servers.find(key) < 0;
      if (isAlone && isCname[table.shapeAt(record)] !== true) continue;
      const owner = records.owners.add(key);
      if (!isFirst && !isOwner) this.#addRecord(owner, table.document(firstOf.at(number)));
      this.#addRecord(owner, table.document(record));
    }
  }

  /**
   * The Records whose names may have other data, all of them where that is not known. Where each Record is called what it answers for, no
   * two answer for one name, and those that static data are beside are found by their ids (a million Records: 0.5 s less).
   */
  #suspects(servers: NameTable): Uint32Array {
    const { records, dynamicRecords, document } = this.#zone;
    const { table, indices } = dynamicRecords;
    const { owners } = records;
    const isKnown =
      owners.count + servers.count < indices.length &&
      table.isUnique &&
      indices.every((record) => table.isNamedAsOwner(record));
    if (!isKnown) return indices;
    const suspects = new Set<number>();
    for (const names of [owners, servers]) {
      for (let number = 0; number < names.count; number += 1) {
        suspects.add(table.indexOf(document.metadata.namespace, nameText(names.name(number))));
      }
    }
    const isCname = table.shapes.map(({ spec }) => spec.types[0] === "CNAME");
    const hasCname = isCname.includes(true);
    if (!hasCname && suspects.size === 1 && suspects.has(-1)) return new Uint32Array(0);
    return indices.filter(
      (record) => suspects.has(record) || (hasCname && isCname[table.shapeAt(record)] === true),
    );
  }

  #addRecord(owner: number, document: RecordDocument): void {
    const { namespace, name } = document.metadata;
    const place = { document, path: ["spec", "name"], key: `Record ${namespace}/${name}` };
    for (const word of document.spec.types) this.#add(owner, RRType[word], place);
  }

  /** The names of all name servers, whose addresses may come from Records. */
  #servers(): NameTable {
    const { records } = this.#zone;
    const servers = new NameTable();
    for (let at = 0; at < records.count; at += 1) {
      if (records.typeAt(at) === RRType.NS) servers.add(this.#key.setWire(records.rdataAt(at)));
    }
    return servers;
  }

  #checkCname(owner: number, isApex: boolean): void {
    const cname = this.#types.get(owner, RRType.CNAME);
    if (cname === undefined) return;
    const other = this.#types.keys(owner).find((type) => !besideCname.has(type));
    if (!isApex && other === undefined) return;
    const beside = isApex ? "the apex of its zone" : `also ${typeToText(other ?? 0)}`;
    this.#report.error(cname.document, {
      code: "cname-conflict",
      path: cname.path,
      found: `${this.#text(owner)} CNAME, which is ${beside}`,
      said: true,
      wanted: isApex
        ? "types A, AAAA, HTTPS there (host names are then resolved here)"
        : "a CNAME alone at its name (RFC 1034 §3.6.2)",
    });
  }

  /** Reports name servers without an address, and Records below a delegation. */
  #checkCuts(apexOwner: number): void {
    const { records, document, dynamicRecords } = this.#zone;
    const cuts = new Set<string>();
    for (let at = 0; at < records.count; at += 1) {
      if (records.typeAt(at) !== RRType.NS) continue;
      const { owner, rdata, path } = records.at(at);
      if (records.ownerAt(at) !== apexOwner) cuts.add(nameText(owner));
      if (!isSubdomain(rdata, owner) || this.#hasAddress(rdata)) continue;
      this.#report.error(document, {
        code: "glue-missing",
        path,
        found: `${nameText(rdata)}, a name server of ${nameText(owner)} inside it without an address`,
        said: true,
        wanted: "an A or AAAA record for it (glue)",
      });
    }
    if (cuts.size === 0) return;
    for (const record of dynamicRecords) reportBelowCut(record, cuts, this.#report);
  }

  #hasAddress(server: Uint8Array): boolean {
    const owner = this.#zone.records.owners.find(this.#key.setWire(server));
    return [RRType.A, RRType.AAAA].some((type) => this.#types.get(owner, type) !== undefined);
  }

  #text(owner: number): string {
    return nameText(this.#zone.records.owners.name(owner));
  }
}

/** The name of a Record, as `nameText` has it. */
export function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.length > 1 && lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

function placeOf(document: ZoneDocument, path: Path): Place {
  // One entry of `records` defines one owner name and type; name servers and their addresses do it
  // together, and so does the file.
  const key = path[1] === "records" ? `records ${path[2]}` : String(path[1]);
  return { document, path: path[1] === "records" ? path.slice(0, 3) : path, key };
}

function placeOfSet(document: RecordSetDocument): Place {
  const { namespace, name } = document.metadata;
  return { document, path: ["spec", "name"], key: `RecordSet ${namespace}/${name}` };
}

function formatPlace({ document, path }: Place): string {
  return `${document.source.file}:${document.source.line} ${formatPath(path)}`;
}

/** Types that may stand beside a CNAME (RFC 4035 §2.5). */
const besideCname: ReadonlySet<number> = new Set([RRType.CNAME, RRType.RRSIG, RRType.NSEC]);

function reportBelowCut(record: RecordDocument, cuts: ReadonlySet<string>, report: Report): void {
  for (let name = plainName(record.spec.name); name !== ""; name = parentText(name)) {
    if (!cuts.has(name)) continue;
    report.error(record, {
      code: "name-outside-zone",
      path: ["spec", "name"],
      found: `${plainName(record.spec.name)}, which is delegated at ${name}`,
      said: true,
      wanted: "a name that this zone answers for",
    });
    return;
  }
}

/** Routed names beside those that a primary sends would be gone with its next SOA, or hide some of them. */
function refuseBeside(
  record: RecordDocument | RecordSetDocument,
  zone: ZoneDocument,
  report: Report,
): void {
  report.error(record, {
    code: "name-outside-zone",
    path: ["spec", "name"],
    found: `${plainName(record.spec.name)}, in ${plainName(zone.spec.origin)}, which is another server's (secondary)`,
    said: true,
    wanted: "a zone of its own for it, delegated by the primary",
  });
}

/** The name without its first label, empty for the last. */
export function parentText(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}
