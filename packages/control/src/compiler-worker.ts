// SPDX-License-Identifier: Apache-2.0

/** The entry of the compiler's thread: answers questions one at a time, in order. */

import { parentPort, workerData } from "node:worker_threads";
import { assert } from "@meridian/core";
import type { CompilerAnswer, CompilerQuestion } from "./compiler-thread.ts";
import { FileCompiler, type CompilerFolders } from "./file-compiler.ts";

const data: unknown = workerData;
assert(
  parentPort !== null && isStart(data),
  "The compiler's worker runs only in a thread of CompilerThread",
);
const port = parentPort;
const compiler = new FileCompiler(data);
port.on("message", (question: CompilerQuestion) => {
  const answer: CompilerAnswer = { id: question.id, value: answerTo(question) };
  port.postMessage(answer);
});

function answerTo(question: CompilerQuestion): unknown {
  switch (question.kind) {
    case "load":
      return compiler.load(question.request);
    case "records":
      return compiler.records();
    case "budget":
      return compiler.budget(question.name);
  }
}

function isStart(raw: unknown): raw is CompilerFolders {
  return typeof raw === "object" && raw !== null && "paths" in raw && Array.isArray(raw.paths);
}
