// SPDX-License-Identifier: Apache-2.0

// A change that may leave much less is allowed once, by who makes it. Where the process ends after it was committed and before it was served, the next
// one compiles it anew, and nobody is there to allow it: so the id of the change set is in the state folder from before it is committed
// until it is served. The store says whether it was.

import { readFileSync, rmSync } from "node:fs";
import { writeDurably } from "@meridian/snapshot/disk";

const ID_LENGTH_MAX = 200;

export class ShrinkAllowance {
  readonly #path: string;
  #isKept = true;

  constructor(path: string) {
    this.#path = path;
  }

  /** The change set with this id may leave much less. Durable when it returns. */
  keep(id: string): void {
    this.#isKept = true;
    writeDurably(this.#path, id);
  }

  /** The id that was kept last; undefined where what it allowed is served. */
  get id(): string | undefined {
    try {
      return readFileSync(this.#path, "utf8").slice(0, ID_LENGTH_MAX);
    } catch {
      return undefined;
    }
  }

  clear(): void {
    if (!this.#isKept) return;
    rmSync(this.#path, { force: true });
    this.#isKept = false;
  }
}
