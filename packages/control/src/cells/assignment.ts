// SPDX-License-Identifier: Apache-2.0

// Which edges serve which zones, as the store has it, and how it moves. A zone that moves is served by its new edges and its old ones,
// until all of the new ones serve it and nobody has the old delegation any more:
//
//   edges a b ─► edges b c, leaving a ─► [b and c serve it, and leaveAfter has passed] ─► edges b c
//
// A zone that is assigned for the first time leaves all edges. A pure step: time and what edges serve come with each call.

import type { CellDocument } from "@meridian/model";
import { fieldsOf, member } from "../documents/document-key.ts";
import { leaveAfterMs, placeRequestOf, placeShards, type Placement } from "./place-shards.ts";

/** In place of names: every edge. */
export const EVERY_EDGE = "*";

/** Edges that go on serving a zone that has moved away from them. */
export interface Leaving {
  /** Names, or `EVERY_EDGE` alone. */
  readonly edges: readonly string[];
  readonly sinceMs: number;
}

export interface Assignment {
  /** By `tenant/NAME` or `zone/ORIGIN`. */
  readonly units: Placement;
  /** Units by origin; a zone that is not listed is served by every edge. */
  readonly zones: ReadonlyMap<string, string>;
  /** By origin. */
  readonly leaving: ReadonlyMap<string, Leaving>;
}

/** A Cell with those that it serves. */
export interface CellUnits {
  readonly cell: CellDocument;
  readonly units: readonly string[];
}

/** What documents say. */
export interface WantedCells {
  readonly cells: readonly CellUnits[];
  /** Units by origin. */
  readonly zones: ReadonlyMap<string, string>;
}

export interface AssignmentStep extends WantedCells {
  /** Origins that every edge may serve by now. */
  readonly served: ReadonlySet<string>;
  /** Edges that serve all that they are to serve by the assignment of before. */
  readonly settled: ReadonlySet<string>;
  readonly nowMs: number;
}

export const noAssignment: Assignment = { units: new Map(), zones: new Map(), leaving: new Map() };

/** The next assignment, and Cells in which there is no room for all: those keep what they had. */
export function stepAssignment(
  before: Assignment,
  step: AssignmentStep,
): { readonly assignment: Assignment; readonly full: readonly string[] } {
  const full: string[] = [];
  const units = new Map<string, readonly string[]>();
  const leaveMs = new Map<string, number>();
  for (const { cell, units: own } of step.cells) {
    const placed = placeShards(placeRequestOf(cell, own, before.units));
    if (placed.kind === "full") full.push(cell.metadata.name);
    for (const unit of own) {
      const edges = (placed.kind === "placed" ? placed.placement : before.units).get(unit);
      if (edges === undefined) continue;
      units.set(unit, edges);
      leaveMs.set(unit, leaveAfterMs(cell));
    }
  }
  const zones = new Map([...step.zones].filter(([, unit]) => units.has(unit)));
  const leaving = new Map<string, Leaving>();
  for (const [origin, unit] of zones) {
    const left = leavingOf(before, step, origin, {
      edges: units.get(unit) ?? [],
      leaveAfterMs: leaveMs.get(unit) ?? 0,
    });
    if (left !== undefined) leaving.set(origin, left);
  }
  return { assignment: { units, zones, leaving }, full };
}

function leavingOf(
  before: Assignment,
  { served, settled, nowMs }: AssignmentStep,
  origin: string,
  now: { readonly edges: readonly string[]; readonly leaveAfterMs: number },
): Leaving | undefined {
  const unit = before.zones.get(origin);
  const had = unit === undefined ? undefined : before.units.get(unit);
  const left = before.leaving.get(origin);
  const old =
    had === undefined ? (served.has(origin) ? [EVERY_EDGE] : []) : [...had, ...(left?.edges ?? [])];
  const edges = old.includes(EVERY_EDGE)
    ? [EVERY_EDGE]
    : [...new Set(old)].filter((edge) => !now.edges.includes(edge)).toSorted();
  if (edges.length === 0) return undefined;
  const isSame = left !== undefined && had?.join(" ") === now.edges.join(" ");
  if (!isSame) return { edges, sinceMs: nowMs };
  const isOver =
    nowMs - left.sinceMs >= now.leaveAfterMs && now.edges.every((edge) => settled.has(edge));
  return isOver ? undefined : { edges, sinceMs: left.sinceMs };
}

/** Edges that serve a zone now, `EVERY_EDGE` among them for all. */
export function edgesOfZone(
  { units, zones, leaving }: Assignment,
  origin: string,
): readonly string[] {
  const unit = zones.get(origin);
  const edges = unit === undefined ? undefined : units.get(unit);
  return edges === undefined ? [EVERY_EDGE] : [...edges, ...(leaving.get(origin)?.edges ?? [])];
}

/** Origins that an edge does not serve. */
export function withheldFrom(assignment: Assignment, edge: string): string[] {
  return [...assignment.zones.keys()].filter((origin) => {
    const edges = edgesOfZone(assignment, origin);
    return !edges.includes(edge) && !edges.includes(EVERY_EDGE);
  });
}

/** The same for equal assignments. */
export function encodeAssignment({ units, zones, leaving }: Assignment): string {
  return JSON.stringify({
    units: Object.fromEntries([...units].toSorted(byName)),
    zones: Object.fromEntries([...zones].toSorted(byName)),
    leaving: Object.fromEntries([...leaving].toSorted(byName)),
  });
}

/** Of what `encodeAssignment()` wrote; what is of another shape is passed over. */
export function decodeAssignment(text: string): Assignment {
  const raw: unknown = JSON.parse(text);
  const entries = (name: string): [string, unknown][] =>
    Object.entries(fieldsOf(member(raw, name)));
  return {
    units: new Map(entries("units").map(([unit, edges]) => [unit, textsIn(edges)])),
    zones: new Map(entries("zones").map(([origin, unit]) => [origin, String(unit)])),
    leaving: new Map(
      entries("leaving").map(([origin, left]) => {
        const sinceMs = Number(member(left, "sinceMs"));
        return [origin, { edges: textsIn(member(left, "edges")), sinceMs }];
      }),
    ),
  };
}

function textsIn(raw: unknown): string[] {
  return Array.isArray(raw) ? raw.filter((each: unknown) => typeof each === "string") : [];
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : Number(a > b);
}
