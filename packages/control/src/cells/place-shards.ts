// SPDX-License-Identifier: Apache-2.0

// Shuffle sharding: each unit (a tenant, or a zone by itself) gets some of a cell's edges, and two units have at most so many edges in
// common. Whoever takes all edges of one unit down harms another one no further than that.
//
//   before ─► what still holds is kept ─► the others, one by one: most edges of before, then the idlest, then by hash ─► placed
//                                                      └ no room ─► all anew, in some other orders ─► placed, or refused
//
// A pure function of its input. How many fit is a packing number, which nobody can work out in general: what is refused has been tried,
// and `packingBound` says how many there cannot be in any case.

import { hash32, parseDuration } from "@meridian/core";
import type { CellDocument } from "@meridian/model";

/** Edges of each unit, in order of their names. */
export type Placement = ReadonlyMap<string, readonly string[]>;

export interface PlaceRequest {
  readonly edges: readonly string[];
  /** How many edges each unit gets. */
  readonly size: number;
  /** Most edges that two units may have in common; `size` for any. */
  readonly overlap: number;
  readonly seed: number;
  readonly units: readonly string[];
  /** What each had, kept as far as it can be. */
  readonly before: Placement;
}

export type Placed =
  | { readonly kind: "placed"; readonly placement: Placement }
  /** `foundCount` is the most units that room was found for; no arrangement has more than `countMax`. */
  | { readonly kind: "full"; readonly foundCount: number; readonly countMax: number };

/** Orders that are tried where units are in one another's way. */
const ORDERS = 32;
/** Steps of one search for room. */
const STEPS_MAX = 20_000;

export function placeShards(request: PlaceRequest): Placed {
  const { edges, size, overlap, units, before } = request;
  const kept = new Room(request);
  const waiting: string[] = [];
  for (const unit of inOrder(units, request.seed)) {
    const had = before.get(unit);
    if (had === undefined || !kept.take(unit, had)) waiting.push(unit);
  }
  if (waiting.every((unit) => kept.place(unit, before.get(unit) ?? [], 0)))
    return { kind: "placed", placement: kept.placement };
  let foundCount = kept.placement.size;
  for (let order = 0; order < ORDERS; order++) {
    const room = new Room(request);
    const isPlaced = inOrder(units, request.seed + order).every((unit) =>
      room.place(unit, order === 0 ? (before.get(unit) ?? []) : [], order),
    );
    if (isPlaced) return { kind: "placed", placement: room.placement };
    foundCount = Math.max(foundCount, room.placement.size);
  }
  return { kind: "full", foundCount, countMax: packingBound(edges.length, size, overlap) };
}

/** Johnson's bound: there are no more sets of `size` of `count` things of which two have at most `overlap` in common. */
export function packingBound(count: number, size: number, overlap: number): number {
  if (overlap >= size) return Infinity;
  let bound = 1;
  for (let shared = overlap; shared >= 0; shared--)
    bound = Math.floor((bound * (count - shared)) / (size - shared));
  return bound;
}

/** The most edges that two units have in common. */
export function largestOverlap(placement: Placement): number {
  const unitsOf = new Map<string, string[]>();
  let largest = 0;
  for (const [unit, edges] of placement) {
    const shared = new Map<string, number>();
    for (const edge of edges) {
      const others = unitsOf.get(edge) ?? [];
      for (const other of others) {
        const count = (shared.get(other) ?? 0) + 1;
        shared.set(other, count);
        largest = Math.max(largest, count);
      }
      others.push(unit);
      unitsOf.set(edge, others);
    }
  }
  return largest;
}

/** How a Cell's units are placed. */
export function placeRequestOf(
  { spec }: CellDocument,
  units: readonly string[],
  before: Placement,
): PlaceRequest {
  const edges = spec.edges.map(({ name }) => name);
  const {
    edges: size,
    overlap,
    seed,
  } = spec.shuffle ?? {
    edges: edges.length,
    overlap: edges.length,
    seed: 0,
  };
  return { edges, size, overlap, seed, units, before };
}

/** How long edges go on serving what has moved away, in milliseconds. */
export function leaveAfterMs({ spec }: CellDocument): number {
  return parseDuration(spec.leaveAfter) ?? 0;
}

/** What is taken, and by whom. */
class Room {
  readonly placement = new Map<string, readonly string[]>();
  readonly #request: PlaceRequest;
  /** Units on each edge, by number. */
  readonly #unitsOf: Map<string, number[]>;
  /** Edges that each unit has in common with the one that is being placed. */
  readonly #shared: number[] = [];
  #steps = 0;

  constructor(request: PlaceRequest) {
    this.#request = request;
    this.#unitsOf = new Map(request.edges.map((edge) => [edge, []]));
  }

  /** Takes these very edges; false where that cannot be. */
  take(unit: string, edges: readonly string[]): boolean {
    if (edges.length !== this.#request.size || new Set(edges).size !== edges.length) return false;
    const isFree = edges.every((edge) => this.#unitsOf.has(edge));
    const added: string[] = [];
    const fits = isFree && edges.every((edge) => this.#add(edge, added));
    this.#undo(added, 0);
    if (fits) this.#keep(unit, edges);
    return fits;
  }

  /** Finds edges, rather those of before; false where there are none, or none were found in time. */
  place(unit: string, before: readonly string[], order: number): boolean {
    const { edges, size, seed } = this.#request;
    const ranked = edges
      .map((edge) => ({
        edge,
        had: before.includes(edge) ? 0 : 1,
        load: this.#unitsOf.get(edge)?.length ?? 0,
        rank: rankOf(`${unit}/${edge}`, seed + order),
      }))
      .toSorted(
        (a, b) => a.had - b.had || a.load - b.load || a.rank - b.rank || inText(a.edge, b.edge),
      )
      .map(({ edge }) => edge);
    const chosen: string[] = [];
    this.#steps = 0;
    const isFound = this.#choose(ranked, 0, size, chosen);
    const found = [...chosen];
    this.#undo(chosen, 0);
    if (isFound) this.#keep(unit, found);
    return isFound;
  }

  #choose(ranked: readonly string[], from: number, count: number, chosen: string[]): boolean {
    if (chosen.length === count) return true;
    for (let at = from; at <= ranked.length - (count - chosen.length); at++) {
      if (++this.#steps > STEPS_MAX) return false;
      const length = chosen.length;
      if (this.#add(ranked[at] ?? "", chosen) && this.#choose(ranked, at + 1, count, chosen))
        return true;
      this.#undo(chosen, length);
    }
    return false;
  }

  /** Adds an edge; false, and `to` is to be undone, where another unit would have too many of them. */
  #add(edge: string, to: string[]): boolean {
    const { overlap } = this.#request;
    let fits = true;
    for (const other of this.#unitsOf.get(edge) ?? []) {
      const shared = (this.#shared[other] ?? 0) + 1;
      this.#shared[other] = shared;
      fits &&= shared <= overlap;
    }
    to.push(edge);
    return fits;
  }

  #undo(chosen: string[], length: number): void {
    while (chosen.length > length)
      for (const other of this.#unitsOf.get(chosen.pop() ?? "") ?? [])
        this.#shared[other] = (this.#shared[other] ?? 0) - 1;
  }

  #keep(unit: string, edges: readonly string[]): void {
    const number = this.placement.size;
    this.placement.set(unit, edges.toSorted(inText));
    for (const edge of edges) this.#unitsOf.get(edge)?.push(number);
  }
}

/** The same order wherever it is asked, and another one for each seed. */
function inOrder(units: readonly string[], seed: number): string[] {
  return units
    .map((unit) => ({ unit, rank: rankOf(unit, seed) }))
    .toSorted((a, b) => a.rank - b.rank || inText(a.unit, b.unit))
    .map(({ unit }) => unit);
}

function inText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function rankOf(text: string, seed: number): number {
  const bytes = new TextEncoder().encode(text);
  return hash32(bytes, 0, bytes.length, seed >>> 0);
}
