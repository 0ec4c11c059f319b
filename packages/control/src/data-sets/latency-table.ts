// SPDX-License-Identifier: Apache-2.0

// Round-trip times from client prefixes to sites, smoothed, and for each prefix its order of preference. Both come from the samples
// alone, taken in time order, so that every replica that has the same samples has the same table.
//
// Smoothing is an exponentially weighted moving average; a row of n samples counts as n of them. The order has hysteresis: it
// changes only for a site that is better by 10 % and by 5 ms, so that clients do not move with the noise.

import { type AddressPrefix, formatPrefix, parsePrefix } from "@meridian/snapshot/writer";
import { csvLines } from "./csv.ts";
import { unreadable } from "./unreadable.ts";

/** Share of one new sample in the average. */
export const LATENCY_SMOOTHING = 0.2;
/** A site displaces a preferred one only where its time is at most this share of the other's … */
export const PREFERENCE_RATIO = 0.9;
/** … and at least this much less. */
export const PREFERENCE_MS = 5;
/** Longest round-trip time that is taken for one. */
export const LATENCY_MS_MAX = 60_000;

/** What was measured between a client prefix and a site. */
export interface LatencySample {
  readonly prefix: AddressPrefix;
  readonly site: string;
  readonly rttMs: number;
  /** How many measurements `rttMs` is the mean of, 1 or more. */
  readonly samples: number;
  /** Milliseconds since 1970. */
  readonly measuredAt: number;
}

/** What is known of one site. */
export interface SiteLatency {
  readonly rttMs: number;
  readonly measuredAt: number;
}

/** What is known of one client prefix. */
export interface PrefixLatency {
  readonly prefix: AddressPrefix;
  readonly sites: ReadonlyMap<string, SiteLatency>;
  /** All measured sites, preferred first. */
  readonly order: readonly string[];
}

/** By prefix text. */
export type LatencyTable = ReadonlyMap<string, PrefixLatency>;

/** Reads lines `prefix,site,rtt_ms,samples,measured_at`; the last two may be left out (1, and the order of the lines). */
export function readLatencyCsv(bytes: Uint8Array): LatencySample[] {
  const samples: LatencySample[] = [];
  for (const { number, fields } of csvLines(bytes, "prefix")) {
    const sample = readLatencyRow(fields);
    if (sample === undefined) {
      throw unreadable(
        `Cannot read the data set: line ${number} is "${fields.join(",")}", expected prefix,site,rtt_ms,samples,measured_at`,
      );
    }
    samples.push(sample);
  }
  return samples;
}

/** Reads the fields of one row; undefined where they are none. */
export function readLatencyRow(fields: readonly string[]): LatencySample | undefined {
  const [prefixText = "", site = "", rttText = "", samplesText = "", timeText = ""] = fields;
  const prefix = parsePrefix(prefixText);
  const rttMs = rttText === "" ? Number.NaN : Number(rttText);
  const samples = samplesText === "" ? 1 : Number(samplesText);
  const measuredAt = timeOf(timeText);
  const isGood = rttMs >= 0 && rttMs <= LATENCY_MS_MAX && Number.isInteger(samples) && samples >= 1;
  if (prefix === undefined || site === "" || !isGood || measuredAt === undefined) return undefined;
  return { prefix, site, rttMs, samples, measuredAt };
}

/**
 * The table after more samples, which are taken in time order (equal times: as given). A sample older than what the table already has of
 * its prefix and site is left out. The given table stays as it is.
 */
export function mergeLatencySamples(
  table: LatencyTable,
  samples: readonly LatencySample[],
): LatencyTable {
  const merged = new Map(table);
  for (const sample of samples.toSorted((a, b) => a.measuredAt - b.measuredAt)) {
    const key = formatPrefix(sample.prefix);
    const known = merged.get(key);
    const site = known?.sites.get(sample.site);
    if (site !== undefined && site.measuredAt > sample.measuredAt) continue;
    const sites = new Map(known?.sites);
    sites.set(sample.site, { rttMs: smoothed(site, sample), measuredAt: sample.measuredAt });
    const times = new Map([...sites].map(([name, { rttMs }]) => [name, rttMs]));
    merged.set(key, {
      prefix: sample.prefix,
      sites,
      order: preferenceOrder(times, known?.order ?? []),
    });
  }
  return merged;
}

/**
 * Sites in order of preference, given their times in ms and the order so far. The site that was next keeps its place unless the
 * quickest one left is clearly better; sites that were in no order come by their times. Ties: as given.
 */
export function preferenceOrder(
  times: ReadonlyMap<string, number>,
  previous: readonly string[],
): string[] {
  const timeOf = (site: string): number => times.get(site) ?? 0;
  const byTime = [...times.keys()].toSorted((a, b) => timeOf(a) - timeOf(b));
  const incumbents = previous.filter((site) => times.has(site));
  const order = new Set<string>();
  while (order.size < times.size) {
    const quickest = byTime.find((site) => !order.has(site)) ?? "";
    const incumbent = incumbents.find((site) => !order.has(site)) ?? quickest;
    order.add(isClearlyBetter(timeOf(quickest), timeOf(incumbent)) ? quickest : incumbent);
  }
  return [...order];
}

function isClearlyBetter(ms: number, thanMs: number): boolean {
  return ms <= thanMs * PREFERENCE_RATIO && ms <= thanMs - PREFERENCE_MS;
}

function smoothed(known: SiteLatency | undefined, sample: LatencySample): number {
  if (known === undefined) return sample.rttMs;
  const share = 1 - (1 - LATENCY_SMOOTHING) ** sample.samples;
  return known.rttMs + share * (sample.rttMs - known.rttMs);
}

/** RFC 3339 or seconds since 1970; nothing is time 0. */
function timeOf(text: string): number | undefined {
  if (text === "") return 0;
  const time = /^[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  return Number.isFinite(time) ? time : undefined;
}
