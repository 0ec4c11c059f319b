// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { nativePath } from "./native.ts";
import { startPiped, stopProgram, waitFor } from "./program.ts";

/** The first answer that a check got in an endpoint's new state. */
export interface Served {
  readonly address: string;
  readonly state: "down" | "up";
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly ns: number;
}

/** The HTTP server that stands for every endpoint. */
export class HealthTarget {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, (served: Served) => void>();
  #isReady = false;

  constructor(port: number, core: number, downFile: string) {
    this.port = port;
    this.#child = startPiped(String(core), nativePath("health-target"), [String(port), downFile]);
    if (this.#child.stdout === null)
      throw new Error("Cannot start health target: it has no output");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#take(line));
  }

  /** Resolves once it listens. */
  async ready(): Promise<void> {
    await waitFor(
      "health target",
      5000,
      () => Promise.resolve(this.#isReady ? true : undefined),
      this.#child,
    );
  }

  /** Changes an endpoint; gives when a check first got the new state, or undefined if none did in time. */
  async set(address: string, state: "down" | "up", timeoutMs: number): Promise<Served | undefined> {
    const { promise, resolve } = Promise.withResolvers<Served | undefined>();
    this.#waiting.set(`${address} ${state}`, resolve);
    this.#child.stdin?.write(`${state} ${address}\n`);
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    const served = await promise;
    clearTimeout(timer);
    this.#waiting.delete(`${address} ${state}`);
    return served;
  }

  /** All endpoints go down and come back in turns of so many milliseconds, half of them while the others are up; 0 ends it. */
  flap(ms: number): void {
    this.#child.stdin?.write(`flap ${ms}\n`);
  }

  async close(): Promise<void> {
    await stopProgram(this.#child);
  }

  #take(line: string): void {
    if (line === "ready") this.#isReady = true;
    const served = parseServed(line);
    if (served !== undefined) this.#waiting.get(`${served.address} ${served.state}`)?.(served);
  }
}

/** Reads `served ADDRESS STATE NANOSECONDS`. */
export function parseServed(line: string): Served | undefined {
  const [word, address, state, ns] = line.split(" ");
  if (word !== "served" || address === undefined || ns === undefined) return undefined;
  if (state !== "down" && state !== "up") return undefined;
  return { address, state, ns: Number(ns) };
}
