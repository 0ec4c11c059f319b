// SPDX-License-Identifier: Apache-2.0

// The served revision, put on disk. What a disk does not take is served all the same, as a full one is no reason to stop answering; but a
// process that starts finds an older revision, and could give the number of this one to something else. So it is tried again until the disk
// takes it, or a later revision comes, and meanwhile it is said.

import { reasonOf } from "@meridian/core";
import type { Manifest } from "@meridian/snapshot";
import type { CompileProblem } from "./compile.ts";
import type { KeptRevision } from "./compiler-process.ts";
import type { Logger } from "./embedded-options.ts";

/** The first pause before it is tried again; each is twice the one before. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 60_000;

/** Sections that are written with a revision. */
export type KeptSections = KeptRevision["written"];

/** A revision that is served and that the disk has refused. */
export interface UnkeptRevision {
  readonly revision: number;
  /** Since when no revision could be kept, wall milliseconds. */
  readonly sinceMs: number;
  readonly reason: string;
}

export interface RevisionKeeperOptions {
  /** Puts a revision on disk, with these sections; rejects where the disk refuses. */
  readonly put: (manifest: Manifest, written: KeptSections) => Promise<void>;
  /** Sections of the served revision that the disk does not have, not all where they are many. */
  readonly missing: (manifest: Manifest) => KeptSections;
  readonly logger: Logger;
  readonly wallMs: () => number;
}

export class RevisionKeeper {
  readonly #options: RevisionKeeperOptions;
  #newest: Manifest | undefined;
  #unkept: UnkeptRevision | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RevisionKeeperOptions) {
    this.#options = options;
  }

  /** Undefined where the disk has what is served. */
  get unkept(): UnkeptRevision | undefined {
    return this.#unkept;
  }

  /** Resolves when the disk has the revision or has refused it: then it is tried again. Never rejects. */
  async keep(manifest: Manifest, written: KeptSections): Promise<void> {
    clearTimeout(this.#timer);
    this.#newest = manifest;
    const reason = await this.#tried(manifest, written);
    if (reason === undefined || this.#isClosed) return;
    const { logger } = this.#options;
    logger.error({ reason }, `Cannot keep revision ${manifest.revision} in the state folder`);
    this.#keepLater(manifest, RETRY_MS_MIN);
  }

  /** Nothing is tried again. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Why the disk has refused; undefined where it has not. */
  async #tried(manifest: Manifest, written: KeptSections): Promise<string | undefined> {
    const { put, wallMs } = this.#options;
    let reason: string | undefined;
    try {
      await put(manifest, written);
    } catch (error) {
      reason = reasonOf(error);
    }
    if (this.#newest !== manifest) return undefined;
    const sinceMs = this.#unkept?.sinceMs ?? wallMs();
    const { revision } = manifest;
    this.#unkept = reason === undefined ? undefined : { revision, sinceMs, reason };
    return reason;
  }

  /** That it could not be kept has been told. */
  #keepLater(manifest: Manifest, pauseMs: number): void {
    this.#timer = setTimeout(() => {
      this.#keepAgain(manifest, pauseMs).catch((error: unknown) => {
        const reason = reasonOf(error);
        this.#options.logger.error({ reason }, "Gave up keeping a revision in the state folder");
      });
    }, pauseMs).unref();
  }

  async #keepAgain(manifest: Manifest, pauseMs: number): Promise<void> {
    const { missing, logger } = this.#options;
    const written = missing(manifest);
    const reason = await this.#tried(manifest, written);
    if (this.#newest !== manifest || this.#isClosed) return;
    const { revision } = manifest;
    if (reason === undefined)
      logger.info({ revision }, "The state folder has the revision after all");
    // What has come to be on disk was some of it: the rest soon.
    else if (written.length > 0 && missing(manifest)[0]?.name !== written[0]?.name)
      this.#keepLater(manifest, RETRY_MS_MIN);
    else this.#keepLater(manifest, Math.min(pauseMs * 2, RETRY_MS_MAX));
  }
}

/** As conditions have it. */
export function unkeptProblems(unkept: UnkeptRevision | undefined): CompileProblem[] {
  if (unkept === undefined) return [];
  const { revision, reason } = unkept;
  return [
    {
      subject: "state folder",
      message: `Cannot keep revision ${revision}, which is served: ${reason}`,
    },
  ];
}
