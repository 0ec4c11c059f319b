// SPDX-License-Identifier: Apache-2.0

// What is probed, as vantages fetch it: the file in the state folder, named by its content. It is read when somebody asks for it.

import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { PlanSection } from "@meridian/snapshot";
import { probePlanPath } from "../probe-plan-file.ts";

export class PlanSectionFile {
  readonly #path: string;
  #section: PlanSection | undefined;

  constructor(stateFolder: string) {
    this.#path = probePlanPath(stateFolder);
  }

  /** Looks at the file anew. Rejects where it cannot be read. */
  async read(): Promise<PlanSection> {
    const content = await readFile(this.#path);
    this.#section = { name: hash("sha256", content), bytes: content.length };
    return this.#section;
  }

  /** The bytes of the newest one; undefined for any other name. */
  section(name: string): SharedArrayBuffer | undefined {
    if (this.#section?.name !== name) return undefined;
    try {
      const content = readFileSync(this.#path);
      const buffer = new SharedArrayBuffer(content.length);
      new Uint8Array(buffer).set(content);
      return buffer;
    } catch {
      // Who asks is told that it is not served, and asks for the next one.
      return undefined;
    }
  }
}
