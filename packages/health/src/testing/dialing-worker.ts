// SPDX-License-Identifier: Apache-2.0

// A thread that connects to a port in every way there is, says so, and stays until it is ended.

import { parentPort, workerData } from "node:worker_threads";
import { dialers } from "./dialers.ts";

const port: unknown = workerData;
const ways = dialers();
let open = 0;
for (const { dialer } of ways) {
  dialer.dial("127.0.0.1", Number(port), {
    onConnect: () => {
      open++;
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      if (open === ways.length) parentPort?.postMessage("connected");
    },
    onBytes: () => undefined,
    onEnd: () => undefined,
    onError: () => undefined,
  });
}
setInterval(() => undefined, 1000);
