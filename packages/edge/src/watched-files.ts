// SPDX-License-Identifier: Apache-2.0

import { unwatchFile, watchFile } from "node:fs";

/** How often files are looked at: by their times, which also sees a link that was put in place of another. */
const LOOK_MS = 2000;

/** Calls `onChange` after one of the files was written or replaced; returns what ends it. Keeps no process running. */
export function watchFiles(paths: readonly string[], onChange: () => void): () => void {
  const listener = (): void => onChange();
  for (const path of paths) watchFile(path, { interval: LOOK_MS, persistent: false }, listener);
  return () => {
    for (const path of paths) unwatchFile(path, listener);
  };
}
