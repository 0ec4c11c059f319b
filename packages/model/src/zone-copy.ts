// SPDX-License-Identifier: Apache-2.0

// The data of a secondary zone, as control keeps what its primary sent: a file of facts, and files of records (`encodeRecords()`), each
// read by a path that no file on a disk has.

import { decodeRecords } from "@meridian/dns";
import { plainName } from "./checks/zones.ts";
import type { ZoneDocument } from "./documents.ts";
import type { Path } from "./problem.ts";
import { StaticRecords } from "./static-records.ts";
import type { ReadFile } from "./zone-data.ts";

/** What is known of a copy besides its records. */
export interface ZoneCopyFacts {
  /** Files of records. */
  readonly partCount: number;
  /** When it is too old to be answered from, Unix seconds. */
  readonly expiresSeconds: number;
}

/** Of a zone that was never transferred: too old from the beginning. */
const NOTHING: ZoneCopyFacts = { partCount: 0, expiresSeconds: 0 };
const PARTS_MAX = 65_536;
const PREFIX = "\0copy/";
const PATH: Path = ["spec", "secondary"];

/** What the facts of a zone's copy are read from, and with a number its records. */
export function zoneCopyPath(origin: string, part?: number): string {
  return `${PREFIX}${plainName(origin)}${part === undefined ? "" : ` ${part}`}`;
}

/** What a path of `zoneCopyPath()` is of. */
export function zoneCopyOf(path: string): {
  readonly origin: string;
  readonly part: number | undefined;
} {
  const [origin = "", part] = path.slice(PREFIX.length).split(" ");
  return { origin, part: part === undefined ? undefined : Number(part) };
}

/** Whether a path is such a one. */
export function isZoneCopyPath(path: string): boolean {
  return path.startsWith(PREFIX);
}

/** The facts as a file. */
export function encodeZoneCopyFacts({ partCount, expiresSeconds }: ZoneCopyFacts): Uint8Array {
  return Buffer.from(JSON.stringify({ partCount, expiresSeconds }));
}

/** The data of a secondary zone: nothing where there is no copy, or not all of one. */
export function readZoneCopy(
  { spec, source }: ZoneDocument,
  readFile: ReadFile | undefined,
): { readonly records: StaticRecords; readonly copy: ZoneCopyFacts } {
  const copy = decodeZoneCopyFacts(readFile?.(zoneCopyPath(spec.origin)));
  const records = new StaticRecords();
  for (let part = 0; part < copy.partCount; part += 1) {
    const bytes = readFile?.(zoneCopyPath(spec.origin, part));
    const found = bytes === undefined ? undefined : decodeRecords(bytes);
    if (found === undefined) return { records: new StaticRecords(), copy: NOTHING };
    for (const { owner, type, ttl, rdata } of found)
      records.push(owner, type, ttl, rdata, PATH, source.file, source.line);
  }
  return { records, copy };
}

/** The facts that a file holds; of nothing where it is none. */
export function decodeZoneCopyFacts(bytes: Uint8Array | undefined): ZoneCopyFacts {
  if (bytes === undefined) return NOTHING;
  const raw: unknown = JSON.parse(Buffer.from(bytes).toString());
  return isFacts(raw) && raw.partCount <= PARTS_MAX ? raw : NOTHING;
}

function isFacts(raw: unknown): raw is ZoneCopyFacts {
  return (
    typeof raw === "object" &&
    raw !== null &&
    "partCount" in raw &&
    typeof raw.partCount === "number" &&
    "expiresSeconds" in raw &&
    typeof raw.expiresSeconds === "number"
  );
}
