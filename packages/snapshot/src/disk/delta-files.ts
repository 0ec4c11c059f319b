// SPDX-License-Identifier: Apache-2.0

// Sections on disk as what makes them of other ones: `sections/SHA256.delta`, 32 bytes: name of the section that it is made of, then the
// delta (section-delta.ts). A change of a word among six megabytes is some hundred bytes to write before it is served, and to sync before it
// is acknowledged. A chain of them ends at a whole section; whoever keeps one keeps what it is made of.

import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import { applySectionDelta } from "../section-delta.ts";
import { openSection } from "../section.ts";
import { writeUnsynced } from "./state-dir.ts";

const ENDING = ".delta";
const NAME_BYTES = 32;
/** The name, and how many bytes the section has. */
const HEAD_BYTES = NAME_BYTES + 4;
/** Longest chain: each link costs a start the copying of its section. */
const CHAIN_MAX = 32;

interface DeltaHead {
  readonly base: string;
  /** Of the section. */
  readonly bytes: number;
}

export class DeltaFiles {
  readonly #folder: string;
  readonly #heads = new Map<string, DeltaHead>();
  /** Those whose delta this process has put there. */
  readonly #own = new Set<string>();
  /** Sections of which there is a delta; undefined before it was looked. */
  #found: Set<string> | undefined;

  /** `folder` is that of the sections. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The name of the section that a file of this folder is a delta of; undefined where it is none. */
  nameOf(file: string): string | undefined {
    return file.endsWith(ENDING) ? file.slice(0, -ENDING.length) : undefined;
  }

  /** The file, within the folder. */
  fileOf(name: string): string {
    return `${name}${ENDING}`;
  }

  has(name: string): boolean {
    return this.#names().has(name);
  }

  /** The same by a look at the folder, to which another process may write. */
  look(name: string): boolean {
    const isThere = existsSync(this.#path(name));
    if (isThere) this.#names().add(name);
    else {
      this.#names().delete(name);
      this.#heads.delete(name);
      this.#own.delete(name);
    }
    return isThere;
  }

  /**
   * Puts a delta where a process that starts finds it; false where its chain would be too long, or come back to itself. The disk has it when
   * it is synced.
   */
  place(name: string, base: string, delta: Uint8Array): boolean {
    const bases = this.basesOf(base);
    if (bases.length >= CHAIN_MAX || base === name || bases.includes(name)) return false;
    writeUnsynced(this.#path(name), Buffer.concat([Buffer.from(base, "hex"), delta]));
    this.#heads.delete(name);
    this.#names().add(name);
    this.#own.add(name);
    return true;
  }

  /** Whether this process has put it there. */
  isOwn(name: string): boolean {
    return this.#own.has(name);
  }

  /** Its section is to be looked at again: what it makes may be another one. */
  disown(name: string): void {
    this.#own.delete(name);
  }

  /** The section that a delta is of, and how large it is; undefined where there is no delta, or one that was cut off. */
  head(name: string): DeltaHead | undefined {
    const known = this.#heads.get(name);
    if (known !== undefined || !this.has(name)) return known;
    const found = readHead(this.#path(name));
    if (found !== undefined) this.#heads.set(name, found);
    return found;
  }

  /** The bytes of a section; `readBase` gives those of the one that it is made of. A text says why there are none. */
  read(
    name: string,
    readBase: (name: string) => SharedArrayBuffer | string,
  ): SharedArrayBuffer | string {
    if (this.head(name) === undefined || this.#lengthOf(name) > CHAIN_MAX)
      return `Section ${name} is neither there nor made of one that is`;
    try {
      // Another process may have put another one there since its head was read.
      const content = readFileSync(this.#path(name));
      const baseName = content.toString("hex", 0, NAME_BYTES);
      const base = readBase(baseName);
      if (typeof base === "string") return base;
      const section = openSection(base);
      if ("error" in section) return `Section ${baseName}: ${section.error}`;
      return applySectionDelta(content.subarray(NAME_BYTES), section);
    } catch (error) {
      return `Section ${name}: ${reasonOf(error)}`;
    }
  }

  /** All that a section is made of, nearest first. */
  basesOf(name: string): string[] {
    const bases: string[] = [];
    for (let head = this.head(name); head !== undefined && bases.length <= CHAIN_MAX;) {
      bases.push(head.base);
      head = this.head(head.base);
    }
    return bases;
  }

  remove(name: string): void {
    this.#heads.delete(name);
    this.#names().delete(name);
    this.#own.delete(name);
    rmSync(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#folder, this.fileOf(name));
  }

  #lengthOf(name: string): number {
    return this.basesOf(name).length;
  }

  /** What another process has done since is seen by `look()`. */
  #names(): Set<string> {
    const list = (): string[] => (existsSync(this.#folder) ? readdirSync(this.#folder) : []);
    this.#found ??= new Set(list().flatMap((file) => this.nameOf(file) ?? []));
    return this.#found;
  }
}

function readHead(path: string): DeltaHead | undefined {
  const bytes = Buffer.alloc(HEAD_BYTES);
  let handle: number | undefined;
  try {
    handle = openSync(path, "r");
    if (readSync(handle, bytes, 0, HEAD_BYTES, 0) < HEAD_BYTES) return undefined;
  } catch {
    return undefined;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
  return { base: bytes.toString("hex", 0, NAME_BYTES), bytes: bytes.readUInt32LE(NAME_BYTES) };
}
