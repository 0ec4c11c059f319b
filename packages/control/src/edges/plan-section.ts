// SPDX-License-Identifier: Apache-2.0

// What is probed, as vantages fetch it: the file in the state folder, named by its content. It is read when somebody asks for it; what was
// told a moment ago can be had also when another one has taken its place, as a vantage far away asks later than that.

import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { PlanSection } from "@meridian/snapshot";
import { probePlanPath } from "../probe-plan-file.ts";

/** From when vantages are told of a plan. */
const KEPT_MS = 10_000;
/** Most memory for those: of larger ones the file is all there is. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

export class PlanSectionFile {
  readonly #path: string;
  #section: PlanSection | undefined;
  readonly #kept = new Map<string, Uint8Array>();
  #keptBytes = 0;

  constructor(stateFolder: string) {
    this.#path = probePlanPath(stateFolder);
  }

  /** Looks at the file anew. Rejects where it cannot be read. */
  async read(): Promise<PlanSection> {
    const content = await readFile(this.#path);
    this.#section = { name: hash("sha256", content), bytes: content.length };
    this.#keep(this.#section.name, content);
    return this.#section;
  }

  /** The bytes of the newest one, or of one that was it a moment ago; undefined for any other name. */
  section(name: string): SharedArrayBuffer | undefined {
    const content = this.#kept.get(name) ?? this.#onDisk(name);
    if (content === undefined) return undefined;
    const buffer = new SharedArrayBuffer(content.length);
    new Uint8Array(buffer).set(content);
    return buffer;
  }

  #onDisk(name: string): Uint8Array | undefined {
    if (this.#section?.name !== name) return undefined;
    try {
      return readFileSync(this.#path);
    } catch {
      // Who asks is told that it is not served, and asks for the next one.
      return undefined;
    }
  }

  #keep(name: string, content: Uint8Array): void {
    if (this.#kept.has(name) || this.#keptBytes + content.length > KEPT_BYTES_MAX) return;
    this.#kept.set(name, content);
    this.#keptBytes += content.length;
    setTimeout(() => {
      this.#kept.delete(name);
      this.#keptBytes -= content.length;
    }, KEPT_MS).unref();
  }
}
