// SPDX-License-Identifier: Apache-2.0

// Rollouts as the store has them: the documents, and beside each how far it is.

import { parseStoreDocument, type RolloutDocument } from "@meridian/model";
import { formatKey, member } from "../documents/document-key.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument, serverMetadataOf } from "../documents/document-text.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { DocumentKey, Write } from "../store/store.ts";
import { isActive, type RolloutRun } from "./rollout-run.ts";

/** A rollout, and how far it is. */
export interface KnownRollout {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly document: RolloutDocument;
  readonly uid: string;
  /** undefined for one that was never started. */
  readonly run: RolloutRun | undefined;
  /** Of the run in the store; 0 where there is none. */
  readonly revision: number;
}

/** Documents and states are values: each is read once. */
const documents = new WeakMap<object, RolloutDocument | undefined>();
const runs = new WeakMap<object, RolloutRun | undefined>();

/** Where the run of a rollout is. */
export function runKey(name: string): DocumentKey {
  return { kind: "RolloutRun", namespace: "", name };
}

/** Every rollout, by name. */
export function rolloutsOf(set: DocumentSet): KnownRollout[] {
  return [...set.ofKind("Rollout")]
    .flatMap((stored): KnownRollout[] => {
      if (!documents.has(stored)) {
        const parsed = parseStoreDocument("Rollout", plainDocument(JSON.parse(stored.text)));
        const isRollout = "document" in parsed && parsed.document.kind === "Rollout";
        documents.set(
          stored,
          isRollout && parsed.document.kind === "Rollout" ? parsed.document : undefined,
        );
      }
      const document = documents.get(stored);
      if (document === undefined) return [];
      const { uid } = serverMetadataOf(stored.text);
      const name = `${stored.key.namespace}/${stored.key.name}`;
      const kept = set.get(runKey(name));
      const run = kept === undefined ? undefined : runOf(kept);
      const revision = kept?.revision ?? 0;
      return [{ name, document, uid, revision, run: run?.uid === uid ? run : undefined }];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Names of runs whose rollout is gone, or is another one by now. */
export function orphansOf(set: DocumentSet): string[] {
  const known = new Set(
    rolloutsOf(set).flatMap(({ name, run }) => (run === undefined ? [] : name)),
  );
  return [...set.ofKind("RolloutRun")].flatMap(({ key }) => (known.has(key.name) ? [] : key.name));
}

/** Throws where a rollout that is under way would become another one: its steps and weights were those of the document that it began with. */
export function refuseRollouts(writes: readonly Write[], set: DocumentSet): void {
  for (const { key, text } of writes) {
    if (key.kind !== "Rollout" || text === undefined) continue;
    const kept = set.get(runKey(`${key.namespace}/${key.name}`));
    const before = set.get(key);
    if (kept === undefined || before === undefined) continue;
    const run = runOf(kept);
    const isSame = specText(before.text) === specText(text);
    if (run === undefined || !isActive(run) || isSame) continue;
    throw new RequestRefusal(
      "DOCUMENT_CONFLICT",
      `Cannot apply ${formatKey(key)}: it is under way (${run.phase}, step ${run.step + 1}), expected one that has ended; meridian rollout abort ends it`,
    );
  }
}

function specText(text: string): string {
  return JSON.stringify(member(JSON.parse(text), "spec"));
}

/** What cannot be read counts as none: then nobody goes on with it. */
function runOf(stored: { readonly text: string }): RolloutRun | undefined {
  if (runs.has(stored)) return runs.get(stored);
  const raw: unknown = JSON.parse(stored.text);
  const run = isRun(raw) ? raw : undefined;
  runs.set(stored, run);
  return run;
}

const phases: ReadonlySet<unknown> = new Set([
  "progressing",
  "waiting",
  "paused",
  "succeeded",
  "aborted",
]);

function isRun(raw: unknown): raw is RolloutRun {
  const areNumbers = ["wave", "step", "weight", "stepSinceMs", "watchSinceMs", "pausedAtMs"].every(
    (name) => typeof member(raw, name) === "number",
  );
  const areTexts = ["uid", "actor", "reason", "waitsFor"].every(
    (name) => typeof member(raw, name) === "string",
  );
  const tallies = member(raw, "tallies");
  return (
    areNumbers &&
    areTexts &&
    phases.has(member(raw, "phase")) &&
    typeof tallies === "object" &&
    tallies !== null
  );
}
