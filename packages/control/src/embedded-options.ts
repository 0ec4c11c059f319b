// SPDX-License-Identifier: Apache-2.0

// What the embedded control plane is given, and what it gives.

import type { Clock } from "@meridian/core";
import type {
  ChangeSet,
  DeclaredLatch,
  ProbePlan,
  QuorumSettings,
  Roster,
  TransitionBatch,
} from "@meridian/health";
import type { InputFile, Problem } from "@meridian/model";
import type {
  CarriedSlots,
  Manifest,
  OnSlab,
  SentSection,
  SharedWorld,
  StoredSlots,
} from "@meridian/snapshot";
import type { LinksFile, OpenedRevision, StoredRevision } from "@meridian/snapshot/disk";
import type { HostAddresses } from "./host-state.ts";
import type { RestoredPair } from "./restored-pair.ts";
import type { Candidate } from "./replicas/publication-agreement.ts";
import type { WeightOverride } from "./weights/weight-overrides.ts";
import type { Shift, SwitchedOff } from "./shift-effects.ts";
import type { SecretPlace } from "./secrets/probe-secrets.ts";
import type { SharedShifts } from "./running-shifts.ts";
import type { CompiledSerial } from "./zone-history.ts";

/** What an edge needs to serve a revision. Buffers are shared. */
export interface Publication {
  readonly manifest: Manifest;
  readonly revision: number;
  readonly world: SharedWorld;
  readonly overlay: SharedArrayBuffer;
  readonly slotCount: number;
  /** As who changed the documents wishes; undefined leaves it to what the change does. */
  readonly publish?: PublishMode;
  /** What it brings, where that is little. */
  readonly brought?: BroughtSections;
  /** What of its slots those of the revision before do not give; undefined where that is much. */
  readonly carried?: CarriedFrom;
}

/** Slots as who has those of the revision before works them out. */
export type CarriedFrom = Pick<CarriedSlots, "from" | "changes" | "sequence">;

/** Sections that a revision has and the one before has not, as edges are sent them that have that one. */
export interface BroughtSections {
  /** Hash of the manifest of the revision before. */
  readonly after: string;
  readonly sections: readonly SentSection[];
}

/** To all edges at once, or to a few first, which check it. */
export type PublishMode = "immediate" | "progressive";

/** The edges that this control plane feeds; the application wires it. */
export interface EdgeLink {
  publish(publication: Publication): void;
}

/** Where the compiler keeps revisions by itself. */
export interface SectionFolder {
  /** The state folder. */
  readonly path: string;
  /** Whether there is a file of that section. */
  has(name: string): boolean;
  /** The bytes of a section that the compiler has put there, or why they cannot be read. */
  read(name: string): Promise<SharedArrayBuffer | string>;
}

/** Where revisions, overlay and shifts outlive the process. */
export interface Persistence {
  /** Without one, `saveRevision` is called with each revision. */
  readonly sectionFolder?: SectionFolder;
  /** The newest complete revision, or undefined. */
  loadRevision(onSlab?: OnSlab): OpenedRevision | undefined;
  saveRevision(revision: StoredRevision): void;
  /** What a load of the newest revision need not work out; absent where it always does. */
  readonly links?: Pick<LinksFile, "read" | "keep">;
  /** Slot values by key as they were, stale verdicts already taken as unknown. */
  loadOverlay(): StoredSlots | undefined;
  recordChangeSet(changeSet: ChangeSet): void;
  /** Newest recorded values; absent where change sets are not kept. */
  recordedSlots?(): StoredSlots;
  /** No recorded change set has a greater sequence. */
  lastSequence?(): number;
  /** What is probed, and how load counts: a process that starts without its files goes on judging. */
  saveProbes(plan: ProbePlan): void;
  loadProbes(): ProbePlan | undefined;
  loadShifts(): readonly Shift[];
  saveShifts(shifts: readonly Shift[]): void;
}

export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A failover node that holds a latch, and the tier that is active. */
export interface LatchPosition {
  /** `NAMESPACE/POLICY/NODE`. */
  readonly name: string;
  /** From 1. */
  readonly tier: number;
  /** Its part of the document. */
  readonly declared: string;
}

/** How controls of one store come to publish the same; without it a control counts its own revisions. */
export interface SharedPublication extends SharedShifts {
  /** Revision of the stored documents, as they are now. */
  contentRevision(): number;
  serials(): readonly CompiledSerial[];
  /** What host names resolve to, for all controls. */
  hosts(): ReadonlyMap<string, HostAddresses>;
  /** This control sees host names resolve to something else. */
  hostsChanged(seen: ReadonlyMap<string, HostAddresses>): void;
  /** What is recorded of a latch that is declared like this; only the leader lets one return to an earlier tier. */
  latch(node: string, declared: string): Pick<DeclaredLatch, "recorded" | "isDownOnly">;
  /** These latches are at these tiers here. */
  latchesMoved(latches: readonly LatchPosition[]): void;
  /** Records that a node is at its first tier, for all controls. */
  failback(latch: LatchPosition): Promise<void>;
  /** Resolves to true when it may be published, to false when it never will. */
  agree(candidate: Candidate): Promise<boolean>;
}

export interface EmbeddedOptions {
  /** Files and folders of documents. */
  readonly files: readonly string[];
  /** Documents of the store that are served beside the files. */
  readonly stored?: () => readonly InputFile[];
  /** Of the store; the first one where left out. */
  readonly epoch?: () => number;
  readonly shared?: SharedPublication;
  readonly edge: EdgeLink;
  readonly logger: Logger;
  readonly persistence: Persistence;
  /** Where built location maps outlive the process; without it they are built at each start. */
  readonly mapsFolder?: string;
  /** Where latencies reported from outside are kept (LatencySamples). */
  readonly latencyFolder?: string;
  /** Name servers that host names of members are asked of; the system's unless given. */
  readonly nameServers?: readonly string[];
  readonly probing: boolean;
  /** Where secrets of checks and of zones are; nothing that needs one is probed or signed without it. */
  readonly secrets?: SecretPlace;
  /** By reference, all that are wanted and here, when one of them has changed. */
  readonly onSecrets?: (secrets: ReadonlyMap<string, string>) => void;
  /** Routing controls that are Off; `Embedded.followShifts()` has them looked at again. */
  readonly switchedOff?: () => readonly SwitchedOff[];
  /** What panels with fenced hand-over govern. */
  readonly fencedTargets?: () => readonly string[];
  /** Weights that branches have in place of their documents'; `Embedded.followWeights()` has them looked at again. */
  readonly weights?: () => readonly WeightOverride[];
  /** Accept files that no longer declare anything. */
  readonly allowEmpty: boolean;
  readonly vantage: string;
  readonly clock?: Clock;
  /** What the state folder held, where that is answered from already; it is read by `restore()` where this is left out. */
  readonly restored?: { readonly pair: RestoredPair | undefined };
  /** Told of memory that sections will lie in, before it is touched. */
  readonly onSlab?: OnSlab;
  /** Every published change set, in order. */
  readonly onChangeSet?: (changeSet: ChangeSet) => void;
  readonly onTransitions?: (batch: TransitionBatch) => void;
  /** Other vantages report to this process; it judges alone where absent. */
  readonly quorum?: () => QuorumSettings;
  readonly onRoster?: (roster: Roster) => void;
  /** What this process says as a vantage, for other controls. */
  readonly onReport?: (payload: Uint8Array) => void;
  /** Revisions that edges serve or are sent: nothing of them is cleaned up. */
  readonly servedByEdges?: () => readonly number[];
  /** What is probed has changed, and is in the state folder. */
  readonly onPlanKept?: () => void;
}

/** What came of reading the files. */
export interface Reload {
  readonly changed: boolean;
  readonly problems: readonly Problem[];
  readonly errors: readonly string[];
}
