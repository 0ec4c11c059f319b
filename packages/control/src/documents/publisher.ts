// SPDX-License-Identifier: Apache-2.0

// What tries a change of documents and serves it: the seam between the store's documents and what is compiled of them.

import type { InputFile, Problem } from "@meridian/model";
import type { VersionedLoad } from "../adopted-model.ts";
import type { PublishMode } from "../embedded-options.ts";
import type { DocumentKey, Write } from "../store/store.ts";
import type { ZoneClaim } from "./zone-claims.ts";

/** What came of compiling files and documents together. */
export interface Proposal {
  readonly isAccepted: boolean;
  readonly problems: readonly Problem[];
  /** Sentences about files. */
  readonly errors: readonly string[];
  readonly claims: readonly ZoneClaim[];
  /** What is to be committed with the documents, so that every control of the store compiles the same. */
  readonly state: readonly Write[];
  /** Why it is refused for leaving too little, as the end of a sentence. */
  readonly shrinking?: string | undefined;
  /** What would be served, of one that is only tried. */
  readonly trial?: VersionedLoad | undefined;
}

/** How a proposal is taken. */
export interface ProposalOptions {
  readonly publish?: PublishMode | undefined;
  /** It may leave much less than is served. */
  readonly allowShrink?: boolean | undefined;
}

/** What tries a change and serves it. */
export interface Publisher {
  /** Snapshot that is served, or will be when other controls agree. */
  readonly newestRevision: number;
  /**
   * Compiles the files on disk and `documents`. Where they are accepted, `commit` makes them durable at the revision it resolves to, and what was compiled is served;
   * without `commit`, or where it throws, nothing changes.
   */
  propose(
    documents: readonly InputFile[],
    commit: ((proposal: Proposal) => Promise<number>) | undefined,
    options?: ProposalOptions,
  ): Promise<Proposal>;
  /** The document of a file, where one has the key. */
  documentOfFile(key: DocumentKey): Promise<FileDocument | undefined>;
}

export interface FileDocument {
  readonly document: object;
  readonly file: string;
  readonly line: number;
}
