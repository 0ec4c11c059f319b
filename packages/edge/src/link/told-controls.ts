// SPDX-License-Identifier: Apache-2.0

// What control last said of routing controls, for who asks on this machine: with the state of the store that it is of, and its age. It is on
// disk, so that an edge that starts while control is gone still knows it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import { decodeRoutingControls, type ToldControls } from "@meridian/snapshot";
import { writeDurably } from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";

const FILE = "routing-controls.json";

export interface ToldState {
  readonly items: readonly object[];
  readonly epoch: number;
  /** Of the store, at which they were so. */
  readonly revision: number;
  /** How long ago the store was known to say so. */
  readonly ageMs: number;
}

export class ToldControlsFile {
  readonly #path: string;
  readonly #logger: EdgeLogger;
  readonly #wallMs: () => number;
  #told: (ToldControls & { readonly items: readonly object[]; readonly atMs: number }) | undefined;

  constructor(folder: string, logger: EdgeLogger, wallMs: () => number = Date.now) {
    this.#path = join(folder, FILE);
    this.#logger = logger;
    this.#wallMs = wallMs;
  }

  /** What the process before was told. */
  load(): void {
    try {
      const bytes = readFileSync(this.#path);
      const told = decodeRoutingControls(bytes);
      const atMs: unknown = Reflect.get(Object(JSON.parse(bytes.toString("utf8"))), "atMs");
      if (told?.items !== undefined && typeof atMs === "number")
        this.#told = { ...told, items: told.items, atMs };
    } catch {
      // There is none yet, or it is not whole: control says it again.
    }
  }

  /** Control says something; false where that is nothing of the kind. */
  take(payload: Uint8Array): boolean {
    const told = decodeRoutingControls(payload);
    if (told === undefined) return false;
    const items = told.items ?? this.#told?.items;
    if (items === undefined) return true;
    this.#told = { ...told, items, atMs: this.#wallMs() };
    if (told.items !== undefined) this.#save();
    return true;
  }

  /** Undefined where nothing was ever told. */
  get state(): ToldState | undefined {
    const told = this.#told;
    if (told === undefined) return undefined;
    const { items, epoch, revision, storeAgeMs, atMs } = told;
    const sinceMs = Math.max(0, this.#wallMs() - atMs);
    return { items, epoch, revision, ageMs: storeAgeMs + sinceMs };
  }

  #save(): void {
    try {
      writeDurably(this.#path, new TextEncoder().encode(JSON.stringify(this.#told)));
    } catch (error) {
      const reason = reasonOf(error);
      this.#logger.error("Cannot keep routing controls in the state folder", { reason });
    }
  }
}
