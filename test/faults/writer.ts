// SPDX-License-Identifier: Apache-2.0

// Whoever writes the counter: one value after the other, through one control or another, never over a state that it has not seen.

import { setTimeout as sleep } from "node:timers/promises";
import { askControl, counterDocument, type Member } from "./cluster.ts";
import type { Write } from "./judgement.ts";

const PAUSE_MS = 100;

export class Writer {
  readonly writes: Write[] = [];
  readonly #controls: readonly Member[];
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  /** Of the document as it was seen last; undefined where it has to be read first. */
  #version: string | undefined;

  constructor(controls: readonly Member[]) {
    this.#controls = controls;
    this.#loop = this.#run();
  }

  /** The newest value that was acknowledged, or 0. */
  get acknowledged(): number {
    return this.writes.findLast(({ outcome }) => outcome === "acknowledged")?.value ?? 0;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let turn = 1; !this.#stop.signal.aborted; turn++) {
      const control = this.#controls[turn % this.#controls.length];
      if (control !== undefined) await this.#turn(control);
      await sleep(PAUSE_MS);
    }
  }

  async #turn(control: Member): Promise<void> {
    this.#version ??= await readVersion(control);
    if (this.#version === undefined) return;
    const value = this.writes.length + 1;
    const startMs = performance.now();
    const { status } = await askControl(control, {
      method: "POST",
      path: "/v1/apply",
      body: counterDocument(value, this.#version),
    });
    const outcome = status === 200 ? "acknowledged" : "unknown";
    this.writes.push({ value, startMs, endMs: performance.now(), outcome });
    // What was not acknowledged may yet come, or another control may not know of it: the next write is of what is read then.
    this.#version = undefined;
  }
}

async function readVersion(control: Member): Promise<string | undefined> {
  const path = "/v1/documents/Pool/default/counter?consistency=strong";
  const { status, body } = await askControl(control, { method: "GET", path });
  if (status !== 200) return undefined;
  const stored: { readonly metadata: { readonly resourceVersion: string } } = JSON.parse(body);
  return stored.metadata.resourceVersion;
}
