// SPDX-License-Identifier: Apache-2.0

// The leases that one control gives its edges: how long they may answer what panels with fenced hand-over govern, by what this control has seen
// of the store. They all end LEASE_MS after this control last looked at the store, whenever they were asked for; so a control that is cut
// off from the store gives none that outlives what others may decide meanwhile.

import {
  LEASE_MS,
  encodeGrant,
  isAtLeast,
  type LeaseGrant,
  type LeaseRequest,
  type StoreMark,
} from "@meridian/snapshot";
import {
  LEASE_MARGIN_MS,
  type ControlLeases,
  type LeasedEdge,
} from "../routing/hand-over-waits.ts";

/** What this control lets its edges act on. */
export interface ConfirmedState {
  /** When it began to look at the store, of a clock that never goes back. */
  readonly askedAtMs: number;
  readonly asOf: StoreMark;
  /** Revision of the store that last changed what fenced panels say. */
  readonly movedRevision: number;
  /** Of the snapshot, and the first sequence of its overlay that says so. */
  readonly revision: number;
  readonly sequence: number;
}

interface Process {
  readonly instance: string;
  /** Of its clock: when it asked last. */
  askedAtMs: number;
  holds: StoreMark;
  /** When the last lease that it was given ends, the margin included. */
  endsAtMs: number;
}

/** Processes of one edge that are remembered: it restarts, and goes over to another that takes its place. */
const PROCESSES_MAX = 8;

export class EdgeLeases {
  readonly #nowMs: () => number;
  readonly #sinceMs: number;
  #confirmed: ConfirmedState | undefined;
  /** By edge, the newest last. */
  readonly #processes = new Map<string, Process[]>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#sinceMs = nowMs();
  }

  get confirmed(): ConfirmedState | undefined {
    return this.#confirmed;
  }

  confirm(state: ConfirmedState | undefined): void {
    this.#confirmed = state;
  }

  /** An edge says what it holds. */
  take(name: string, { instance, askedAtMs, holds }: LeaseRequest): void {
    const all = this.#processes.get(name) ?? [];
    const known = all.find((each) => each.instance === instance);
    if (known !== undefined) {
      known.askedAtMs = askedAtMs;
      if (isAtLeast(holds, known.holds)) known.holds = holds;
      this.#processes.set(name, [...all.filter((each) => each !== known), known]);
      return;
    }
    const nowMs = this.#nowMs();
    const left = all.filter(({ endsAtMs }) => endsAtMs > nowMs).slice(-PROCESSES_MAX + 1);
    left.push({ instance, askedAtMs, holds, endsAtMs: 0 });
    this.#processes.set(name, left);
  }

  /**
   * What an edge is told that is sent `revision`; undefined where nothing is confirmed of that. `isNew` is a stream on which it has asked for
   * nothing yet.
   */
  grant(name: string, revision: number, isNew: boolean): Uint8Array | undefined {
    const state = this.#confirmed;
    if (state === undefined) return undefined;
    const process = isNew ? undefined : this.#processes.get(name)?.at(-1);
    const endsAtMs = state.askedAtMs + LEASE_MS;
    const leaseMs = process === undefined ? 0 : Math.max(0, endsAtMs - this.#nowMs());
    if (process !== undefined && leaseMs > 0)
      process.endsAtMs = Math.max(process.endsAtMs, endsAtMs + LEASE_MARGIN_MS);
    const { asOf, movedRevision, sequence } = state;
    const askedAtMs = process?.askedAtMs ?? 0;
    const grant: LeaseGrant = { askedAtMs, leaseMs, asOf, movedRevision, revision, sequence };
    return encodeGrant(grant);
  }

  /** An edge may not come any more; what it was given runs out. */
  forget(name: string): void {
    this.#processes.delete(name);
  }

  /** What other controls are told. */
  view(): ControlLeases {
    const nowMs = this.#nowMs();
    const edges = [...this.#processes].flatMap(([name, all]) =>
      all.map(({ instance, holds, endsAtMs }): LeasedEdge => ({
        ...{ name, instance, ...holds },
        leftMs: Math.max(0, Math.ceil(endsAtMs - nowMs)),
      })),
    );
    return {
      confirmed: this.#confirmed?.asOf,
      sinceMs: Math.floor(nowMs - this.#sinceMs),
      edges,
    };
  }
}
