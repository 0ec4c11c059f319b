// SPDX-License-Identifier: Apache-2.0

// The edges that have joined, by name. One that is not listed is refused whatever certificate it shows.

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { writeDurably } from "@meridian/snapshot/disk";

export class EdgeRoster {
  readonly #path: string;
  /** Wall time of the last join by name. */
  readonly #joined: Map<string, number>;

  constructor(path: string) {
    this.#path = path;
    this.#joined = new Map(readRoster(path));
  }

  has(name: string): boolean {
    return this.#joined.has(name);
  }

  names(): readonly string[] {
    return [...this.#joined.keys()];
  }

  add(name: string, nowMs: number): void {
    this.#joined.set(name, nowMs);
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    writeDurably(this.#path, `${JSON.stringify(Object.fromEntries(this.#joined), undefined, 1)}\n`);
  }
}

function readRoster(path: string): [string, number][] {
  if (!existsSync(path)) return [];
  const raw: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (typeof raw !== "object" || raw === null) return [];
  return Object.entries(raw).flatMap(([name, atMs]): [string, number][] =>
    typeof atMs === "number" ? [[name, atMs]] : [],
  );
}
