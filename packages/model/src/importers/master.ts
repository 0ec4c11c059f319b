// SPDX-License-Identifier: Apache-2.0
// Master files, alone or as the zones of a BIND configuration, to Zone documents.
import { formatName, parseMasterFile, parseName, RRType, type ZoneRecord } from "@meridian/dns";
import { dirname, join } from "node:path";
import type { ReadFile } from "../zone-data.ts";
import { type Imported, ImportReport } from "./imported.ts";
import { readNamedConf } from "./named-conf.ts";
import { addZone } from "./zone-document.ts";

/** What a master file is read with. */
export interface MasterSource {
  readonly path: string;
  /** What relative names are relative to; the owner of the SOA where the file says it whole. */
  readonly origin?: string;
  readonly readFile: ReadFile;
}

/** Reads one master file with what it includes. */
export function importMasterFile(source: MasterSource): Imported {
  const report = new ImportReport();
  const read = readMaster(source);
  report.mistakes.push(...read.mistakes);
  if (read.mistakes.length === 0) addZone(read.origin, read.records, report);
  return report;
}

/** Reads the primary zones of a `named.conf`, with what it includes. */
export function importNamedConf(path: string, readFile: ReadFile): Imported {
  const report = new ImportReport();
  const { zones, mistakes } = readNamedConf(path, readFile, report);
  report.mistakes.push(...mistakes);
  for (const { origin, file, view } of zones) {
    const read = readMaster({ path: file, origin, readFile });
    report.mistakes.push(...read.mistakes);
    if (read.mistakes.length === 0) addZone(read.origin, read.records, report, view);
  }
  return report;
}

/** A master file's records, and every mistake in it. */
export interface MasterRecords {
  readonly origin: Uint8Array;
  readonly records: readonly ZoneRecord[];
  readonly mistakes: readonly string[];
}

/** Reads the records of a master file; `$INCLUDE` is relative to the file that says it. */
export function readMaster({ path, origin, readFile }: MasterSource): MasterRecords {
  const named = parseName(origin ?? ".");
  if ("error" in named)
    return {
      origin: Uint8Array.of(0),
      records: [],
      mistakes: [`Cannot read ${path}: ${named.error}`],
    };
  const content = readFile(path);
  if (content === undefined)
    return { origin: named, records: [], mistakes: [`Cannot read ${path}: expected a file`] };
  const records: ZoneRecord[] = [];
  const faults = parseMasterFile(content, {
    origin: named,
    fileName: path,
    include: (included, from) => {
      const bytes = readFile(join(included.startsWith("/") ? "/" : dirname(from), included));
      if (bytes === undefined) throw new Error(`cannot read "${included}"`);
      return bytes;
    },
    onRecord: (owner, type, ttl, rdata, line, file) =>
      records.push({ owner, type, ttl, rdata, line, file }),
  });
  const mistakes = faults.map(({ message }) => message);
  const soa = records.find(({ type }) => type === RRType.SOA);
  if (soa === undefined && mistakes.length === 0)
    mistakes.push(`Cannot read ${path}: there is no SOA record, expected one`);
  else if (
    origin === undefined &&
    soa !== undefined &&
    soa.owner.length === 1 &&
    mistakes.length === 0
  )
    mistakes.push(
      `Cannot read ${path}: its SOA is at "${formatName(soa.owner)}" where no origin is given, expected --zone, or $ORIGIN in the file`,
    );
  return { origin: origin === undefined ? (soa?.owner ?? named) : named, records, mistakes };
}
