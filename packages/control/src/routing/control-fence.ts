// SPDX-License-Identifier: Apache-2.0

// What a panel with fenced hand-over remembers beside the states of its controls: what is Off but perhaps still answered somewhere, and what is
// to be On once that is over. All of it is in the store, so that whoever leads goes on with it.
//
//   set a=Off b=On ─► a is Off and settling, b is pending ─► no edge answers a any more ─► b is On
//
// Turning Off is never kept waiting. Turning On waits for as long as anything of the panel that is Off is not settled, also where it was turned Off by
// a change before, and where an edge may not know yet that the panel is fenced.

import { hash } from "node:crypto";
import { member } from "../documents/document-key.ts";
import {
  unset,
  type ControlStanding,
  type ControlState,
  type Standings,
} from "./control-change.ts";

export interface ControlFence {
  /** Print of the bindings that every edge was seen to know; empty for none. */
  readonly known: string;
  /** Names of controls that are Off, which an edge may answer still. */
  readonly settling: readonly string[];
  /** What is to be On then, by name. */
  readonly pending: Standings;
  /** Unix milliseconds at which the hand-over began; 0 while there is none. */
  readonly startedAtMs: number;
}

export const noFence: ControlFence = {
  known: "",
  settling: [],
  pending: new Map(),
  startedAtMs: 0,
};

/** What a change comes to in a fenced panel. */
export interface FencedChange {
  /** As they are in force at once. */
  readonly standings: Standings;
  readonly fence: ControlFence;
}

/** What controls are to be when the hand-over is done. */
export function wantedStandings(standings: Standings, { pending }: ControlFence): Standings {
  return new Map([...standings, ...pending]);
}

/** The bindings of a panel as they are now. */
export interface Bindings {
  readonly print: string;
  /** Controls that are bound to something: what is not needs no hand-over. */
  readonly bound: ReadonlySet<string>;
}

/** Has `wanted` come about from `standings`, in as many steps as it takes. */
export function fencedChange(
  standings: Standings,
  before: ControlFence,
  wanted: Standings,
  { print, bound }: Bindings,
  nowMs: number,
): FencedChange {
  const isOff = (all: Standings, name: string): boolean => (all.get(name) ?? unset).state === "Off";
  const names = [...wanted.keys()].filter((name) => bound.has(name));
  const turnedOff = names.filter((name) => isOff(wanted, name) && !isOff(standings, name));
  const turnedOn = names.filter((name) => !isOff(wanted, name) && isOff(standings, name));
  // What goes on again, with nothing else On in its place, need not be Off anywhere.
  const settling = [...new Set([...before.settling, ...turnedOff])].filter((name) =>
    isOff(wanted, name),
  );
  const isWaiting = turnedOn.length > 0 && (settling.length > 0 || before.known !== print);
  const pending = new Map(
    isWaiting ? turnedOn.map((name) => [name, wanted.get(name) ?? unset] as const) : [],
  );
  const now = new Map(wanted);
  for (const name of pending.keys()) now.set(name, standings.get(name) ?? unset);
  const isRunning = settling.length > 0 || pending.size > 0;
  const startedAtMs = isRunning ? before.startedAtMs || nowMs : 0;
  return {
    standings: now,
    fence: { known: before.known, settling, pending, startedAtMs },
  };
}

/** The hand-over is over: no edge answers what is Off, and every one knows the bindings. */
export function settledChange(
  standings: Standings,
  { pending }: ControlFence,
  print: string,
): FencedChange {
  return {
    standings: new Map([...standings, ...pending]),
    fence: { ...noFence, known: print },
  };
}

/** Whether something waits for edges. */
export function isRunning({ settling, pending }: ControlFence): boolean {
  return settling.length > 0 || pending.size > 0;
}

/** What an edge has to know before it may be relied on to stop by itself: which panel, and what its controls are bound to. */
export function bindingsPrint(
  panel: { readonly uid: string; readonly revision: number },
  controls: readonly {
    readonly name: string;
    readonly uid: string;
    readonly targets: readonly string[];
  }[],
): string {
  const bound = controls
    .filter(({ targets }) => targets.length > 0)
    .map(({ name, uid, targets }) => [name, uid, ...targets.toSorted()])
    .toSorted((a, b) => ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1));
  return hash("sha256", JSON.stringify([panel.uid, panel.revision, bound])).slice(0, 32);
}

export function formatFence({ known, settling, pending, startedAtMs }: ControlFence): string {
  return JSON.stringify({
    known,
    settling,
    pending: Object.fromEntries(pending),
    startedAtMs,
  });
}

export function parseFence(text: string | undefined): ControlFence {
  if (text === undefined) return noFence;
  const raw: unknown = JSON.parse(text);
  const [known, settling] = [member(raw, "known"), member(raw, "settling")];
  const pending = member(raw, "pending");
  const entries = typeof pending === "object" && pending !== null ? Object.entries(pending) : [];
  return {
    known: typeof known === "string" ? known : "",
    settling: (Array.isArray(settling) ? settling : []).filter((each) => typeof each === "string"),
    pending: new Map(entries.map(([name, each]: [string, unknown]) => [name, standingIn(each)])),
    startedAtMs: Number(member(raw, "startedAtMs") ?? 0),
  };
}

function standingIn(raw: unknown): ControlStanding {
  const state: ControlState = member(raw, "state") === "Off" ? "Off" : "On";
  return {
    state,
    changedAtMs: Number(member(raw, "changedAtMs")),
    actor: String(member(raw, "actor")),
    reason: String(member(raw, "reason")),
  };
}
