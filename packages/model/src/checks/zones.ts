// SPDX-License-Identifier: Apache-2.0
// What holds among names: each lies in a zone, is defined once for a type, and a CNAME stands alone.
import { formatName, lowerName, RRType, typeToText } from "@meridian/dns";
import type { Document, RecordDocument, ZoneDocument } from "../documents.ts";
import type { Path } from "../problem.ts";
import { formatPath } from "../problem.ts";
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
  /** Equal for records that may share an owner name and type: of one list entry, or the file. */
  readonly key: string;
}

/**
 * The types of one owner name, each with its place. The first is held without a map: most of a
 * million names have one type, and a map each took half of the time of checking them.
 */
class Types {
  readonly #firstType: number;
  readonly #firstPlace: Place;
  #more: Map<number, Place> | undefined = undefined;

  constructor(type: number, place: Place) {
    this.#firstType = type;
    this.#firstPlace = place;
  }

  get(type: number): Place | undefined {
    return type === this.#firstType ? this.#firstPlace : this.#more?.get(type);
  }

  set(type: number, place: Place): void {
    this.#more ??= new Map();
    this.#more.set(type, place);
  }

  keys(): number[] {
    return [this.#firstType, ...(this.#more?.keys() ?? [])];
  }
}

/** The types of each owner name of a zone. */
type Owners = Map<string, Types>;

/** Reports what is wrong among the static records of the zones and between them and Records. */
export function checkZones(table: ZoneTable, report: Report): void {
  for (const zone of table.zones.values()) checkZone(zone, table, report);
}

function checkZone(zone: Zone, table: ZoneTable, report: Report): void {
  const owners: Owners = new Map();
  const places = new Map<Path, Place>();
  for (const record of zone.records) {
    // All records of a master file have one path.
    const place = places.get(record.path) ?? placeOf(zone.document, record.path);
    places.set(record.path, place);
    addType(nameText(record.owner), record.type, place, owners, report);
  }
  const { document } = zone;
  addDynamic(zone, owners, report);
  for (const [owner, types] of owners) checkCname(zone, owner, types, report);
  checkCuts(zone, owners, report);
  const hasServers = owners.get(zone.origin)?.get(RRType.NS) !== undefined;
  if (!hasServers && (document.spec.file === undefined || table.readsFiles)) {
    const path = ["spec", "nameServers"];
    const wanted = "at least one name server";
    report.error(document, { code: "zone-wrong", path, found: [], wanted });
  }
}

/**
 * Adds the types of Records. Most stand alone at their name, and then nothing can be wrong: only
 * names with a second definition, and CNAMEs, get their types looked at.
 */
function addDynamic(zone: Zone, owners: Owners, report: Report): void {
  const alone = new Map<string, RecordDocument>();
  const add = (name: string, record: RecordDocument): void => {
    for (const word of record.spec.types) {
      const place = { document: record, path: ["spec", "name"], key: record.metadata.name };
      addType(name, RRType[word], place, owners, report);
    }
  };
  const servers = serversOf(zone);
  for (const record of zone.dynamicRecords) {
    const name = plainName(record.spec.name);
    const first = alone.get(name);
    if (first === undefined) alone.set(name, record);
    const isAlone = first === undefined && !owners.has(name) && !servers.has(name);
    if (isAlone && record.spec.types[0] !== "CNAME") continue;
    if (first !== undefined && !owners.has(name)) add(name, first);
    add(name, record);
  }
}

/** The names of all name servers, whose addresses may come from Records. */
function serversOf(zone: Zone): Set<string> {
  const servers = zone.records.filter(({ type }) => type === RRType.NS);
  return new Set(servers.map(({ rdata }) => nameText(rdata)));
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

function addType(owner: string, type: number, place: Place, owners: Owners, report: Report): void {
  const types = owners.get(owner);
  const first = types?.get(type);
  if (types === undefined) {
    owners.set(owner, new Types(type, place));
    return;
  }
  if (first === undefined) {
    types.set(type, place);
    return;
  }
  if (first.document === place.document && first.key === place.key) return;
  report.error(place.document, {
    code: "name-duplicate",
    path: place.path,
    found: `${owner} ${typeToText(type)} again after ${formatPlace(first)}`,
    said: true,
    wanted: "each owner name and type in one place",
  });
}

function formatPlace({ document, path }: Place): string {
  return `${document.source.file}:${document.source.line} ${formatPath(path)}`;
}

/** Types that may stand beside a CNAME (RFC 4035 §2.5). */
const besideCname: ReadonlySet<number> = new Set([RRType.CNAME, RRType.RRSIG, RRType.NSEC]);

function checkCname(zone: Zone, owner: string, types: Types, report: Report): void {
  const cname = types.get(RRType.CNAME);
  if (cname === undefined) return;
  const other = types.keys().find((type) => !besideCname.has(type));
  const isApex = owner === zone.origin;
  if (!isApex && other === undefined) return;
  const beside = isApex ? "the apex of its zone" : `also ${typeToText(other ?? 0)}`;
  report.error(cname.document, {
    code: "cname-conflict",
    path: cname.path,
    found: `${owner} CNAME, which is ${beside}`,
    said: true,
    wanted: isApex
      ? "types A, AAAA, HTTPS there (host names are then resolved here)"
      : "a CNAME alone at its name (RFC 1034 §3.6.2)",
  });
}

/** Reports name servers without an address, and Records below a delegation. */
function checkCuts(zone: Zone, owners: Owners, report: Report): void {
  const cuts = new Set<string>();
  const hasAddress = (name: string): boolean => {
    const types = owners.get(name);
    return types?.get(RRType.A) !== undefined || types?.get(RRType.AAAA) !== undefined;
  };
  for (const record of zone.records) {
    if (record.type !== RRType.NS) continue;
    const cut = nameText(record.owner);
    const server = nameText(record.rdata);
    if (cut !== zone.origin) cuts.add(cut);
    if (!isWithin(server, cut) || hasAddress(server)) continue;
    report.error(zone.document, {
      code: "glue-missing",
      path: record.path,
      found: `${server}, a name server of ${cut} inside it without an address`,
      said: true,
      wanted: "an A or AAAA record for it (glue)",
    });
  }
  if (cuts.size === 0) return;
  for (const record of zone.dynamicRecords) reportBelowCut(record, cuts, report);
}

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

/** Whether a name is another or below it. */
export function isWithin(name: string, ancestor: string): boolean {
  if (ancestor === "." || name === ancestor) return true;
  return name.endsWith(ancestor) && name[name.length - ancestor.length - 1] === ".";
}

/** The name without its first label, empty for the last. */
export function parentText(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}
