// SPDX-License-Identifier: Apache-2.0
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type DataSet, pathBeside } from "@meridian/model";
import { LocationMap, openSection } from "@meridian/snapshot";
import type { ResolverClients, WrittenSection } from "@meridian/snapshot/writer";
import { type LatencyTable, mergeLatencySamples, readLatencyCsv } from "./latency-table.ts";
import { contentSha256, isMmdb, type LocationMapKind } from "./location-maps.ts";
import { MapCache } from "./map-cache.ts";
import { openMmdb } from "./mmdb-tree.ts";
import { readResolversCsv } from "./resolvers-csv.ts";
import { unreadable } from "./unreadable.ts";

/** Largest file of a data set (GeoIP2 City has some 120 MB). */
export const DATA_SET_BYTES_MAX: number = 512 * 1024 * 1024;

/** The files of a data set, with what is stated of their content. */
export interface DataSetSource {
  readonly paths: readonly string[];
  /** SHA-256 (hex) that the content must have. */
  readonly sha256?: string | undefined;
  /** When the data were gathered; else the data say, else the file's time. */
  readonly builtAt?: Date | undefined;
}

/** A data set's location map: the section to publish, and the same opened. */
export interface LoadedMap {
  readonly section: WrittenSection;
  readonly map: LocationMap;
  readonly sha256: string;
  readonly builtAt: Date;
}

/** A data set of measured round-trip times. */
export interface LoadedLatency {
  readonly table: LatencyTable;
  readonly sha256: string;
  readonly builtAt: Date;
}

/**
 * Reads data sets, each content once. Files are read again on each call, so that a changed file shows; building is skipped where content is
 * known. Throws `DATA_SET_UNREADABLE` for what cannot be read; what was loaded before stays valid.
 */
export class DataSets {
  readonly #cache: MapCache;
  readonly #maps = new Map<string, LoadedMap>();
  readonly #tables = new Map<string, LoadedLatency>();
  /** Keys of both that the load under way asked for. */
  readonly #used = new Set<string>();

  /** `cacheFolder` keeps built maps over restarts. */
  constructor(cacheFolder?: string) {
    this.#cache = new MapCache(cacheFolder);
  }

  loadMap(kind: LocationMapKind, source: DataSetSource): LoadedMap {
    const { files, sha256, builtAt } = readSource(source);
    const key = `${kind}/${sha256}`;
    this.#used.add(key);
    const known = this.#maps.get(key);
    if (known !== undefined) return known;
    const section = this.#cache.get(kind, files);
    const opened = openSection(section.buffer);
    if ("error" in opened) throw unreadable(`Cannot open a built location map: ${opened.error}`);
    const loaded = { section, map: LocationMap.open(opened), sha256, builtAt };
    this.#maps.set(key, loaded);
    return loaded;
  }

  /** When the data of a source were gathered, without building anything. */
  builtAt(source: DataSetSource): Date {
    return source.builtAt ?? readSource(source).builtAt;
  }

  /** `reportedPath` is a file of samples that were reported besides, in the same form. */
  loadLatency(source: DataSetSource, reportedPath?: string): LoadedLatency {
    const { files, sha256, builtAt } = readSource(source);
    if (reportedPath !== undefined) {
      // Not kept: reports come every few seconds, and each makes another table.
      const all = [...files, readDataFile(reportedPath)];
      return { table: tableOf(all), sha256: contentSha256(all), builtAt };
    }
    this.#used.add(sha256);
    let loaded = this.#tables.get(sha256);
    if (loaded === undefined) {
      loaded = { table: tableOf(files), sha256, builtAt };
      this.#tables.set(sha256, loaded);
    }
    return loaded;
  }

  /** What a data set of resolvers says, in the order of its lines. */
  loadResolvers(source: DataSetSource): readonly ResolverClients[] {
    return readSource(source).files.flatMap((bytes) => readResolversCsv(bytes));
  }

  /** A load begins: contents that the load before did not ask for are forgotten, so that a replaced data set does not stay in memory. */
  startLoad(): void {
    for (const key of this.#maps.keys()) if (!this.#used.has(key)) this.#maps.delete(key);
    for (const key of this.#tables.keys()) if (!this.#used.has(key)) this.#tables.delete(key);
    this.#used.clear();
  }

  /** Contents that are kept. */
  get keptCount(): number {
    return this.#maps.size + this.#tables.size;
  }
}

function tableOf(files: readonly Uint8Array[]): LatencyTable {
  const samples = files.flatMap((bytes) => readLatencyCsv(bytes));
  return mergeLatencySamples(new Map(), samples);
}

/** Where a data set of the model has its files: beside its document, or in the demo data shipped. */
export function sourceOf({ name, kind, document }: DataSet): DataSetSource {
  const spec = document?.spec;
  const files = spec?.[kind];
  if (document === undefined || files === undefined || files.path === undefined) {
    if (kind === "country" || kind === "asn") return demoSource(kind);
    throw unreadable(`Cannot read data set "${name}": it has no path`);
  }
  return { paths: [pathBeside(document, files.path)], sha256: spec?.sha256 };
}

/** The demo data set shipped for `demo-country` or `demo-asn`, dated by its package's version (2.3.YYYYMMDDhh). */
export function demoSource(kind: "country" | "asn"): DataSetSource {
  const [packageName, files] =
    kind === "country"
      ? ["@ip-location-db/geo-whois-asn-country-mmdb", ["geo-whois-asn-country.mmdb"]]
      : ["@ip-location-db/asn", ["asn-ipv4-num.csv", "asn-ipv6.csv"]];
  const manifest = createRequire(import.meta.url).resolve(`${packageName}/package.json`);
  const builtAt = dateOfVersion(readFileSync(manifest, "utf8"));
  return { paths: files.map((file) => join(dirname(manifest), file)), builtAt };
}

/** The time in a `"version": "2.3.YYYYMMDDhh"`, UTC. */
export function dateOfVersion(manifest: string): Date | undefined {
  const match = /"version":\s*"[0-9]+\.[0-9]+\.(\d{4})(\d\d)(\d\d)(\d\d)"/.exec(manifest);
  if (match === null) return undefined;
  const [, year, month, day, hour] = match;
  return new Date(`${year}-${month}-${day}T${hour}:00:00Z`);
}

function readSource(source: DataSetSource): {
  files: Uint8Array[];
  sha256: string;
  builtAt: Date;
} {
  const files = source.paths.map((path) => readDataFile(path));
  const sha256 = contentSha256(files);
  if (source.sha256 !== undefined && source.sha256 !== sha256) {
    throw unreadable(
      `Cannot use data set "${source.paths.join(", ")}": its SHA-256 is ${sha256}, expected ${source.sha256}`,
    );
  }
  return { files, sha256, builtAt: source.builtAt ?? builtAtOf(source, files) };
}

function readDataFile(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > DATA_SET_BYTES_MAX) {
      throw new RangeError(`it has ${size} bytes, expected at most ${DATA_SET_BYTES_MAX}`);
    }
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unreadable(`Cannot read data set "${path}": ${reason}`, { cause: error });
  }
}

function builtAtOf(source: DataSetSource, files: readonly Uint8Array[]): Date {
  const [first] = files;
  if (first !== undefined && isMmdb(first)) return openMmdb(first).builtAt;
  const times = source.paths.map((path) => statSync(path).mtimeMs);
  return new Date(Math.max(0, ...times));
}
