// SPDX-License-Identifier: Apache-2.0

// The thread that signs ahead (ahead-signer.ts): at the least weight, so that answers never wait for it.

import { setPriority } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { assert } from "@meridian/core";
import type { SnapshotMessage } from "../handler.ts";
import { AheadSigner } from "./ahead-signer.ts";
import type { SigningMessage } from "./signed-answers.ts";

const NICE = 19;
/** How often it is looked whether the overlay has changed. */
const IDLE_MS = 20;

assert(parentPort !== null, "The module runs only in a worker of EdgeSigning");
// 0 is the calling thread on Linux, and the whole process elsewhere.
if (process.platform === "linux") setPriority(0, NICE);
const signer = new AheadSigner(Date.now);
parentPort.on("message", (message: SnapshotMessage | SigningMessage) => {
  if (message.kind === "snapshot") signer.serve(message);
  else signer.sign(message);
});
for (;;) await pause(signer.step() ? 0 : IDLE_MS);
