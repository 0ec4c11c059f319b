// SPDX-License-Identifier: Apache-2.0

// When documents are loaded: files on request and when they have changed, but not while somebody is still writing them; and a proposed
// change of the stored ones. One load at a time.

import { reasonOf, type Haste } from "@meridian/core";
import type { InputFile, Problem } from "@meridian/model";
import type { Proposal, ProposalOptions } from "./documents/publisher.ts";
import type { Logger, Reload } from "./embedded-options.ts";
import type { VersionedLoad } from "./adopted-model.ts";
import type { LoadOutcome, LoadRequest } from "./file-load.ts";
import { FileWatcher } from "./file-watcher.ts";
import { serialWrites } from "./replicas/publication-agreement.ts";
import { wishWrites } from "./replicas/shared-roll-out.ts";
import { storeWrites } from "./state/state-documents.ts";

/** A refusal of files that are changed once more within this time was for what was half written. */
const TORN_MS = 100;
/** Such refusals in a row, after which the files are told to be wrong all the same. */
const TORN_READS_MAX = 20;

/** What came of a load, and what it was made for. */
export interface VersionedOutcome extends Omit<LoadOutcome, "accepted"> {
  readonly accepted?: VersionedLoad;
}

/** What a load is otherwise than reading what files and store hold now. */
export type LoadKind = Partial<
  Pick<LoadRequest, "isTrial" | "allowEmpty" | "stored" | "isWhole" | "paths"> & {
    readonly allowShrink: boolean;
  }
>;

/** What a reload calls. */
export interface ReloadSteps {
  /** Reads and compiles the files and the stored documents, unless it is given others. */
  readonly compile: (load: LoadKind) => Promise<VersionedOutcome>;
  /** Serves what came of it; true where that is something else than before. */
  readonly adopt: (accepted: VersionedLoad) => Promise<boolean>;
  /** Whether the stored documents as they are now were compiled already. */
  readonly isCompiled: () => boolean;
  /** While somebody waits for a change of stored documents, until it is published. */
  readonly haste: Haste;
  /** Of the revision that is served, for the log. */
  readonly revision: () => number;
}

export class FileReloads {
  /** Errors and warnings of the documents as they are now; with errors, the revision served is an older one. */
  problems: readonly Problem[] = [];
  errors: readonly string[] = [];
  readonly #logger: Logger;
  readonly #steps: ReloadSteps;
  readonly #watcher: FileWatcher;
  #watched: readonly string[];
  #reloading: Promise<Reload> | undefined;
  #isReloadWanted = false;
  /** Something has changed besides documents, so that the next load looks at everything. */
  #isWholeWanted = false;
  /** The load that is under way: one at a time, so that what is compiled last is served last. */
  #loading: Promise<unknown> = Promise.resolve();
  /** When files were last read, wall milliseconds. */
  #readAtMs = 0;
  /** Ends a wait for files to change again (`#isBeingWritten`). */
  #onChangedAgain: (() => void) | undefined;
  /** Refusals in a row of which nothing was told. */
  #passedOver = 0;
  #isClosed = false;
  readonly #haste: Haste;

  constructor(paths: readonly string[], logger: Logger, steps: ReloadSteps) {
    this.#haste = steps.haste;
    this.#watched = paths;
    this.#logger = logger;
    this.#steps = steps;
    this.#watcher = new FileWatcher(
      () => this.#watched,
      () => this.filesChanged(),
    );
  }

  /** Follows changes since the last reload. */
  watch(): void {
    this.#watcher.start(this.#readAtMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher.close();
    this.#onChangedAgain?.();
  }

  /**
   * Reads the files anew. All or nothing: with any error nothing changes but `problems` and `errors`. Calls while one is under way share
   * one more after it. `mayBeTorn`: somebody may be writing them now, so that a refusal waits for what comes next before it is told.
   */
  async reload(mayBeTorn = false): Promise<Reload> {
    if (this.#reloading !== undefined) {
      await this.#reloading.catch(() => undefined);
      return this.#reloading ?? this.reload(mayBeTorn);
    }
    this.#reloading = this.#oneLoad(() => this.#reload(mayBeTorn));
    try {
      return await this.#reloading;
    } finally {
      this.#reloading = undefined;
    }
  }

  /** As `Publisher.propose`. */
  async propose(
    stored: readonly InputFile[],
    commit: ((proposal: Proposal) => Promise<number>) | undefined,
    { publish: mode, allowShrink = false }: ProposalOptions = {},
  ): Promise<Proposal> {
    return this.#oneLoad(async () => {
      if (commit !== undefined) this.#haste.begin();
      const { problems, errors, accepted, shrinking } = await this.#steps.compile({
        stored,
        isTrial: commit === undefined,
        // Who deletes documents by name means it; a folder that lost its files may not.
        allowEmpty: true,
        allowShrink,
      });
      // What is not small takes long, and answers come first.
      if (accepted?.parts.isRelative !== true) this.#haste.end();
      const claims = accepted?.claims ?? [];
      const state =
        accepted?.revision === undefined
          ? []
          : storeWrites([...serialWrites(accepted.serials), ...wishWrites(mode)]);
      const isAccepted = accepted !== undefined;
      const proposal = { isAccepted, problems, errors, claims, state, shrinking };
      if (accepted === undefined) return proposal;
      if (commit === undefined) return { ...proposal, trial: accepted };
      let revision: number;
      try {
        revision = await commit(proposal);
      } catch (error) {
        // The compiler knows documents that are none: it reads those that are.
        this.filesChanged();
        throw error;
      }
      this.problems = problems;
      this.errors = errors;
      // The serials are in the store now, with the documents.
      const committed = accepted.revision === undefined ? {} : { revision, serials: [] };
      const publish = mode === undefined ? {} : { publish: mode };
      if (!this.#isClosed) await this.#steps.adopt({ ...accepted, ...committed, ...publish });
      return proposal;
    });
  }

  /** What would come of other files in the place of those that are watched; nothing changes. */
  tryFiles(paths: readonly string[], allowShrink: boolean): Promise<VersionedOutcome> {
    const options = { paths, isTrial: true, ...(allowShrink ? { allowShrink } : {}) };
    return this.#oneLoad(() => this.#steps.compile(options));
  }

  /** Reloads. A change while a reload is under way leads to one more after it. */
  filesChanged(): void {
    if (this.#isReloadWanted || this.#isClosed) return;
    this.#isReloadWanted = true;
    this.#onChangedAgain?.();
    const again = async (): Promise<void> => {
      await this.#reloading?.catch(() => undefined);
      this.#isReloadWanted = false;
      await this.reload(true);
    };
    again().catch((error: unknown) => {
      this.#isReloadWanted = false;
      if (!this.#isClosed) this.failed(error);
    });
  }

  /** Reloads, because something has changed besides documents. */
  recompile(): void {
    this.#isWholeWanted = true;
    this.filesChanged();
  }

  /** Nothing came of a reload, through no fault of the files. */
  failed(error: unknown): Reload {
    this.errors = [reasonOf(error)];
    this.#logger.error({ revision: this.#steps.revision() }, reasonOf(error));
    return { changed: false, problems: [], errors: this.errors };
  }

  async #oneLoad<Value>(work: () => Promise<Value>): Promise<Value> {
    const before = this.#loading;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#loading = promise;
    try {
      await before;
      return await work();
    } finally {
      this.#haste.end();
      resolve();
    }
  }

  async #reload(mayBeTorn: boolean): Promise<Reload> {
    this.#readAtMs = Date.now();
    if (this.#steps.isCompiled())
      return { changed: false, problems: this.problems, errors: this.errors };
    const isWhole = this.#isWholeWanted;
    this.#isWholeWanted = false;
    const { problems, errors, watched, accepted } = await this.#steps.compile({ isWhole });
    this.#watched = watched;
    this.#watcher.follow(this.#readAtMs);
    if (accepted === undefined && mayBeTorn && (await this.#isBeingWritten()))
      return { changed: false, problems, errors };
    this.#passedOver = 0;
    this.problems = problems;
    this.errors = errors;
    if (accepted === undefined || this.#isClosed) {
      this.#logger.error(
        { errors, problems: problems.length, revision: this.#steps.revision() },
        "Refused the files: the last good revision stays",
      );
      return { changed: false, problems, errors };
    }
    return { changed: await this.#steps.adopt(accepted), problems, errors };
  }

  /** Whether files change once more right after they were refused. Not for ever: there may be somebody who writes nothing but nonsense. */
  async #isBeingWritten(): Promise<boolean> {
    if (!this.#isReloadWanted && !this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, TORN_MS);
      this.#onChangedAgain = resolve;
      await promise;
      clearTimeout(timer);
    }
    this.#passedOver += 1;
    return this.#isReloadWanted && this.#passedOver <= TORN_READS_MAX;
  }
}
