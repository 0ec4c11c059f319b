// SPDX-License-Identifier: Apache-2.0

// A process that takes a state folder at a given moment when told to, and says whether it got it.

import { StateDir } from "./state-dir.ts";

process.on("message", (message: { readonly path: string; readonly at: number }) => {
  const directory = new StateDir(message.path);
  while (Date.now() < message.at);
  let isTaken = true;
  try {
    directory.lock();
  } catch {
    isTaken = false;
  }
  process.send?.(isTaken);
});
process.send?.(true);
