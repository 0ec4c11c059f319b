// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSection } from "@meridian/snapshot";
import type { WrittenSection } from "@meridian/snapshot/writer";
import {
  buildLocationMap,
  contentSha256,
  LOCATION_MAP_VERSION,
  type LocationMapKind,
} from "./location-maps.ts";

/**
 * Built location maps on disk, named by kind, content and builder version, as building one takes seconds. A file that is torn or cannot be
 * written costs the time to build, nothing else.
 */
export class MapCache {
  readonly #folder: string | undefined;

  /** Without a folder nothing is kept. */
  constructor(folder?: string) {
    this.#folder = folder;
  }

  /** The map of a data set's content, from disk or built now. */
  get(kind: LocationMapKind, files: readonly Uint8Array[]): WrittenSection {
    if (this.#folder === undefined) return buildLocationMap(kind, files);
    const name = `${kind}-${contentSha256(files)}-${LOCATION_MAP_VERSION}.section`;
    const path = join(this.#folder, name);
    const kept = readMap(path);
    if (kept !== undefined) return kept;
    const built = buildLocationMap(kind, files);
    writeMap(this.#folder, path, built);
    return built;
  }
}

function readMap(path: string): WrittenSection | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  const section = openSection(buffer);
  if ("error" in section) return undefined;
  const name = createHash("sha256").update(bytes).digest("hex");
  return { kind: section.kind, key: section.key, name, buffer };
}

function writeMap(folder: string, path: string, map: WrittenSection): void {
  const partial = `${path}.${process.pid}.partial`;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(partial, new Uint8Array(map.buffer));
    renameSync(partial, path);
  } catch {
    rmSync(partial, { force: true });
  }
}
