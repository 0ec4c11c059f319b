// SPDX-License-Identifier: Apache-2.0

import { fork, type ChildProcess } from "node:child_process";
import { request } from "node:http";

/** A simulated region. Addresses are those in deploy/examples/quickstart. */
export interface Region {
  readonly name: string;
  readonly address: string;
  /** Load at the start, 0 idle to 1 full. */
  readonly load: number;
}

export const regions: readonly Region[] = [
  { name: "eu", address: "127.0.0.11", load: 0.2 },
  { name: "us", address: "127.0.0.12", load: 0.4 },
  { name: "ap", address: "127.0.0.13", load: 0.6 },
];

/** Port in deploy/examples/quickstart. */
export const REGION_PORT = 8081;
const START_MS_MAX = 5000;

/** The regions' process, and what can be done to them. */
export class Regions {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Starts all regions on one port, 0 for a free one. */
  static async start(port: number): Promise<Regions> {
    const child = fork(new URL("./regions-worker.ts", import.meta.url), [String(port)], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timer = setTimeout(
      () => reject(new Error("Cannot start the regions: their process says nothing")),
      START_MS_MAX,
    );
    child.once("message", (message: unknown) => {
      if (typeof message !== "object" || message === null) return;
      if ("port" in message) resolve(Number(message.port));
      else if ("error" in message)
        reject(new Error(`Cannot start the regions: ${String(message.error)}`));
    });
    child.once("exit", (code) =>
      reject(new Error(`Cannot start the regions: their process ended with ${code ?? "a signal"}`)),
    );
    try {
      return new Regions(child, await promise);
    } catch (error) {
      child.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks a region for `/break`, `/repair` or `/load?value=…`. */
  post(region: Region, path: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const asked = request(
      { host: region.address, port: this.port, path, method: "POST", agent: false },
      (response) => {
        response.resume();
        response.once("end", resolve);
      },
    );
    asked.once("error", reject);
    asked.end();
    return promise;
  }

  close(): void {
    this.#child.kill();
  }
}
