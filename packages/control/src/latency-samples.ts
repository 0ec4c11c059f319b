// SPDX-License-Identifier: Apache-2.0

// Round-trip times that are reported from outside, after the files of a latency data set. Rows are appended to one CSV file a data set in
// the state folder, so that they outlive the process and the compiler reads them as it reads any data set. Where the file grows too
// large it is written anew with one row for each prefix and site: what the average is by then.

import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { MeridianError, systemClock, type Clock } from "@meridian/core";
import { formatPrefix } from "@meridian/snapshot/writer";
import { csvLines } from "./data-sets/csv.ts";
import {
  mergeLatencySamples,
  readLatencyCsv,
  readLatencyRow,
  type LatencySample,
} from "./data-sets/latency-table.ts";
import { writeDurably } from "@meridian/snapshot/disk";

/** Most rows of one report. */
export const REPORT_ROWS_MAX = 10_000;
/** Size from which a file is written anew. */
export const SAMPLES_BYTES_MAX: number = 16 * 1024 * 1024;
/** Least time between two calls of `onChange`. */
export const RECOMPILE_MS_MIN = 10_000;
/** How far ahead of this machine's clock a measurement may claim to be. */
const AHEAD_MS_MAX = 300_000;
const SITE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const COLUMNS = ["prefix", "site", "rtt_ms", "samples", "measured_at"] as const;

/** Where the compiler finds what was reported for a data set. */
export interface ReportedLatency {
  /** Grows with every report. */
  readonly version: number;
  /** The CSV file of a data set; undefined where nothing was reported. */
  pathOf(dataSet: string): string | undefined;
}

export interface LatencySamplesOptions {
  /** Made when the first report comes. */
  readonly folder: string;
  /** Called after reports, at most each RECOMPILE_MS_MIN. */
  readonly onChange: () => void;
  readonly clock?: Clock;
  readonly bytesMax?: number;
}

/** The file of what was reported for a data set; undefined where nothing was. */
export function reportsPath(folder: string, dataSet: string): string | undefined {
  const path = join(folder, `${dataSet}.csv`);
  return existsSync(path) ? path : undefined;
}

export class LatencySamples implements ReportedLatency {
  version = 0;
  readonly #options: LatencySamplesOptions;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | undefined;
  #changedAtMs = -Infinity;
  #isClosed = false;

  constructor(options: LatencySamplesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  pathOf(dataSet: string): string | undefined {
    return reportsPath(this.#options.folder, dataSet);
  }

  /**
   * Takes a report for a data set: CSV text with the columns of a latency data set, or a JSON array of objects with them; `samples` is 1
   * and `measured_at` now unless given. All rows or none: throws LATENCY_REFUSED naming the first that is wrong. Returns how many there
   * were. `dataSet` is the name of a data set that exists.
   */
  accept(dataSet: string, body: unknown): number {
    const rows = typeof body === "string" ? rowsOfCsv(body) : rowsOfJson(body);
    if (rows.length > REPORT_ROWS_MAX)
      throw refused(`it has ${rows.length} rows, expected at most ${REPORT_ROWS_MAX}`);
    const nowMs = this.#clock.wallMs();
    const samples = rows.map((fields, index) => sampleOf(fields, index + 1, nowMs));
    if (samples.length === 0) return 0;
    this.#append(dataSet, samples);
    this.version += 1;
    this.#schedule();
    return samples.length;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #append(dataSet: string, samples: readonly LatencySample[]): void {
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 });
    const path = join(this.#options.folder, `${dataSet}.csv`);
    const text = samples.map(lineOf).join("");
    const bytesMax = this.#options.bytesMax ?? SAMPLES_BYTES_MAX;
    if (existsSync(path) && statSync(path).size + text.length > bytesMax) {
      const compacted = compact([...readLatencyCsv(readFileSync(path)), ...samples]);
      if (compacted.length > bytesMax)
        throw refused(
          `data set "${dataSet}" would have ${compacted.length} bytes of prefixes and sites, expected at most ${bytesMax}`,
        );
      writeDurably(path, compacted);
    } else {
      appendFileSync(path, text, { mode: 0o600 });
    }
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    const sinceMs = this.#clock.monotonicMs() - this.#changedAtMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#changedAtMs = this.#clock.monotonicMs();
        this.#options.onChange();
      },
      Math.max(0, RECOMPILE_MS_MIN - sinceMs),
    );
    this.#timer.unref();
  }
}

function sampleOf(fields: readonly string[], row: number, nowMs: number): LatencySample {
  const [prefix = "", site = "", rtt = "", samples = "", measuredAt = ""] = fields;
  const time = measuredAt === "" ? new Date(nowMs).toISOString() : measuredAt;
  const sample = readLatencyRow([prefix, site, rtt, samples, time]);
  if (sample === undefined || !SITE.test(site))
    throw refused(`row ${row} is "${fields.join(",")}", expected ${COLUMNS.join(",")}`);
  if (sample.measuredAt > nowMs + AHEAD_MS_MAX)
    throw refused(
      `row ${row} is measured at ${time}, expected no later than ${new Date(nowMs).toISOString()}`,
    );
  return sample;
}

function rowsOfCsv(text: string): (readonly string[])[] {
  return [...csvLines(Buffer.from(text), "prefix")].map(({ fields }) => fields);
}

function rowsOfJson(body: unknown): string[][] {
  if (!Array.isArray(body)) throw refused("its body is no JSON array of objects, nor CSV");
  return body.map((row: unknown, index) => {
    if (typeof row !== "object" || row === null)
      throw refused(`row ${index + 1} is ${JSON.stringify(row)}, expected an object`);
    const known: readonly string[] = COLUMNS;
    const other = Object.keys(row).find((key) => !known.includes(key));
    if (other !== undefined)
      throw refused(
        `row ${index + 1} has the member "${other}", expected ${COLUMNS.join(", ")} alone`,
      );
    const values = new Map(Object.entries(row));
    return COLUMNS.map((column) => String(values.get(column) ?? ""));
  });
}

/** One row for each prefix and site. */
function compact(samples: readonly LatencySample[]): string {
  const table = mergeLatencySamples(new Map(), samples);
  return [...table.values()]
    .flatMap(({ prefix, sites }) =>
      [...sites].map(([site, { rttMs, measuredAt }]) =>
        lineOf({ prefix, site, rttMs, samples: 1, measuredAt }),
      ),
    )
    .join("");
}

function lineOf({ prefix, site, rttMs, samples, measuredAt }: LatencySample): string {
  return `${formatPrefix(prefix)},${site},${rttMs},${samples},${new Date(measuredAt).toISOString()}\n`;
}

function refused(reason: string): MeridianError {
  return new MeridianError("LATENCY_REFUSED", "user", `Cannot take the latency report: ${reason}`);
}
