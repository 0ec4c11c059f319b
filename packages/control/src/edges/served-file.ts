// SPDX-License-Identifier: Apache-2.0

// served.json of a control's state folder: the revision that each edge last said it serves. Edges that are away when control is started anew
// may come back with it, so that its sections are not to be cleaned up. One that was not heard of for a month counts no more: it is
// sent all there is when it comes.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { member } from "../documents/document-key.ts";

const NAME = "served.json";
/** How long an edge that is away is waited for. */
const AWAY_MS_MAX = 30 * 24 * 3_600_000;
/** The file is written this often where nobody serves anything else, so that it knows when edges were last heard of. */
const REFRESH_MS = 3_600_000;

interface Entry {
  readonly edge: string;
  readonly revision: number;
  /** Wall time at which it last said so, as of the last write. */
  readonly atMs: number;
}

export class ServedFile {
  readonly #path: string;
  readonly #wallMs: () => number;
  #entries: ReadonlyMap<string, Entry>;
  #writtenAtMs = Number.NEGATIVE_INFINITY;

  constructor(folder: string, wallMs: () => number) {
    this.#path = join(folder, NAME);
    this.#wallMs = wallMs;
    this.#entries = this.#read();
  }

  /** Revisions that edges serve, as far as they were heard of. */
  get revisions(): readonly number[] {
    return [...this.#entries.values()].map(({ revision }) => revision);
  }

  /** What edges say they serve; of others that `mayCome` it is known from before. Throws where the disk does, with all of it in memory. */
  take(said: ReadonlyMap<string, number>, mayCome: (edge: string) => boolean): void {
    const nowMs = this.#wallMs();
    const before = this.#entries;
    const next = new Map<string, Entry>();
    for (const entry of before.values())
      if (nowMs - entry.atMs <= AWAY_MS_MAX && mayCome(entry.edge)) next.set(entry.edge, entry);
    for (const [edge, revision] of said)
      if (mayCome(edge)) next.set(edge, { edge, revision, atMs: nowMs });
    this.#entries = next;
    const isOther =
      next.size !== before.size ||
      [...next.values()].some(({ edge, revision }) => before.get(edge)?.revision !== revision);
    const isOld = next.size > 0 && Math.abs(nowMs - this.#writtenAtMs) >= REFRESH_MS;
    if (isOther || isOld) this.#write(nowMs);
  }

  #write(nowMs: number): void {
    // Until it has been written, it is to be.
    this.#writtenAtMs = Number.NEGATIVE_INFINITY;
    const text = JSON.stringify([...this.#entries.values()]);
    writeFileSync(`${this.#path}.new`, text, { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
    this.#writtenAtMs = nowMs;
  }

  /** Nothing of a file that cannot be read: then what is young is kept, as for edges that were never heard of. */
  #read(): ReadonlyMap<string, Entry> {
    try {
      const raw: unknown = JSON.parse(readFileSync(this.#path, "utf8"));
      const entries = Array.isArray(raw) ? raw.flatMap(entryIn) : [];
      return new Map(entries.map((entry) => [entry.edge, entry]));
    } catch {
      return new Map();
    }
  }
}

function entryIn(raw: unknown): Entry[] {
  const [edge, revision, atMs] = [
    member(raw, "edge"),
    member(raw, "revision"),
    member(raw, "atMs"),
  ];
  return typeof edge === "string" && typeof revision === "number" && typeof atMs === "number"
    ? [{ edge, revision, atMs }]
    : [];
}
