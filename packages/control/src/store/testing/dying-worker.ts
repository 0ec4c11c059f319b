// SPDX-License-Identifier: Apache-2.0

/** A store's thread that ends at once when it is asked to verify, and is as any other until then. */

import { parentPort } from "node:worker_threads";
import type { BackendQuestion } from "../backend-thread.ts";

parentPort?.on("message", ({ method }: BackendQuestion) => {
  if (method === "verify") process.exit(1);
});
await import("../store-worker.ts");
