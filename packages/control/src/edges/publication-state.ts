// SPDX-License-Identifier: Apache-2.0

// Whether a revision is live: when every edge that acknowledged within the last 3 s serves it or a later one. An edge that has been
// silent for longer holds nothing up; it is listed with its age. What edges of other controls serve, these say (ControlPeers).

/** An edge counts while its last word is no older than this. */
export const FRESH_MS_MAX = 3000;

/** What is known of one edge at a moment. */
export interface EdgeMoment {
  readonly name: string;
  /** Serves this; 0 for nothing. */
  readonly revision: number;
  /** Since its last word; Infinity for an edge that has said nothing since control began. */
  readonly silentMs: number;
}

/** An edge that does not serve a revision yet. */
export interface EdgeBehind {
  readonly name: string;
  readonly revision: number;
  /** Since its last word; absent for an edge that has said nothing since control began. */
  readonly silentMs?: number;
}

/** How far a revision has come. */
export interface PublicationView {
  readonly revision: number;
  readonly state: "live" | "pending" | "withdrawn";
  /** Why it was taken back. */
  readonly reason?: string;
  /** Edges that it went to first, while they check it. */
  readonly canaries?: readonly string[];
  /** Edges that serve it or a later one and were heard of just now. */
  readonly serving: number;
  /** Edges that hold it up. */
  readonly waiting: readonly EdgeBehind[];
  /** Edges that have not been heard of for 3 s and hold nothing up. */
  readonly silent: readonly EdgeBehind[];
}

/** How far `revision` has come, where `published` is the newest one that edges were sent. */
export function publicationOf(
  revision: number,
  published: number,
  edges: readonly EdgeMoment[],
): PublicationView {
  const fresh = edges.filter(isFresh);
  const waiting = fresh.filter((edge) => edge.revision < revision);
  return {
    revision,
    state: published >= revision && waiting.length === 0 ? "live" : "pending",
    serving: fresh.length - waiting.length,
    waiting: waiting.map(behind),
    silent: edges.filter((edge) => !isFresh(edge)).map(behind),
  };
}

export function isFresh({ silentMs }: EdgeMoment): boolean {
  return silentMs <= FRESH_MS_MAX;
}

export function behind({ name, revision, silentMs }: EdgeMoment): EdgeBehind {
  return { name, revision, ...(Number.isFinite(silentMs) ? { silentMs } : {}) };
}
