// SPDX-License-Identifier: Apache-2.0

// How much is asked for, as edges count it: queries of each policy and pool, and of the audiences that its nodes tell apart, of the last whole
// minute. Made into a TrafficProfile, so that whoever weighs a declared one weighs this one alike.
//
//   audience (class of a classifier) ──► countries, by how many addresses of each are in that class ──► demand of a name
//
// The name is one that the policy decides: all of them are decided alike.

import { formatName } from "@meridian/dns";
import type { DemandSource, TrafficProfileSpec } from "@meridian/model";
import {
  Client,
  FAMILY_IPV4,
  NodeWord,
  TargetKind,
  walkChunk,
  type Classifier,
  type TrafficCounts,
  type World,
} from "@meridian/snapshot";

const WINDOW_MS = 60_000;
/** Before the first window is whole, so much of it is enough. */
const WINDOW_MS_MIN = 10_000;
/** What is older says nothing of now. */
const AGE_MS_MAX = 24 * 3_600_000;
/** Policies and pools, and rows of demand, that a profile has; the largest. */
const TARGETS_MAX = 32;
const ROWS_MAX = 64;
/** Countries that stand for one audience. */
const SOURCES_MAX = 8;
/** Ranges of a location map that are looked at, evenly spread. */
const RANGES_MAX = 200_000;
/** Policies, pools and audiences of one window that are told apart. */
const KEYS_MAX = 20_000;
const IPV4_BITS = 24;

/** What was counted in one window. */
interface CountedWindow {
  readonly sinceMs: number;
  untilMs: number;
  readonly targets: Map<bigint, number>;
  /** By policy and node; then by class. */
  readonly classes: Map<string, Map<number, number>>;
}

/** Demand as it was measured. */
export interface MeasuredProfile {
  readonly spec: TrafficProfileSpec;
  /** Of the end of what was measured. */
  readonly ageMs: number;
  readonly seconds: number;
}

/** One target of names: a policy or a pool, and how much it was asked for. */
interface AskedTarget {
  /** As links of names say it: index × 2 + kind. */
  readonly link: number;
  readonly rate: number;
}

type Source = readonly [from: DemandSource, share: number];

export class MeasuredDemand {
  #current: CountedWindow | undefined;
  #last: CountedWindow | undefined;
  /** What was made of a window that is whole: names are looked for in all zones. */
  #made:
    | { readonly window: CountedWindow; readonly world: World; readonly spec: TrafficProfileSpec }
    | undefined;

  /** What an edge has counted; audiences only where `world` is that of its revision. */
  take(counts: Omit<TrafficCounts, "epoch">, world: World | undefined, nowMs: number): void {
    const window = this.#windowAt(nowMs);
    window.untilMs = nowMs;
    // An edge that was cut off tells hours at once: of those only what falls into this window.
    const share = counts.elapsedMs <= 0 ? 1 : (nowMs - window.sinceMs) / counts.elapsedMs;
    const part = Math.min(1, Math.max(0, share));
    for (const { key, count } of [...counts.policies, ...counts.pools])
      if (window.targets.size < KEYS_MAX || window.targets.has(key))
        window.targets.set(key, (window.targets.get(key) ?? 0) + count * part);
    if (world === undefined) return;
    for (const { word, count } of counts.audiences) {
      const node = nodeOf(world.audienceStarts, word);
      if (node < 0 || node >= world.policies.nodeCount) continue;
      const name = nodeName(world, node);
      const known = window.classes.get(name);
      if (known === undefined && window.classes.size >= KEYS_MAX) continue;
      const classes = known ?? new Map<number, number>();
      const index = word - (world.audienceStarts[node] ?? 0);
      classes.set(index, (classes.get(index) ?? 0) + count * part);
      window.classes.set(name, classes);
    }
  }

  /** The newest profile; undefined where nothing was measured, or long ago. */
  profile(world: World, nowMs: number): MeasuredProfile | undefined {
    if (this.#current !== undefined) this.#windowAt(nowMs);
    const isEnough = (window: CountedWindow | undefined): window is CountedWindow =>
      window !== undefined && window.untilMs - window.sinceMs >= WINDOW_MS_MIN;
    const window = [this.#last, this.#current].find(isEnough);
    if (window === undefined || nowMs - window.untilMs > AGE_MS_MAX) return undefined;
    const seconds = (window.untilMs - window.sinceMs) / 1000;
    const isMade = this.#made?.window === window && this.#made.world === world;
    const spec = isMade ? this.#made?.spec : specOf(world, window, seconds);
    if (spec === undefined) return undefined;
    // One that still counts is made anew.
    if (window === this.#last) this.#made = { window, world, spec };
    return { spec, ageMs: nowMs - window.untilMs, seconds };
  }

  #windowAt(nowMs: number): CountedWindow {
    const current = this.#current;
    if (current !== undefined && nowMs - current.sinceMs < WINDOW_MS) return current;
    if (current !== undefined && current.targets.size > 0) this.#last = current;
    this.#current = { sinceMs: nowMs, untilMs: nowMs, targets: new Map(), classes: new Map() };
    return this.#current;
  }
}

function specOf(
  world: World,
  window: CountedWindow,
  seconds: number,
): TrafficProfileSpec | undefined {
  const rows = askedTargets(world, window, seconds).flatMap((target) => {
    const name = boundTo(world, target.link);
    if (name === undefined) return [];
    return sourcesOf(world, target, window).map(([from, share]) => ({
      name,
      from,
      rate: target.rate * share,
    }));
  });
  if (rows.length === 0) return undefined;
  const largest = rows.toSorted((a, b) => b.rate - a.rate).slice(0, ROWS_MAX);
  // What has no row of its own is asked for by those that have.
  const scale = sumOf(rows) / sumOf(largest);
  const demand = Object.fromEntries(
    largest.map((row, index) => [`${index + 1}`, { ...row, rate: row.rate * scale }]),
  );
  return { unit: "queries/s", demand };
}

function sumOf(rows: readonly { readonly rate: number }[]): number {
  return rows.reduce((sum, { rate }) => sum + rate, 0);
}

function nodeName({ policies }: World, node: number): string {
  return `${policies.policyName(policies.policyOf(node))}/${policies.nodeName(node)}`;
}

/** The node whose audiences have a word. */
function nodeOf(starts: Uint32Array, word: number): number {
  if (word >= (starts.at(-1) ?? 0)) return -1;
  let low = 0;
  let high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? 0) <= word) low = middle;
    else high = middle;
  }
  return low;
}

function askedTargets(world: World, { targets }: CountedWindow, seconds: number): AskedTarget[] {
  const { policies, pools } = world;
  return [...targets]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, TARGETS_MAX)
    .flatMap(([key, count]): AskedTarget[] => {
      if (count === 0) return [];
      const rate = count / seconds;
      const policy = policies.policyIndexOf(key);
      const link = policy * 2 + TargetKind.policy;
      if (policy >= 0) return [{ link, rate }];
      const pool = pools.poolIndexOf(key);
      return pool < 0 ? [] : [{ link: pool * 2 + TargetKind.pool, rate }];
    });
}

/** A name that leads to a policy or pool. */
function boundTo(world: World, link: number): string | undefined {
  for (const zone of world.zones.zones)
    for (let index = 0; index < zone.chunkCount; index++) {
      const chunk = zone.chunkAt(index);
      let isThere = false;
      for (let at = 0; at < chunk.linkCount && !isThere; at++)
        isThere = chunk.targetOf(at) === link;
      if (!isThere) continue;
      for (const { owner, bindings } of walkChunk(zone, chunk))
        if (bindings.some(({ target, isOccluded }) => target === link && !isOccluded))
          return formatName(owner);
    }
  return undefined;
}

/** Where those who asked for a policy are, by the node of it that told most of them apart. Shares add up to 1. */
function sourcesOf(world: World, { link }: AskedTarget, window: CountedWindow): Source[] {
  const everywhere: Source[] = [[{ everywhere: {} }, 1]];
  const { policies } = world;
  let most = 0;
  let found: { readonly classifier: Classifier; readonly classes: Map<number, number> } | undefined;
  if ((link & 1) === TargetKind.pool) return everywhere;
  for (let node = 0; node < policies.nodeCount; node++) {
    if (policies.policyOf(node) !== link >> 1) continue;
    const classes = window.classes.get(nodeName(world, node));
    const classified = policies.nodeWord(node, NodeWord.classifier);
    const classifier = world.classifiers[world.classifierOfLink[classified] ?? -1];
    const sum = [...(classes?.values() ?? [])].reduce((all, count) => all + count, 0);
    if (classes === undefined || classifier === undefined || sum <= most) continue;
    most = sum;
    found = { classifier, classes };
  }
  if (found === undefined) return everywhere;
  const places = placesOf(found.classifier);
  const shares = new Map<string, number>();
  for (const [index, count] of found.classes) {
    const lengths = [...(places.get(index) ?? [["", 1]])] as [string, number][];
    const top = lengths.toSorted(([, a], [, b]) => b - a).slice(0, SOURCES_MAX);
    const all = top.reduce((sum, [, length]) => sum + length, 0);
    for (const [place, length] of top)
      shares.set(place, (shares.get(place) ?? 0) + ((count / most) * length) / all);
  }
  return [...shares].map(([place, share]) => [sourceOf(place), share]);
}

/** Countries are two letters, continents are `continent XX`, and nowhere is empty. */
function sourceOf(place: string): DemandSource {
  if (place === "") return { everywhere: {} };
  const [, continent] = /^continent (..)$/.exec(place) ?? [];
  if (continent === undefined) return { country: place };
  for (const known of CONTINENTS) if (known === continent) return { continent: known };
  return { everywhere: {} };
}

const CONTINENTS = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"] as const;

/** Addresses of each class by country or continent, of a classifier that never changes. */
const placesByClassifier = new WeakMap<Classifier, Map<number, Map<string, number>>>();

function placesOf(classifier: Classifier): Map<number, Map<string, number>> {
  const known = placesByClassifier.get(classifier);
  if (known !== undefined) return known;
  const found = new Map<number, Map<string, number>>();
  placesByClassifier.set(classifier, found);
  const { map } = classifier;
  if (map === undefined) return found;
  const { ranges } = map;
  const places = map.places();
  const client = new Client();
  const step = Math.max(1, Math.floor(ranges.ipv4Count / RANGES_MAX));
  for (let range = 0; range < ranges.ipv4Count; range += step) {
    const { country, continent } = places[ranges.ipv4Value(range)] ?? {};
    const place = country ?? (continent === undefined ? undefined : `continent ${continent}`);
    if (place === undefined) continue;
    const start = ranges.ipv4Start(range);
    const end = range + 1 < ranges.ipv4Count ? ranges.ipv4Start(range + 1) : 2 ** 32;
    client.family = FAMILY_IPV4;
    client.prefixLength = IPV4_BITS;
    client.word0 = start >>> 0;
    const index = classifier.classify(client);
    const lengths = found.get(index) ?? new Map<string, number>();
    lengths.set(place, (lengths.get(place) ?? 0) + (end - start));
    found.set(index, lengths);
  }
  return found;
}
