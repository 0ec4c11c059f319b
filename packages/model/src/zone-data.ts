// SPDX-License-Identifier: Apache-2.0
// The static records of a Zone in wire form, from its three sources: the fields `soa` and
// `nameServers`, the list `records`, and the master file. An owner name and type comes from one of
// them only, so each record remembers its place. Those of a secondary zone come from its copy alone.
import { parseDuration } from "@meridian/core";
import {
  isMetaType,
  isSubdomain,
  parseMasterFile,
  parseName,
  parseRdataText,
  rootName,
  RRType,
  typeFromText,
  type TextError,
} from "@meridian/dns";
import { dirname, join } from "node:path";
import type { RecordSetDocument, ZoneDocument } from "./documents.ts";
import type { Path } from "./problem.ts";
import type { Report } from "./report.ts";
import { readZoneCopy, type ZoneCopyFacts } from "./zone-copy.ts";
import { StaticRecords } from "./static-records.ts";

/** Gives the content of a file, or undefined where it cannot be read. */
export type ReadFile = (path: string) => Uint8Array | undefined;

/** The path of a file that a document names relative to its own. */
export function pathBeside(document: { readonly source: { readonly file: string } }, path: string) {
  return path.startsWith("/") ? path : join(dirname(document.source.file), path);
}

/** Seconds of a duration, rounded up. */
export function wholeSeconds(duration: string): number {
  return Math.ceil((parseDuration(duration) ?? 0) / 1000);
}

/**
 * All static records of a zone, those that are wrong reported and left out. Without `readFile` the
 * master file is not looked at.
 */
export function readZone(
  zone: ZoneDocument,
  readFile: ReadFile | undefined,
  report: Report,
): { readonly records: StaticRecords; readonly copy?: ZoneCopyFacts } {
  if (zone.spec.secondary !== undefined) return readZoneCopy(zone, readFile);
  const reader = new ZoneReader(zone, report);
  reader.nameServers();
  reader.listed();
  if (zone.spec.file !== undefined && readFile !== undefined) {
    reader.file(zone.spec.file, readFile);
  }
  reader.soa();
  return { records: reader.records };
}

class ZoneReader {
  readonly records: StaticRecords = new StaticRecords();
  readonly #zone: ZoneDocument;
  readonly #report: Report;
  readonly #origin: Uint8Array;
  readonly #ttl: number;

  constructor(zone: ZoneDocument, report: Report) {
    this.#zone = zone;
    this.#report = report;
    this.#origin = nameBytes(zone.spec.origin);
    this.#ttl = wholeSeconds(zone.spec.ttl);
  }

  nameServers(): void {
    for (const [index, server] of this.#zone.spec.nameServers.entries()) {
      const at = ["spec", "nameServers", index];
      const host = nameBytes(server.name);
      this.#add(this.#origin, RRType.NS, this.#ttl, host, [...at, "name"]);
      if (server.addresses.length > 0 && !isSubdomain(host, this.#origin)) {
        this.#report.error(this.#zone, {
          code: "zone-wrong",
          path: [...at, "addresses"],
          found: `given for ${server.name}, which is outside the zone`,
          said: true,
          wanted: "addresses only for name servers inside it",
        });
        continue;
      }
      for (const [position, address] of server.addresses.entries()) {
        const path = [...at, "addresses", position];
        const type = address.includes(":") ? RRType.AAAA : RRType.A;
        this.#addText(host, type, this.#ttl, address, path);
      }
    }
  }

  listed(): void {
    for (const [index, entry] of this.#zone.spec.records.entries()) {
      const at = ["spec", "records", index];
      const owner = parseName(entry.name, this.#origin);
      const type = typeFromText(entry.type);
      if ("error" in owner) {
        this.#wrong([...at, "name"], entry.name, owner.wanted);
      } else if (!isSubdomain(owner, this.#origin)) {
        this.#outside([...at, "name"], entry.name);
      } else if (type === undefined || isMetaType(type)) {
        this.#wrong([...at, "type"], entry.type, "a type of record that a zone can hold");
      } else if (type === RRType.SOA) {
        this.#wrong([...at, "type"], entry.type, "the field soa for it");
      } else {
        const ttl = entry.ttl === undefined ? this.#ttl : wholeSeconds(entry.ttl);
        for (const [position, value] of entry.values.entries()) {
          this.#addText(owner, type, ttl, value, [...at, "values", position]);
        }
      }
    }
  }

  file(file: string, readFile: ReadFile): void {
    const path = ["spec", "file"];
    const fileName = pathBeside(this.#zone, file);
    const bytes = readFile(fileName);
    if (bytes === undefined) {
      const wanted = "the path of a file that can be read";
      this.#report.error(this.#zone, { code: "file-unreadable", path, found: file, wanted });
      return;
    }
    let outside = 0;
    const mistakes = parseMasterFile(bytes, {
      origin: this.#origin,
      defaultTtl: this.#ttl,
      fileName,
      include: (included, fromFile) => {
        const content = readFile(join(dirname(fromFile), included));
        if (content === undefined) throw new Error(`Cannot read "${included}"`);
        return content;
      },
      onRecord: (owner, type, ttl, rdata, line, fromFile) => {
        if (isSubdomain(owner, this.#origin)) {
          this.records.push(owner, type, ttl, rdata, path, fromFile, line);
        } else outside += 1;
      },
    });
    for (const mistake of mistakes) this.#report.mistake("zone-wrong", mistake);
    if (outside === 0) return;
    this.#report.error(this.#zone, {
      code: "name-outside-zone",
      path,
      found: `a file with ${outside} records outside the zone`,
      said: true,
      wanted: `names in the zone ${this.#zone.spec.origin}`,
    });
  }

  /** Adds the start of authority, unless the file has one. */
  soa(): void {
    const { soa, nameServers } = this.#zone.spec;
    if (soa === undefined && this.records.firstOf(RRType.SOA) >= 0) return;
    const origin = this.#zone.spec.origin.replace(/\.$/, "");
    const mname = soa?.mname ?? nameServers[0]?.name ?? this.#firstServer() ?? `ns.${origin}`;
    const rname = soa?.rname ?? `hostmaster.${origin}`;
    const times = [
      soa?.refresh ?? "2h",
      soa?.retry ?? "15m",
      soa?.expire ?? "336h",
      soa?.minimum ?? "60s",
    ].map(wholeSeconds);
    const text = `${absolute(mname)} ${absolute(rname)} ${soa?.serial ?? 1} ${times.join(" ")}`;
    this.#addText(this.#origin, RRType.SOA, this.#ttl, text, ["spec", "soa"]);
  }

  /** Where the name servers are only in the file, the SOA names the zone itself. */
  #firstServer(): string | undefined {
    return this.records.firstOf(RRType.NS) >= 0 ? this.#zone.spec.origin : undefined;
  }

  #addText(owner: Uint8Array, type: number, ttl: number, value: string, path: Path): void {
    const parsed = parseRdataText(type, value, this.#origin);
    if ("error" in parsed) {
      this.#report.error(this.#zone, wrongValue(path, value, parsed));
      return;
    }
    this.#add(owner, type, ttl, parsed.rdata, path);
  }

  #add(owner: Uint8Array, type: number, ttl: number, rdata: Uint8Array, path: Path): void {
    const { file, line } = this.#zone.source;
    this.records.push(owner, type, ttl, rdata, path, file, line);
  }

  #wrong(path: Path, found: string, wanted: string): void {
    this.#report.error(this.#zone, { code: "value-wrong", path, found, wanted });
  }

  #outside(path: Path, found: string): void {
    const wanted = `names in the zone ${this.#zone.spec.origin}`;
    this.#report.error(this.#zone, { code: "name-outside-zone", path, found, wanted });
  }
}

/** Adds the records of a RecordSet to those of its zone; returns the path that they have, undefined where its type is none. */
export function readRecordSet(
  zone: ZoneDocument,
  set: RecordSetDocument,
  records: StaticRecords,
  report: Report,
): Path | undefined {
  const { name, type: word, ttl, values } = set.spec;
  const type = typeFromText(word);
  if (type === undefined || isMetaType(type) || type === RRType.SOA) {
    const wanted = "a type of record that a zone can hold more of";
    report.error(set, { code: "value-wrong", path: ["spec", "type"], found: word, wanted });
    return undefined;
  }
  const owner = parseName(name);
  if ("error" in owner) {
    const path = ["spec", "name"];
    report.error(set, { code: "value-wrong", path, found: name, wanted: owner.wanted });
    return undefined;
  }
  const origin = nameBytes(zone.spec.origin);
  const path = ["spec"];
  const { file, line } = set.source;
  for (const [index, value] of values.entries()) {
    const parsed = parseRdataText(type, value, origin);
    if ("error" in parsed) report.error(set, wrongValue(["spec", "values", index], value, parsed));
    else
      records.push(owner, type, wholeSeconds(ttl ?? zone.spec.ttl), parsed.rdata, path, file, line);
  }
  return path;
}

function wrongValue(path: Path, value: string, { found, wanted }: TextError) {
  return {
    code: "value-wrong",
    path,
    found: `${JSON.stringify(value.slice(0, 60))}, in which ${JSON.stringify(found)} is wrong`,
    said: true,
    wanted,
  } as const;
}

/** The wire form of a name that the schema has accepted. */
export function nameBytes(text: string): Uint8Array {
  const name = parseName(text);
  return "error" in name ? rootName : name;
}

function absolute(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}
