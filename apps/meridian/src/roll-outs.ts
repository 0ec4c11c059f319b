// SPDX-License-Identifier: Apache-2.0

// How revisions come to edges: at once, or to a few first; and what takes one back that these find bad. What all edges were sent last outlives
// the process, and what edges find counts for every control of a store: a revision that is being checked is checked on, whoever is started anew.

import { reasonOf } from "@meridian/core";
import {
  SettledFile,
  SharedRollOut,
  storedPublication,
  type ControlReplica,
  type DiskPersistence,
  type DocumentService,
  type EdgeGateway,
  type Embedded,
  type Logger,
  type Publication,
  type RevisionId,
  type RollOutWord,
  type Settled,
  type Staging,
  type StateDocuments,
} from "@meridian/control";
import { answersDigest } from "@meridian/edge";
import { World, type Manifest } from "@meridian/snapshot";
import { isLarge } from "./change-assessment.ts";

/** After this it is written down what all edges were sent last. */
const KEEP_MS = 300;

export interface RollOutsOptions {
  readonly stateFolder: string;
  readonly persistence: DiskPersistence;
  readonly embedded: Embedded;
  readonly documents: DocumentService;
  readonly state: StateDocuments;
  /** Among the controls of a shared store. */
  readonly replica: ControlReplica | undefined;
  readonly gateway: () => EdgeGateway | undefined;
  readonly logger: Logger;
}

export class RollOuts {
  readonly #options: RollOutsOptions;
  readonly #file: SettledFile;
  readonly #shared: SharedRollOut | undefined;
  #current: { readonly publication: Publication; readonly isStaged: boolean } | undefined;
  /** What all edges were sent last. */
  #settled: Publication | undefined;
  /** Writes that down. */
  #keeping: NodeJS.Timeout | undefined;

  constructor(options: RollOutsOptions) {
    this.#options = options;
    this.#file = new SettledFile(options.stateFolder);
    if (options.replica !== undefined)
      this.#shared = new SharedRollOut(options.state, options.logger);
  }

  close(): void {
    if (this.#keeping !== undefined) this.#keep(this.#settled?.manifest, undefined);
    this.#shared?.close();
  }

  /** Sends a revision to edges, as far as they may have it. */
  publish(publication: Publication, gateway: EdgeGateway): void {
    const isFirst = this.#current === undefined;
    const stored = isFirst ? this.#restore(publication.manifest) : undefined;
    const isStaged = this.#isStaged(publication, { isFirst, gateway, stored });
    this.#current = { publication, isStaged };
    if (isStaged) {
      this.#keep(this.#settled?.manifest ?? stored, publication.manifest);
      this.#tell(publication, "checking");
    }
    gateway.publish(publication, isStaged ? this.#staging(publication, isFirst) : undefined);
    this.look();
  }

  /** Revisions that edges serve, are sent, or would be sent after a restart. */
  get servedRevisions(): readonly number[] {
    const served = this.#options.gateway()?.servedRevisions ?? [];
    return [...served, ...[this.#settled?.revision].filter((revision) => revision !== undefined)];
  }

  /** All edges are sent this. */
  settled(revision: number): void {
    const { publication, isStaged = false } = this.#current ?? {};
    if (publication?.revision !== revision) return;
    this.#settled = publication;
    this.#options.documents.settled();
    this.#keepSoon(publication.manifest);
    if (isStaged) this.#tell(publication, "good");
  }

  /** Edges found a revision bad: what was before is served again, as a new one. */
  halted(revision: number, reason: string): void {
    const { publication } = this.#current ?? {};
    if (publication?.revision !== revision) return;
    this.#options.logger.error({ revision, reason }, "A revision is taken back");
    this.#tell(publication, "halted", reason);
    this.#takeBack(revision, reason).catch((error: unknown) =>
      this.#options.logger.error({ revision, reason: reasonOf(error) }, "Cannot take it back"),
    );
  }

  /** Other controls may have found something. */
  look(): void {
    const { publication } = this.#current ?? {};
    if (publication === undefined) return;
    const word = this.#shared?.wordOn(publication.manifest);
    if (word === undefined || word.state === "checking") return;
    this.#options.gateway()?.decide(word.revision, word.reason);
  }

  #isStaged(publication: Publication, { isFirst, gateway, stored }: Moment): boolean {
    const { manifest } = publication;
    const before = this.#settled;
    const settled = before?.manifest ?? stored;
    // Who was asked for the change, and published it at once, knows without looking.
    const publish =
      publication.publish ?? this.#shared?.wishOn(manifest, revisionIn(settled, manifest));
    if (publish === "immediate" || isSame(stored, manifest)) return false;
    const word = this.#shared?.wordOn(manifest);
    if (word?.state === "good") return false;
    if (word !== undefined || isSame(stored?.staged, manifest)) return true;
    // Edges of a control that was started anew, or of another one, may still come; else there is nobody to be asked, nor to be harmed.
    const mayCome = isFirst || this.#shared !== undefined || gateway.hasEdges;
    if (!mayCome || before === undefined) return false;
    return publish === "progressive" || isLarge(before, publication);
  }

  #staging({ world }: Publication, isFirst: boolean): Staging {
    const hasEdges = this.#options.gateway()?.hasEdges === true;
    const digestOf = (withheld: readonly string[]): string =>
      answersDigest(World.open(world, withheld));
    return { digestOf, before: this.#settled, gathers: isFirst || !hasEdges };
  }

  /** What edges were sent before this process. */
  #restore(manifest: Manifest): Settled | undefined {
    const stored = this.#file.read();
    if (stored === undefined || isSame(stored, manifest)) return stored;
    const { persistence, documents, logger } = this.#options;
    const publication = storedPublication(persistence.store, stored, persistence.recordedSlots());
    if (typeof publication === "string")
      logger.warn({ reason: publication }, "Cannot send edges what they were sent before");
    else this.#settled = publication;
    documents.resumeUnsettled(stored.documents);
    return stored;
  }

  /** To replace a file may take ten milliseconds of the disk, and until it is replaced a start checks once too often at most. */
  #keepSoon(settled: RevisionId): void {
    clearTimeout(this.#keeping);
    this.#keeping = setTimeout(() => this.#keep(settled, undefined), KEEP_MS).unref();
  }

  #keep(settled: RevisionId | undefined, staged: RevisionId | undefined): void {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    if (settled === undefined) return;
    const { documents, logger } = this.#options;
    try {
      this.#file.write({
        epoch: settled.epoch,
        revision: settled.revision,
        documents: documents.unsettled ?? documents.documents.revision,
        ...(staged === undefined
          ? {}
          : { staged: { epoch: staged.epoch, revision: staged.revision } }),
      });
    } catch (error) {
      logger.error(
        { reason: reasonOf(error) },
        "Cannot keep in the state folder what all edges were sent",
      );
    }
  }

  #tell({ manifest }: Publication, state: RollOutWord["state"], reason?: string): void {
    const { epoch, revision } = manifest;
    this.#shared?.tell({ epoch, revision, state, ...(reason === undefined ? {} : { reason }) });
  }

  async #takeBack(revision: number, reason: string): Promise<void> {
    const { embedded, documents } = this.#options;
    const settled = this.#settled?.manifest;
    const seen = documents.documents.contentRevision;
    // Of several controls, revisions are those of the documents.
    const before = this.#shared === undefined ? documents.unsettled : settled?.revision;
    if (!(await embedded.withdraw(revision, reason, settled?.sections))) return;
    // Files did it, or it is not known what there was.
    if (before === undefined || before >= seen) return;
    await documents.undo(before, seen, `edges found it bad: ${reason}`);
  }
}

interface Moment {
  /** This process has sent edges nothing yet. */
  readonly isFirst: boolean;
  readonly gateway: EdgeGateway;
  /** What a process before this one has left. */
  readonly stored: Settled | undefined;
}

function isSame(a: RevisionId | undefined, b: RevisionId): boolean {
  return a?.epoch === b.epoch && a.revision === b.revision;
}

/** The revision of `settled` where it is of the same epoch as another; before all of those else. */
function revisionIn(settled: RevisionId | undefined, { epoch }: RevisionId): number {
  return settled?.epoch === epoch ? settled.revision : 0;
}
