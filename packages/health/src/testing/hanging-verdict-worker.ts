// SPDX-License-Identifier: Apache-2.0

// The verdict thread, but that it does nothing any more once it was asked to fail the node "hang" back.

import { parentPort } from "node:worker_threads";
import type { VerdictCommand } from "../verdict-messages.ts";

await import("../verdict-worker.ts");
parentPort?.on("message", (command: VerdictCommand) => {
  if (command.kind !== "question" || command.question.kind !== "failback") return;
  while (command.question.node === "hang");
});
