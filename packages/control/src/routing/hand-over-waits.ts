// SPDX-License-Identifier: Apache-2.0

// Who a hand-over waits for: one pure look at what controls say of the leases that they gave. It is over when no process can answer what was
// turned Off, for one of two reasons:
//
//   by word   every control knows of it, and so gives no lease that does not, and every edge that has joined has said that it does what was told
//   by time   the term has passed: leases count from when a control looked at the store, and what looked before the change has run out
//
// By time it is over only for edges that know that the panel is fenced: one that does not would go on. Durations alone are compared, never clocks.

import { LEASE_MS, isAtLeast, type StoreMark } from "@meridian/snapshot";

/** Clocks that run apart by a tenth, and threads that wait, are allowed for. */
export const LEASE_MARGIN_MS = 1000;
/** After this no lease is left that was given before. */
export const TERM_MS: number = LEASE_MS + LEASE_MARGIN_MS;

/** A process of an edge, as the control sees it that gave it leases. */
export interface LeasedEdge {
  readonly name: string;
  readonly instance: string;
  readonly epoch: number;
  /** Revision of the store by which it has said that it answers. */
  readonly revision: number;
  /** Milliseconds in which it may have a lease still, the margin included. */
  readonly leftMs: number;
}

/** What a control knows of leases. */
export interface ControlLeases {
  /** What it has seen of the store, and lets its edges act on; undefined where it lets them on nothing. */
  readonly confirmed: StoreMark | undefined;
  /** For how long it has kept count: its process before may have given others. */
  readonly sinceMs: number;
  readonly edges: readonly LeasedEdge[];
}

export interface HandOverScene {
  /** The state of the store that has to be known. */
  readonly needs: StoreMark;
  /** Milliseconds until the term has passed. */
  readonly termMs: number;
  /** Whether every edge is known to know what is fenced. */
  readonly isKnown: boolean;
  /** Edges that have joined. */
  readonly edges: readonly string[];
  /** Edges that were revoked, and for how long that is known. */
  readonly revoked: readonly { readonly name: string; readonly sinceMs: number }[];
  /** Every control of the store; without `leases` where it does not answer. */
  readonly controls: readonly { readonly name: string; readonly leases?: ControlLeases }[];
}

/** Who is waited for, and why. */
export interface HandOverWait {
  /** `edge NAME` or `control NAME`. */
  readonly who: string;
  readonly why: string;
  /** At most, milliseconds; undefined for until it is heard. */
  readonly forMs?: number;
}

/** Those that the hand-over waits for; none where it is over. */
export function handOverWaits(scene: HandOverScene): HandOverWait[] {
  const { isKnown, termMs } = scene;
  if (isKnown && termMs <= 0) return [];
  const waits = [...controlWaits(scene), ...edgeWaits(scene)];
  return waits.map(({ who, why, forMs }) =>
    forMs === undefined ? { who, why } : { who, why, forMs: Math.ceil(Math.min(forMs, termMs)) },
  );
}

function controlWaits({ needs, termMs, revoked, controls }: HandOverScene): HandOverWait[] {
  if (termMs <= 0) return [];
  return [
    ...controls.flatMap(({ name, leases }): HandOverWait[] => {
      const who = `control ${name}`;
      if (leases === undefined) return [{ who, why: "does not answer", forMs: termMs }];
      const { confirmed, sinceMs } = leases;
      if (confirmed === undefined || !isAtLeast(confirmed, needs))
        return [{ who, why: "has not seen the change", forMs: termMs }];
      return sinceMs >= TERM_MS
        ? []
        : [{ who, why: "began a moment ago", forMs: TERM_MS - sinceMs }];
    }),
    ...revoked.flatMap(({ name, sinceMs }) =>
      sinceMs >= TERM_MS
        ? []
        : [{ who: `edge ${name}`, why: "was revoked a moment ago", forMs: TERM_MS - sinceMs }],
    ),
  ];
}

function edgeWaits({ needs, termMs, isKnown, edges, controls }: HandOverScene): HandOverWait[] {
  const leased = controls.flatMap(({ leases }) => leases?.edges ?? []);
  return edges.flatMap((name): HandOverWait[] => {
    const who = `edge ${name}`;
    const processes = leased.filter((each) => each.name === name);
    const hasSaid = processes.some((each) => isAtLeast(each, needs));
    if (!hasSaid && !isKnown) return [{ who, why: "has not said that it knows what is fenced" }];
    if (termMs <= 0) return [];
    const leftMs = processes
      .filter((each) => !isAtLeast(each, needs))
      .reduce((most, each) => Math.max(most, each.leftMs), 0);
    if (hasSaid)
      return leftMs > 0 ? [{ who, why: "was another process before", forMs: leftMs }] : [];
    return [{ who, why: "has not said that it answers none of it", forMs: termMs }];
  });
}
