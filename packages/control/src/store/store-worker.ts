// SPDX-License-Identifier: Apache-2.0

/** The entry of a store's thread: opens the back end and answers what BackendThread asks, each question as soon as it can. */

import { parentPort, workerData } from "node:worker_threads";
import { assert, MeridianError } from "@meridian/core";
import type {
  BackendAnswer,
  BackendFailure,
  BackendQuestion,
  BackendStart,
} from "./backend-thread.ts";
import { openBackend } from "./open-backend.ts";
import type { StoreBackend } from "./store-backend.ts";

const start: unknown = workerData;
assert(
  parentPort !== null && isStart(start),
  "The store's worker runs only in a thread of BackendThread",
);
const port = parentPort;
const say = (answer: BackendAnswer): void => port.postMessage(answer);

try {
  const backend = await openBackend(start.location, (message) => say({ kind: "report", message }));
  port.on("message", (question: BackendQuestion) => void answer(backend, question));
  say({ kind: "opened" });
} catch (error) {
  say({ kind: "notOpened", failure: failureOf(error) });
}

async function answer(
  backend: StoreBackend,
  { id, method, parameters }: BackendQuestion,
): Promise<void> {
  try {
    const value: unknown = await Reflect.apply(backend[method], backend, parameters);
    say({ kind: "value", id, value });
  } catch (error) {
    say({ kind: "failure", id, failure: failureOf(error) });
  }
}

function failureOf(error: unknown): BackendFailure {
  if (error instanceof MeridianError)
    return { code: error.code, causedBy: error.causedBy, message: error.message };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: undefined, causedBy: "system", message };
}

function isStart(raw: unknown): raw is BackendStart {
  return typeof raw === "object" && raw !== null && "location" in raw;
}
