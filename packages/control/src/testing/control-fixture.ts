// SPDX-License-Identifier: Apache-2.0
import { SectionPack, makeManifest, type StoredSlots } from "@meridian/snapshot";
import assert from "node:assert/strict";
import { loadModel, type Model } from "@meridian/model";
import type { WrittenSection } from "@meridian/snapshot/writer";
import { classifierCompiler } from "../data-sets/classifier-compiler.ts";
import { DataSets } from "../data-sets/data-sets.ts";
import { compile, type CompileOptions, type Compiled } from "../compile.ts";
import type { ChangeSet, ProbePlan } from "@meridian/health";
import { manifestSection, type OpenedRevision, type StoredRevision } from "@meridian/snapshot/disk";
import type { Logger, Persistence } from "../embedded-options.ts";

/** The model of YAML documents that are right. */
export function modelOf(text: string): Model {
  const { model, problems } = loadModel([{ path: "model.yaml", bytes: Buffer.from(text) }], {
    now: 0,
  });
  const errors = problems.filter(({ severity }) => severity === "error");
  assert.ok(model !== undefined, errors.map(({ message }) => message).join("\n"));
  return model;
}

export function compileModel(model: Model, options: Partial<CompileOptions> = {}): Compiled {
  return compile(model, { seed: 1, classify: classifierCompiler(new DataSets()), ...options });
}

/** How many sections of `after` are not in `before`. */
export function changedSections(
  before: readonly WrittenSection[],
  after: readonly WrittenSection[],
): number {
  const names = new Set(before.map(({ name }) => name));
  return after.filter(({ name }) => !names.has(name)).length;
}

export const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** Keeps the newest revision in memory, as a state folder would. */
export class MemoryPersistence implements Persistence {
  readonly revisions: StoredRevision[] = [];
  probes: ProbePlan | undefined;

  loadRevision(): OpenedRevision | undefined {
    const newest = this.revisions.at(-1);
    if (newest === undefined) return undefined;
    const { epoch, revision, seed, sections } = newest;
    const pack = SectionPack.make(sections);
    assert.ok("sections" in pack);
    return { manifest: makeManifest(revision, seed, sections.map(manifestSection), epoch), pack };
  }

  saveRevision(revision: StoredRevision): void {
    this.revisions.push(revision);
  }

  loadOverlay(): StoredSlots | undefined {
    return undefined;
  }

  recordChangeSet(_changeSet?: ChangeSet): void {}

  saveProbes(plan: ProbePlan): void {
    this.probes = plan;
  }

  loadProbes(): ProbePlan | undefined {
    return this.probes;
  }

  loadShifts(): [] {
    return [];
  }

  saveShifts(): void {}
}
