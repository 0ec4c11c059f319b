// SPDX-License-Identifier: Apache-2.0

// What replicas of one store publish is the same. Each compiles the documents of a revision by itself; the leader records the hash of
// what came of it; nobody publishes a revision before it is recorded, nor another than that.
//
//   documents of revision R ─► compile ─► hash ─► recorded by the leader? ─► equal: published
//                                                  │ not yet: wait         └► another: held back, told
//                                                  └ I lead: record it

import { reasonOf } from "@meridian/core";
import { isLater } from "@meridian/snapshot";
import { member } from "../documents/document-key.ts";
import type { CompiledSerial } from "../zone-history.ts";
import type { Logger } from "../embedded-options.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import type { Leadership } from "./leadership.ts";

const NAME = "manifest";
/** A leader that could not record tries again after this. */
const AGAIN_MS = 500;

/** What a replica has compiled and would publish. */
export interface Candidate {
  readonly epoch: number;
  /** Of the documents. */
  readonly revision: number;
  /** Of the manifest. */
  readonly hash: string;
  /** Of zones whose content has no serial in the store yet: without them another replica would compile something else. */
  readonly serials: readonly CompiledSerial[];
}

/** Where this replica stands: `differs` publishes nothing. */
export type Standing = "agrees" | "waits" | "differs";

interface Waiting extends Candidate {
  readonly settle: (isAgreed: boolean) => void;
}

export class PublicationAgreement {
  standing: Standing = "waits";
  readonly #state: StateDocuments;
  readonly #leadership: Leadership;
  readonly #logger: Logger;
  readonly #onStanding: (standing: Standing) => void;
  #waiting: Waiting | undefined;
  #isRecording = false;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(
    state: StateDocuments,
    leadership: Leadership,
    logger: Logger,
    onStanding: (standing: Standing) => void,
  ) {
    this.#state = state;
    this.#leadership = leadership;
    this.#logger = logger;
    this.#onStanding = onStanding;
  }

  /** Resolves to true when it may be published, to false when it is overtaken by another. */
  agree(candidate: Candidate): Promise<boolean> {
    this.#waiting?.settle(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting = { ...candidate, settle: resolve };
    this.look();
    return promise;
  }

  /** To be called whenever the store or the leader has changed. */
  look(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || this.#isClosed) return;
    const recorded = recordedIn(this.#state);
    const isThis = recorded?.epoch === waiting.epoch && recorded.revision === waiting.revision;
    if (isThis && recorded.hash === waiting.hash) {
      this.#waiting = undefined;
      this.#stand("agrees");
      waiting.settle(true);
    } else if (isThis) {
      this.#differ(waiting, recorded.hash);
    } else if (recorded !== undefined && isLater(recorded, waiting)) {
      // Others are ahead: what they have published comes to be compiled here, too.
      this.#waiting = undefined;
      waiting.settle(false);
    } else if (this.#leadership.isLeader && !this.#isRecording) {
      this.#isRecording = true;
      this.#record(waiting)
        .catch((error: unknown) => this.#again(error))
        .finally(() => {
          this.#isRecording = false;
          if (this.#waiting !== waiting) this.look();
        });
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#waiting?.settle(false);
  }

  async #record(candidate: Waiting): Promise<void> {
    const { epoch, revision, hash, serials } = candidate;
    const { lease } = this.#leadership;
    if (lease === undefined) return;
    if (serials.length > 0) {
      // A later revision, which every replica compiles with them.
      await this.#state.write(serialWrites(serials), "serials", {}, lease);
      return;
    }
    const before = this.#state.get("Published", NAME)?.revision ?? 0;
    const text = JSON.stringify({ epoch, revision, hash });
    const write: StateWrite = { kind: "Published", name: NAME, text, ifRevision: before };
    await this.#state.write([write], "publish", { revision, hash }, lease);
    this.look();
  }

  #again(error: unknown): void {
    if (this.#isClosed) return;
    this.#logger.warn({ reason: reasonOf(error) }, "Cannot record what is published yet");
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.look(), AGAIN_MS).unref();
  }

  #differ({ revision, hash }: Candidate, recorded: string): void {
    if (this.standing === "differs") return;
    this.#stand("differs");
    this.#logger.error(
      { revision, hash, recorded },
      "Publishes nothing: the leader has compiled something else of the same documents; compare versions and data sets of both",
    );
  }

  #stand(standing: Standing): void {
    if (standing === this.standing) return;
    this.standing = standing;
    this.#onStanding(standing);
  }
}

/** The documents that keep serials; with the mark that says that what is compiled has changed. */
export function serialWrites(serials: readonly CompiledSerial[]): StateWrite[] {
  return [
    { kind: "CompiledMark", name: "documents", text: "{}" },
    ...serials.map(({ key, contentHash, serial }): StateWrite => {
      const name = Buffer.from(key, "latin1").toString("hex");
      return { kind: "CompiledSerial", name, text: JSON.stringify({ contentHash, serial }) };
    }),
  ];
}

/** The serials that the store has. */
export function serialsIn(state: StateDocuments): CompiledSerial[] {
  return [...state.all("CompiledSerial")].flatMap(({ name, text }) => {
    const raw: unknown = JSON.parse(text);
    const [contentHash, serial] = [member(raw, "contentHash"), member(raw, "serial")];
    return typeof contentHash === "string" && typeof serial === "number"
      ? [{ key: Buffer.from(name, "hex").toString("latin1"), contentHash, serial }]
      : [];
  });
}

function recordedIn(
  state: StateDocuments,
): Pick<Candidate, "epoch" | "revision" | "hash"> | undefined {
  const stored = state.get("Published", NAME);
  if (stored === undefined) return undefined;
  const raw: unknown = JSON.parse(stored.text);
  const [epoch, revision, hash] = [
    member(raw, "epoch"),
    member(raw, "revision"),
    member(raw, "hash"),
  ];
  return typeof epoch === "number" && typeof revision === "number" && typeof hash === "string"
    ? { epoch, revision, hash }
    : undefined;
}
