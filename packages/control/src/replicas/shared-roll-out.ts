// SPDX-License-Identifier: Apache-2.0

// What controls of one store know of how revisions go to edges. How a change is to go is committed with it, so that nobody sees the one without the
// other. What edges find of the revision that goes to some of them first is told as it is found: each control asks edges of its own; the first word
// counts for all of them, those included that were started anew or have no edges.

import { reasonOf } from "@meridian/core";
import { isLater, type Manifest } from "@meridian/snapshot";
import { member } from "../documents/document-key.ts";
import type { Logger, PublishMode } from "../embedded-options.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";

const NAME = "manifest";
const WISH = "wish";
/** A word that could not be written is tried again after this. */
const AGAIN_MS = 500;

const states = ["checking", "good", "halted"] as const;

/** How a revision stands that goes to some edges first. */
export interface RollOutWord extends Pick<Manifest, "epoch" | "revision"> {
  readonly state: (typeof states)[number];
  /** Why it was halted. */
  readonly reason?: string | undefined;
}

export class SharedRollOut {
  readonly #state: StateDocuments;
  readonly #logger: Logger;
  #waiting: RollOutWord | undefined;
  #isWriting = false;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(state: StateDocuments, logger: Logger) {
    this.#state = state;
    this.#logger = logger;
  }

  /** What some control has found of this revision; undefined where none has yet. */
  wordOn({ epoch, revision }: Pick<Manifest, "epoch" | "revision">): RollOutWord | undefined {
    const word = this.#read();
    return word?.epoch === epoch && word.revision === revision ? word : undefined;
  }

  /**
   * How who made a change wished that it goes to edges: of the newest wish, where a revision brings it to edges that had all of `settled` before.
   * Undefined where nobody said so.
   */
  wishOn({ revision }: Pick<Manifest, "revision">, settled: number): PublishMode | undefined {
    const stored = this.#state.get("RollOut", WISH);
    if (stored === undefined) return undefined;
    const wish = member(JSON.parse(stored.text), "publish");
    // What came with a later change is not waved through by a wish for an earlier one.
    if (wish === "immediate") return stored.revision === revision ? wish : undefined;
    const isNew = settled < stored.revision && stored.revision <= revision;
    return isNew && wish === "progressive" ? wish : undefined;
  }

  /** This control has found something: it is told the others, as soon as the store can be written. */
  tell(word: RollOutWord): void {
    this.#waiting = word;
    this.#write();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
  }

  #write(): void {
    const word = this.#waiting;
    const before = this.#read();
    if (word === undefined || this.#isWriting || this.#isClosed) return;
    // Somebody was first, or is ahead.
    const isNews = before === undefined || isLater(word, before) || isFinding(word, before);
    if (!isNews) {
      this.#waiting = undefined;
      return;
    }
    this.#isWriting = true;
    const { epoch, revision, state, reason } = word;
    const ifRevision = this.#state.get("RollOut", NAME)?.revision ?? 0;
    const about = { epoch, revision, state, ...(reason === undefined ? {} : { reason }) };
    const write = { kind: "RollOut", name: NAME, text: JSON.stringify(about), ifRevision } as const;
    this.#state
      .write([write], "stage", about)
      .then(() => this.#written())
      .catch((error: unknown) => this.#again(error));
  }

  #written(): void {
    this.#isWriting = false;
    this.#write();
  }

  #again(error: unknown): void {
    this.#isWriting = false;
    if (this.#isClosed) return;
    this.#logger.warn({ reason: reasonOf(error) }, "Cannot tell other controls what edges found");
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#write(), AGAIN_MS).unref();
  }

  #read(): RollOutWord | undefined {
    const stored = this.#state.get("RollOut", NAME);
    if (stored === undefined) return undefined;
    const raw: unknown = JSON.parse(stored.text);
    const [epoch, revision] = [member(raw, "epoch"), member(raw, "revision")];
    const [state, reason] = [member(raw, "state"), member(raw, "reason")];
    const found = states.find((each) => each === state);
    if (typeof epoch !== "number" || typeof revision !== "number") return undefined;
    if (found === undefined) return undefined;
    return { epoch, revision, state: found, ...(typeof reason === "string" ? { reason } : {}) };
  }
}

function isFinding(word: RollOutWord, before: RollOutWord): boolean {
  return before.state === "checking" && word.state !== "checking" && !isLater(before, word);
}

/** What is committed with a change that is to go to edges like this. */
export function wishWrites(publish: PublishMode | undefined): StateWrite[] {
  return publish === undefined
    ? []
    : [{ kind: "RollOut", name: WISH, text: JSON.stringify({ publish }) }];
}
