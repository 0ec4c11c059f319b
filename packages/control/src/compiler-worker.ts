// SPDX-License-Identifier: Apache-2.0

/** The entry of the compiler's thread: answers questions one at a time, in order. */

import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "@meridian/core";
import type { CompilerAnswer, CompilerQuestion } from "./compiler-thread.ts";
import { FileCompiler, type CompilerFolders } from "./file-compiler.ts";

const COMPILER_NICE = 10;

const data: unknown = workerData;
assert(
  parentPort !== null && isStart(data),
  "The compiler's worker runs only in a thread of CompilerThread",
);
const port = parentPort;
yieldToAnswers();
const compiler = new FileCompiler(data);
port.on("message", (question: CompilerQuestion) => {
  const answer: CompilerAnswer = { id: question.id, value: answerTo(question) };
  port.postMessage(answer);
});

/**
 * Where answers need the core, they come first: a compiler that shares one core with an edge at 70 % of its load took half of it and
 * made queries overflow their queue at each reload. It still gets a tenth, so a change is late then, not lost. On Linux a
 * priority is the calling thread's; elsewhere it would be the whole process's, and is left alone.
 */
function yieldToAnswers(): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(0, COMPILER_NICE);
  } catch {
    // A sandbox may forbid it: slower reloads under load are no reason not to serve.
  }
}

function answerTo(question: CompilerQuestion): unknown {
  switch (question.kind) {
    case "load":
      return compiler.load(question.request);
    case "records":
      return compiler.records(question.request);
    case "budget":
      return compiler.budget(question.name);
  }
}

function isStart(raw: unknown): raw is CompilerFolders {
  return typeof raw === "object" && raw !== null && "paths" in raw && Array.isArray(raw.paths);
}
