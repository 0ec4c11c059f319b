// SPDX-License-Identifier: Apache-2.0

/** The entry of the compiler's process: answers questions one at a time, in order, and ends with the process that asks them. */

import { constants, getPriority, setPriority } from "node:os";
import { assert } from "@meridian/core";
import type { CompilerAnswer, CompilerQuestion, SentFile } from "./compiler-process.ts";
import { RevisionRehearsal } from "@meridian/health";
import { FileCompiler } from "./file-compiler.ts";
import type { CompilerFolders } from "./file-load.ts";
import { reasonOf } from "@meridian/core";
import type { InputFile } from "@meridian/model";

/** How long after a revision what it has made superfluous is removed. */
const PRUNE_MS = 2000;
/** The same of what was tried: who asked has read it by then. */
const TRIED_MS = 30_000;
/** Most of the time for which a large section is there as what makes it alone: a start has to put it together. */
const WHOLE_MS_MAX = 10_000;
/** Where changes follow each other faster than that, it is removed with one revision in so many: of a million names that takes 100 ms. */
const KEPT_MAX = 100;
/** What was compiled in haste is kept within this, or the time that others leave is taken. */
const HASTE_MS_MAX = 200;

const start: unknown = JSON.parse(process.env["MERIDIAN_COMPILER"] ?? "null");
assert(
  process.send !== undefined && isStart(start),
  "The compiler's entry runs only as a process of CompilerProcess",
);
/** Stored documents of the last question that had any. */
let stored: ReadonlyMap<string, InputFile> = new Map();
const parent = process.ppid;
/** The question that is being answered wants answers to come first. */
let isYielding = false;
/** Revisions since something was removed. */
let keptCount = 0;
let pruneTimer: NodeJS.Timeout | undefined;
let wholeTimer: NodeJS.Timeout | undefined;
let hasteTimer: NodeJS.Timeout | undefined;
let hasLearned = false;
const compiler = new FileCompiler(
  start,
  () => {
    // Long work notices here that nobody waits for it, and that another process may hold the state folder by now.
    if (process.ppid !== parent) process.exit(1);
  },
  () => {
    if (isYielding) setNice(constants.priority.PRIORITY_LOW);
  },
);
/** What compiles small changes runs before the first of them comes: V8 compiles it while nobody waits. */
const rehearsal = new RevisionRehearsal({
  rehearse,
  // Whatever is wrong with it is told with the first change that somebody makes.
  onFailed: () => {},
});
process.on("disconnect", () => process.exit(0));
// A terminal sends its signals to the whole group: the process that asks decides when this one ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("message", (question: CompilerQuestion) => {
  ({ isYielding } = question);
  if (question.nice < 0) setNice(question.nice);
  const answer = answerTo(question);
  const isWrite = question.kind === "keep" || question.kind === "probes";
  const isBroken = "failure" in answer && !isWrite;
  // A full disk leaves all as it was; a fault of this program, anything: the next question finds a process without a past.
  process.send?.(answer, undefined, undefined, () => {
    if (isBroken) process.exit(1);
  });
  // After the answer: for the disk only who keeps a revision waits.
  if (question.kind === "load") {
    clearTimeout(pruneTimer);
    if (question.request.isTrial) pruneTimer = setTimeout(prune, TRIED_MS);
    compiler.sections.settle();
  }
  if (question.kind === "keep") {
    pruneSoon();
    makeWholeSoon();
  }
  // Of a revision that is waited for, the next question has it kept: who gives way before that hears it tens of milliseconds later.
  clearTimeout(hasteTimer);
  if (question.kind === "load" && question.nice < 0) hasteTimer = setTimeout(giveWay, HASTE_MS_MAX);
  else giveWay();
  if (compiler.isLoaded) rehearsal.follow();
});

/** For a small change, which takes some tens of milliseconds: under load those of the least priority are some hundreds. */
function giveWay(): void {
  setNice(Math.max(constants.priority.PRIORITY_NORMAL, getPriority(parent)));
}

/**
 * Nobody waits for what is no longer needed to be gone, and edges take the revision now, perhaps on this machine. What was compiled since
 * is kept first.
 */
function pruneSoon(): void {
  clearTimeout(pruneTimer);
  keptCount += 1;
  if (keptCount >= KEPT_MAX) prune();
  else pruneTimer = setTimeout(prune, PRUNE_MS);
}

function prune(): void {
  keptCount = 0;
  makeWhole();
  compiler.sections.prune();
}

function makeWholeSoon(): void {
  if (compiler.sections.hasDeltas) wholeTimer ??= setTimeout(makeWhole, WHOLE_MS_MAX);
}

function makeWhole(): void {
  clearTimeout(wholeTimer);
  wholeTimer = undefined;
  void compiler.sections.makeWhole();
}

function rehearse(): boolean {
  if (!hasLearned) void compiler.sections.learn();
  hasLearned = true;
  try {
    compiler.rehearse();
  } finally {
    // Its files may have been many, which are read with the least priority.
    giveWay();
  }
  return true;
}

/** Of this thread; on Linux, those that help it keep theirs. */
function setNice(nice: number): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(0, nice);
  } catch {
    // Who may not raise it again (RLIMIT_NICE) has small changes wait.
  }
}

function answerTo(question: CompilerQuestion): CompilerAnswer {
  const { id } = question;
  try {
    return { id, value: valueOf(question) };
  } catch (error) {
    return { id, failure: reasonOf(error) };
  }
}

function valueOf(question: CompilerQuestion): unknown {
  switch (question.kind) {
    case "load":
      return compiler.load({ ...question.request, stored: received(question.stored) });
    case "keep":
      return compiler.sections.keep(question.kept);
    case "probes":
      return compiler.saveProbes(question.hosts);
    case "records":
      return compiler.records(question.request, question.nowMs, received(question.stored));
    case "zone":
      return compiler.zone(
        question.origin,
        question.names,
        question.nowMs,
        received(question.stored),
      );
    case "document":
      return compiler.document(question.key, question.nowMs, received(question.stored));
  }
}

/** The files of a question: those that came without bytes are those of the question before. */
function received(sent: readonly SentFile[]): InputFile[] {
  const files = sent.map(({ path, version, bytes }): InputFile => {
    const found = bytes ?? stored.get(path)?.bytes;
    assert(found !== undefined, "a file without bytes was sent before");
    return { path, version, bytes: found };
  });
  stored = new Map(files.map((file) => [file.path, file]));
  return files;
}

function isStart(raw: unknown): raw is CompilerFolders {
  return typeof raw === "object" && raw !== null && "paths" in raw && Array.isArray(raw.paths);
}
