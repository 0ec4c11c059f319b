// SPDX-License-Identifier: Apache-2.0

// What was refused, in the state folder: a line each, chained by hashes as the store's change sets are, in two files that take turns so that
// a stranger who is refused for ever fills no disk. Commits are audited by the store itself.

import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

const FILE_BYTES_MAX = 8 * 1024 * 1024;
const TEXT_LENGTH_MAX = 2000;
const genesis = "0".repeat(64);

/** A request that was refused. */
export interface Refusal {
  readonly atMs: number;
  /** The token's subject, `local`, or `anonymous`. */
  readonly subject: string;
  readonly address: string;
  /** Method and path, without what followed `?`. */
  readonly request: string;
  readonly code: string;
  readonly message: string;
}

interface Chained extends Refusal {
  readonly previous: string;
  readonly hash: string;
}

export class RefusalLog {
  readonly #path: string;
  readonly #oldPath: string;
  readonly #bytesMax: number;
  #bytes: number;
  #last: string;

  /** `folder` is made where it is missing. */
  constructor(folder: string, bytesMax: number = FILE_BYTES_MAX) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#path = join(folder, "refusals.jsonl");
    this.#oldPath = join(folder, "refusals-old.jsonl");
    this.#bytesMax = bytesMax;
    this.#bytes = sizeOf(this.#path);
    this.#last = this.list().at(-1)?.hash ?? genesis;
  }

  /** Writes a refusal; a full disk is no reason to fail the answer that says so. */
  add(refusal: Refusal): void {
    const cut = { ...refusal, message: refusal.message.slice(0, TEXT_LENGTH_MAX) };
    const hash = hashOf(this.#last, cut);
    const line = `${JSON.stringify({ ...cut, previous: this.#last, hash })}\n`;
    try {
      if (this.#bytes + line.length > this.#bytesMax) {
        renameSync(this.#path, this.#oldPath);
        this.#bytes = 0;
      }
      appendFileSync(this.#path, line, { mode: 0o600 });
      this.#bytes += Buffer.byteLength(line);
      this.#last = hash;
    } catch {
      // Nothing can be done about it here; the chain goes on from the last line that was written.
    }
  }

  /** What is kept, oldest first. */
  list(): readonly Chained[] {
    return [...linesOf(this.#oldPath), ...linesOf(this.#path)];
  }

  /** What is wrong with the chain; empty where all is well. */
  verify(): string[] {
    let previous: string | undefined;
    const problems: string[] = [];
    for (const [index, line] of this.list().entries()) {
      const { previous: named, hash, ...refusal } = line;
      if (previous !== undefined && named !== previous)
        problems.push(`Refusal ${index + 1} does not follow the one before it`);
      if (hashOf(named, refusal) !== hash) problems.push(`Refusal ${index + 1} was changed`);
      previous = hash;
    }
    return problems;
  }
}

function hashOf(previous: string, refusal: Refusal): string {
  const { atMs, subject, address, request, code, message } = refusal;
  const text = JSON.stringify([previous, atMs, subject, address, request, code, message]);
  return createHash("sha256").update(text).digest("hex");
}

function linesOf(path: string): Chained[] {
  return textOf(path)
    .split("\n")
    .flatMap((line) => {
      try {
        const value: unknown = JSON.parse(line);
        return isChained(value) ? [value] : [];
      } catch {
        // A line that a crash cut off.
        return [];
      }
    });
}

function isChained(value: unknown): value is Chained {
  if (typeof value !== "object" || value === null) return false;
  const isText = (name: string): boolean => typeof Reflect.get(value, name) === "string";
  return ["subject", "address", "request", "code", "message", "previous", "hash"].every(isText);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
