// SPDX-License-Identifier: Apache-2.0
// Zone files of gdnsd: master files with DYNA and DYNC, which bind a name to a resource of a plug-in, and TTLs of two parts.
import { formatName, nameKey, parseMasterFile, parseName, type ZoneRecord } from "@meridian/dns";
import type { ReadFile } from "../zone-data.ts";
import { BOUND_TYPE, boundData, boundText } from "./bound-type.ts";

/** A name that a plug-in answers. */
export interface BoundOwner {
  readonly owner: Uint8Array;
  readonly type: "DYNA" | "DYNC";
  /** `PLUGIN!RESOURCE`. */
  readonly target: string;
  /** Seconds. */
  readonly ttlMax: number;
  readonly ttlMin: number | undefined;
  readonly file: string;
  readonly line: number;
}

/** What a zone file holds. */
export interface GdnsdZone {
  readonly origin: Uint8Array;
  readonly records: readonly ZoneRecord[];
  readonly bound: readonly BoundOwner[];
  readonly mistakes: readonly string[];
}

const boundLine =
  /^(\S*\s+)(?:IN\s+)?(?:(\d+[smhdw]?)(?:\/(\d+[smhdw]?))?\s+)?(?:IN\s+)?(DYNA|DYNC)\s+(\S+)/gim;

/** Reads the zone of a file named after it, `@` for the root and for slashes. */
export function readGdnsdZone(path: string, zoneName: string, readFile: ReadFile): GdnsdZone {
  const origin = parseName(`${zoneName.replaceAll("@", "/").replace(/\.$/, "")}.`);
  const content = readFile(path);
  if ("error" in origin || content === undefined)
    return {
      origin: Uint8Array.of(0),
      records: [],
      bound: [],
      mistakes: [`Cannot read ${path}: expected a zone file`],
    };
  const records: ZoneRecord[] = [];
  const bound: BoundOwner[] = [];
  const faults = parseMasterFile(plainText(new TextDecoder().decode(content)), {
    origin,
    fileName: path,
    onRecord: (owner, type, ttl, rdata, line, file) => {
      if (type !== BOUND_TYPE) return records.push({ owner, type, ttl, rdata, line, file });
      const [kind, target = "", min = ""] = boundText(rdata).split(" ");
      const ttlMin = min === "" ? undefined : Number(min);
      return bound.push({
        owner,
        type: kind === "DYNC" ? "DYNC" : "DYNA",
        target,
        ttlMax: ttl,
        ttlMin,
        file,
        line,
      });
    },
  });
  return { origin, records, bound, mistakes: faults.map(({ message }) => message) };
}

function plainText(text: string): string {
  return text
    .replaceAll(/^(\$TTL\s+\w+)\/\w+/gim, "$1")
    .replaceAll(
      boundLine,
      (
        _line,
        owner: string,
        ttl: string | undefined,
        min: string | undefined,
        type: string,
        target: string,
      ) => {
        const minSeconds = min === undefined ? "" : secondsOf(min);
        return `${owner}${ttl ?? ""} ${boundData(`${type.toUpperCase()} ${target} ${minSeconds}`)}`;
      },
    );
}

function secondsOf(ttl: string): number {
  const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
  return Number.parseInt(ttl, 10) * (units[ttl.at(-1)?.toLowerCase() ?? ""] ?? 1);
}

/** The owner as a Record names it. */
export function ownerText(owner: Uint8Array): string {
  const text = formatName(owner).toLowerCase();
  return nameKey(owner) === "" ? "." : text.replace(/(?<=.)\.$/, "");
}
