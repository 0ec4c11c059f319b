// SPDX-License-Identifier: Apache-2.0

// A load of the files: what is asked of the compiler and what it answers. Plain data, as it goes from process to process.

import type { InputFile, Problem } from "@meridian/model";
import type { ManifestSection } from "@meridian/snapshot";
import type { SectionSource } from "@meridian/snapshot/disk";
import type { ResolvedMember } from "./compile-addresses.ts";
import type { CompileProblem } from "./compile.ts";
import type { ZoneClaim } from "./documents/zone-claims.ts";
import type { FileChanges } from "./planned-files.ts";
import type { HeldParts, PartsChange } from "./served-model.ts";
import type { SetSize } from "./shrinking.ts";
import type { CompiledSerial } from "./zone-history.ts";

/** Where the compiler reads from and writes to. */
export interface CompilerFolders {
  /** Files and folders of documents. */
  readonly paths: readonly string[];
  /** Keeps built location maps over restarts. */
  readonly mapsFolder?: string | undefined;
  /** Keeps latencies reported from outside. */
  readonly latencyFolder?: string | undefined;
  /** The state folder, for sections and manifests; without it sections travel with the answer. */
  readonly snapshotFolder?: string | undefined;
}

/** What one load is about. */
export interface LoadRequest {
  readonly nowMs: number;
  /** Seed of the name hashes. */
  readonly seed: number;
  /** What is published now: serials go on from it, and zones that cannot be compiled keep theirs. */
  readonly published: readonly ManifestSection[];
  readonly serialBase: number;
  /** Serials that count instead of those of what is published, where several controls have to compile the same. */
  readonly serials?: readonly CompiledSerial[] | undefined;
  /** Zones, pools and policies that are served now; files that declare nothing are refused then, unless `allowEmpty`. */
  readonly servedCount: number;
  readonly allowEmpty: boolean;
  /** How large what is served is: what is much smaller is refused; anything goes where left out. */
  readonly servedSize?: SetSize | undefined;
  /** Of the paths that were given, those that had files when they were last good and may not lose all of them. */
  readonly filled?: readonly string[];
  /** Only to see what comes of it: what is known of the documents stays as it was. */
  readonly isTrial: boolean;
  /** Files and folders in the place of those that are watched; of a trial alone. */
  readonly paths?: readonly string[];
  /** Documents of the store, as files of lines: they are read after those on disk. */
  readonly stored: readonly InputFile[];
  /** Why ICMP checks cannot be had; undefined where they can. */
  readonly icmpUnavailable: string | undefined;
  /** What the asker holds of the model; undefined where it holds nothing. */
  readonly held: HeldParts | undefined;
  /** Something has changed besides the documents: nothing is compiled from what was compiled before. */
  readonly isWhole?: boolean;
}

/** What came of a load: problems always, the rest only where the files are good. */
export interface LoadOutcome {
  /** Of the paths that were given, those with files. */
  readonly filled?: readonly string[];
  readonly problems: readonly Problem[];
  readonly errors: readonly string[];
  /** Why it is refused for leaving too little, as the end of a sentence. */
  readonly shrinking?: string;
  /** Every file that was read, and where files were looked for. */
  readonly watched: readonly string[];
  readonly accepted?: AcceptedLoad;
  /** What of the documents changes, where other files were given. */
  readonly fileChanges?: FileChanges;
}

/** A section, in the state folder, with its bytes, or with what makes it of one that was published: the reader has found it good. */
export interface CompiledSection extends ManifestSection {
  readonly content?: Uint8Array;
  readonly source?: SectionSource;
}

export interface AcceptedLoad {
  readonly parts: PartsChange;
  /** Without resolved addresses: those belong to the running system. */
  readonly sections: readonly CompiledSection[];
  readonly zoneProblems: readonly CompileProblem[];
  /** Zones that lie within another namespace's. */
  readonly claims: readonly ZoneClaim[];
  /** Endpoints whose host names are answered by address. */
  readonly resolvedMembers: readonly ResolvedMember[];
  /** Host names that members have for an address, and those that branches name. */
  readonly hostNames: readonly string[];
  /** Where serials were given: those that are new. */
  readonly serials: readonly CompiledSerial[];
}
