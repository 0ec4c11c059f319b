// SPDX-License-Identifier: Apache-2.0

// settled.json of a control's state folder: the revision that went to all edges last, and the one that goes to some of them first. A control
// that is started anew compares what it serves with it. An older one than there was leads to a check too many, never to one too few: so the file is not synced.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifest } from "@meridian/snapshot";
import { member } from "../documents/document-key.ts";

const NAME = "settled.json";

/** A revision of publication. */
export type RevisionId = Pick<Manifest, "epoch" | "revision">;

export interface Settled extends RevisionId {
  /** Revision of the store of which documents are what they were when all edges had that. */
  readonly documents: number;
  /** What edges were given after it, and check. */
  readonly staged?: RevisionId | undefined;
}

export class SettledFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, NAME);
  }

  /** Undefined where there is none, or none that can be read. */
  read(): Settled | undefined {
    try {
      const raw: unknown = JSON.parse(readFileSync(this.#path, "utf8"));
      const settled = revisionIn(raw);
      const documents = member(raw, "documents");
      if (settled === undefined || typeof documents !== "number") return undefined;
      return { ...settled, documents, staged: revisionIn(member(raw, "staged")) };
    } catch {
      return undefined;
    }
  }

  /** Throws where the disk does. */
  write(settled: Settled): void {
    writeFileSync(`${this.#path}.new`, JSON.stringify(settled), { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
  }
}

function revisionIn(raw: unknown): RevisionId | undefined {
  const [epoch, revision] = [member(raw, "epoch"), member(raw, "revision")];
  return typeof epoch === "number" && typeof revision === "number"
    ? { epoch, revision }
    : undefined;
}
