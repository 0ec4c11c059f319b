// SPDX-License-Identifier: Apache-2.0

// What the newest snapshot's links lead to, and that its sections were found sound, so that the next process has neither to work out:
// `links.bin`, "MLNK", u32 format, 32 bytes hash of the manifest, u32 pools, u32 targets, then the words of both, then a CRC-32 of all
// before. It is worth no wait: where it is missing, torn or of another manifest, the sections say it all. So it is not synced.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { reasonOf } from "@meridian/core";
import type { ResolvedLinks, World } from "../world.ts";

const MAGIC = 0x4b4e_4c4d;
/** Raised with whatever changes what a load checks or resolves. */
const FORMAT = 2;
const HEADER_WORDS = 12;
const HASH_BYTES = 32;
/** A snapshot that is replaced sooner is not worth writing for. */
const KEEP_MS = 5000;
const FILE = "links.bin";

/** Keeps the links of what is served in the state folder. */
export class LinksFile {
  readonly #folder: string;
  readonly #onError: (reason: string) => void;
  /** Manifest that the file is of. */
  #hash: string | undefined;
  #next: { readonly hash: string; readonly world: World } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `onError` hears of what could not be written. */
  constructor(folder: string, onError: (reason: string) => void) {
    this.#folder = folder;
    this.#onError = onError;
  }

  /** The links of the snapshot with that manifest; undefined where they have to be worked out. */
  read(hash: string): ResolvedLinks | undefined {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(join(this.#folder, FILE));
    } catch {
      return undefined;
    }
    const links = decodeLinks(bytes, hash);
    if (links !== undefined) this.#hash = hash;
    return links;
  }

  /** What is kept is of sections that were not what their names say: it is written anew, whatever it is named. */
  forget(): void {
    this.#hash = undefined;
    rmSync(join(this.#folder, FILE), { force: true });
  }

  /** Writes the links of a world that is served, unless another one takes its place soon. */
  keep(hash: string, world: World): void {
    this.#next = hash === this.#hash ? undefined : { hash, world };
    clearTimeout(this.#timer);
    if (this.#next !== undefined) this.#timer = setTimeout(() => this.#write(), KEEP_MS).unref();
  }

  /** Writes what is not on disk yet. Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#write();
  }

  #write(): void {
    if (this.#next === undefined) return;
    const { hash, world } = this.#next;
    this.#next = undefined;
    const path = join(this.#folder, FILE);
    try {
      writeFileSync(`${path}.new`, encodeLinks(hash, world.resolvedLinks()), { mode: 0o600 });
      renameSync(`${path}.new`, path);
      this.#hash = hash;
    } catch (error) {
      this.#onError(reasonOf(error));
    }
  }
}

function encodeLinks(hash: string, { pools, targets }: ResolvedLinks): Uint8Array {
  const words = new Uint32Array(HEADER_WORDS + pools.length + targets.length + 1);
  const bytes = new Uint8Array(words.buffer);
  words[0] = MAGIC;
  words[1] = FORMAT;
  bytes.set(Buffer.from(hash, "hex"), 8);
  words[10] = pools.length;
  words[11] = targets.length;
  words.set(pools, HEADER_WORDS);
  words.set(targets, HEADER_WORDS + pools.length);
  words[words.length - 1] = crc32(bytes.subarray(0, -4));
  return bytes;
}

/** The links of that manifest; undefined where the bytes are not those. */
function decodeLinks(bytes: Uint8Array, hash: string): ResolvedLinks | undefined {
  const { buffer, byteOffset, length } = bytes;
  if (length < (HEADER_WORDS + 1) * 4 || length % 4 !== 0 || byteOffset % 4 !== 0) return undefined;
  const words = new Uint32Array(buffer, byteOffset, length / 4);
  const named = Buffer.from(buffer, byteOffset + 8, HASH_BYTES).toString("hex");
  if (words[0] !== MAGIC || words[1] !== FORMAT || named !== hash) return undefined;
  const [pools = 0, targets = 0] = [words[10], words[11]];
  if (HEADER_WORDS + pools + targets + 1 !== words.length) return undefined;
  if (crc32(bytes.subarray(0, length - 4)) !== words[words.length - 1]) return undefined;
  const first = byteOffset + HEADER_WORDS * 4;
  return {
    pools: new Int32Array(buffer, first, pools),
    targets: new Int32Array(buffer, first + pools * 4, targets),
  };
}
