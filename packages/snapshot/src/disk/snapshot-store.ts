// SPDX-License-Identifier: Apache-2.0

// Snapshots on disk:  sections/SHA256 (each written once) and manifest.json, manifest.1.json, manifest.2.json, newest first.
//
// What a small change makes of a large section may be there as SHA256.delta alone (delta-files.ts), until it is written whole. Where both are
// there, the delta counts: the disk may not have the other one yet.

import { createHash, hash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { reasonOf } from "@meridian/core";
import {
  encodeManifest,
  makeManifest,
  parseManifest,
  type Manifest,
  type ManifestSection,
} from "../manifest.ts";
import { SectionPack, type OnSlab } from "../section-pack.ts";
import { openSection } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { DeltaFiles } from "./delta-files.ts";
import {
  LATER_ENDING,
  replaceDurably,
  syncFile,
  syncPath,
  writeSynced,
  writeUnsynced,
} from "./state-dir.ts";

/** A revision as it is kept on disk. */
export interface StoredRevision {
  readonly epoch: number;
  readonly revision: number;
  readonly seed: number;
  readonly sections: readonly WrittenSection[];
}

/** What makes a section: of the one with the name `base`. */
export interface SectionSource {
  readonly base: string;
  readonly delta: Uint8Array;
}

/** Manifests that are kept: the newest and the two before. */
const MANIFEST_NAMES = ["manifest.json", "manifest.1.json", "manifest.2.json"] as const;
/** The one that is about to be the newest. */
const NEXT_MANIFEST = "manifest.next.json";
/** How long, and how much of, older revisions are kept for explain (design §10). */
const HISTORY_MS_MAX = 7 * 24 * 3_600_000;
const HISTORY_BYTES_MAX = 2 * 1024 ** 3;
/** Most older revisions, however small they are. */
const HISTORY_REVISIONS_MAX = 1000;

/** Files that are synced at once. */
const SYNCS_MAX = 4;

/** A manifest that cannot be served, and why. */
export interface RefusedManifest {
  readonly file: string;
  readonly reason: string;
}

/** A revision that was read from disk, ready to be loaded. */
export interface OpenedRevision {
  readonly manifest: Manifest;
  readonly pack: SectionPack;
}

/** The newest revision that is whole, and what was passed over for it. */
export interface Newest<Revision> {
  readonly stored: Revision | undefined;
  readonly refused: readonly RefusedManifest[];
}

/**
 * Sections that a manifest of the history names; of those that the one kept `after` it (by file and time; empty for the newest) names too
 * there may be none here. Whole lists of a thousand revisions of a million names were 90 MB, to be looked through with every change.
 */
interface NamedInHistory {
  readonly after: string;
  readonly sections: readonly ManifestSection[];
}

export class SnapshotStore {
  readonly #folder: string;
  /** Sections that this process wrote or found whole: a file of the same name that it did not is written anew. */
  readonly #whole = new Set<string>();
  /** Files that are written while others go on. */
  readonly #later = new Set<string>();
  /** Files of sections that were placed and may not be on disk yet. */
  readonly #unsettled = new Set<string>();
  /** The disk has the names of the sections that were written or settled. */
  #isNamed = false;
  readonly #deltas: DeltaFiles;
  /** What the manifests of the history name, by file and time: reading a thousand for each revision would take seconds. */
  #named: ReadonlyMap<string, NamedInHistory> = new Map();
  /** What those name that were kept since, by file: to read one is 3 ms of a million names, and changes may come ten a second. */
  readonly #remembered = new Map<string, readonly ManifestSection[]>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#deltas = new DeltaFiles(join(folder, "sections"));
  }

  /** Keeps a revision: sections first, then the manifest; what no kept manifest names is removed. */
  save({ epoch, revision, seed, sections }: StoredRevision): void {
    for (const { name, buffer } of sections) this.write(name, new Uint8Array(buffer));
    this.keep(makeManifest(revision, seed, sections.map(manifestSection), epoch));
    this.prune();
  }

  /** True where there is a file of that name, whole or not, or what makes the section. */
  has(name: string): boolean {
    return this.#deltas.has(name) || existsSync(this.#sectionPath(name));
  }

  /** The same, without a look at those that this process wrote or read: of a million names there are 600. */
  mayHave(name: string): boolean {
    return this.#whole.has(name) || this.has(name);
  }

  /** Puts a section on disk, unless this process knows that it is there. */
  write(name: string, content: Uint8Array): void {
    const path = this.#sectionPath(name);
    if (this.#whole.has(name) && existsSync(path)) return;
    // Of its own name: a compiler whose parent died may be writing the same section still. What it leaves is pruned.
    writeSynced(path, content, `${path}.${process.pid}.new`);
    this.#isNamed = false;
    this.#whole.add(name);
  }

  /** Makes a revision the newest one, when the disk has its sections, which were written or placed. */
  keep(manifest: Manifest): void {
    this.#refuseMissing(manifest);
    this.settleSections();
    const next = this.#path(NEXT_MANIFEST);
    writeSynced(next, encodeManifest(manifest), `${next}.new`);
    this.#rotate();
    syncPath(this.#folder);
    this.#remember(manifest);
  }

  /** Puts a section where a process that starts finds it, unless this one knows that it is there. The disk has it after `settle()`. */
  placeSection(name: string, content: Uint8Array): void {
    const path = this.#sectionPath(name);
    if (this.#whole.has(name) && existsSync(path)) return;
    writeUnsynced(path, content, `${path}.${process.pid}.new`);
    // Where both are there, the delta counts.
    if (this.#deltas.has(name) && !this.#isMade(name)) this.#deltas.remove(name);
    this.#whole.add(name);
    this.#unsettled.add(name);
  }

  /**
   * The same by what makes it of a section that is there; false where it has to be placed whole. It is to be placed whole later all the same, as
   * each start puts it together otherwise.
   */
  placeDelta(name: string, { base, delta }: SectionSource): boolean {
    if (this.#deltas.has(name)) {
      // A change that was taken back: what is made of this one may be what it would be made of now.
      if (!this.#isMade(name)) return false;
      this.#unsettled.add(this.#deltas.fileOf(name));
      return true;
    }
    if (existsSync(this.#sectionPath(name))) return this.#whole.has(name);
    if (!this.mayHave(base) || !this.#deltas.place(name, base, delta)) return false;
    this.#unsettled.add(this.#deltas.fileOf(name));
    return true;
  }

  /** Whether the delta that is there makes the very section: one of this process does. */
  #isMade(name: string): boolean {
    if (this.#deltas.isOwn(name)) return true;
    const made = this.#readMade(name);
    return typeof made !== "string" && hash("sha256", new Uint8Array(made)) === name;
  }

  /** Puts a section on disk whole, in place of what makes it. Nobody waits for it: a revision may be kept meanwhile. */
  async makeWhole(name: string, content: Uint8Array): Promise<void> {
    if (!this.#deltas.has(name)) return;
    // Of its own name: the process that this one takes over from may be at the same section still.
    const later = `${name}.${process.pid}${LATER_ENDING}`;
    if (this.#later.has(later)) return;
    this.#later.add(later);
    try {
      const isWanted = (): boolean => this.#deltas.has(name);
      await replaceDurably(this.#sectionPath(name), content, isWanted, this.#sectionPath(later));
    } finally {
      this.#later.delete(later);
    }
    if (!this.#deltas.has(name)) return;
    this.#whole.add(name);
    this.#unsettled.delete(this.#deltas.fileOf(name));
    this.#deltas.remove(name);
  }

  /** Whether a section is there as what makes it of another one. */
  hasDelta(name: string): boolean {
    return this.#deltas.has(name);
  }

  /** What was to make a section makes another one: it goes when the section itself is placed, as a revision may have nothing else. */
  doubtDelta(name: string): void {
    this.#deltas.disown(name);
  }

  /** Waits for the disk to have the sections that were placed or written. */
  settleSections(): void {
    for (const file of this.#unsettled) {
      if (existsSync(this.#sectionPath(file))) syncPath(this.#sectionPath(file));
      this.#unsettled.delete(file);
      this.#isNamed = false;
    }
    // Their names, for all of them at once; at first those too that a process before this one wrote.
    if (!this.#isNamed) syncPath(join(this.#folder, "sections"));
    this.#isNamed = true;
  }

  /**
   * Makes a revision whose sections were placed the newest one, for a process that starts. Where power is lost before `settle()` has
   * resolved, the one before may be the newest that is whole: it has to be settled already. `text` is what the manifest was read from.
   */
  place(manifest: Manifest, text: string = encodeManifest(manifest)): void {
    this.#refuseMissing(manifest);
    writeUnsynced(this.#path(NEXT_MANIFEST), text);
    this.#rotate();
    this.#remember(manifest);
  }

  /** Resolves when what was placed is on disk, whatever happens to the machine. */
  async settle(): Promise<void> {
    const files = [...this.#unsettled];
    const next = files.values();
    const work = async (): Promise<void> => {
      for (const file of next)
        // What makes a section goes when the section is there.
        await syncFile(this.#sectionPath(file)).catch((error: unknown) => {
          if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
        });
    };
    await Promise.all(Array.from({ length: SYNCS_MAX }, work));
    await syncFile(join(this.#folder, "sections"));
    await syncFile(this.#path(MANIFEST_NAMES[0]));
    await syncFile(this.#folder);
    for (const file of files) this.#unsettled.delete(file);
  }

  /** The same for the newest revision, where a process before this one may have placed it. */
  async settleNewest(): Promise<void> {
    const [newest, before] = [MANIFEST_NAMES[0], MANIFEST_NAMES[1]].map((file) =>
      this.#sectionsOf(file),
    );
    const settled = new Set(before?.map(({ name }) => name));
    for (const { name } of newest ?? []) {
      if (settled.has(name)) continue;
      this.#unsettled.add(name);
      this.#unsettled.add(this.#deltas.fileOf(name));
    }
    await this.settle();
  }

  #refuseMissing({ revision, sections }: Manifest): void {
    const missing = sections.find(({ name }) => !this.mayHave(name));
    if (missing !== undefined)
      throw new Error(`Cannot keep revision ${revision}: section ${missing.name} is not there`);
  }

  /**
   * The history is worth no wait: where power is lost, its newest may be missing. It has another name of the manifest that was just written,
   * as manifests are replaced and never written over; one of a million names is 130 KB.
   */
  #remember(manifest: Manifest): void {
    const file = historyFile(manifest.revision);
    const path = this.#path(file);
    this.#remembered.set(file, manifest.sections);
    try {
      rmSync(path, { force: true });
      linkSync(this.#path(MANIFEST_NAMES[0]), path);
    } catch {
      // Not every file system has a second name for a file.
      writeUnsynced(path, encodeManifest(manifest));
    }
  }

  /** The newest manifest whose sections are all there and whole. */
  load(): Newest<StoredRevision> {
    return this.#newest((manifest) => this.#read(manifest));
  }

  /** The same with its sections where they are served from: each byte is read once, to where it stays, and looked at once. */
  open(onSlab?: OnSlab): Newest<OpenedRevision> {
    return this.#newest((manifest) => {
      // Before there is memory for them: a manifest may name anything.
      const wrong = manifest.sections.map((section) => this.#sizeError(section)).find(isText);
      if (wrong !== undefined) return wrong;
      const pack = SectionPack.read(
        manifest.sections,
        (name, target) => this.#readInto(name, target),
        onSlab,
      );
      if ("error" in pack) return pack.error;
      for (const { name } of manifest.sections) if (!this.#deltas.has(name)) this.#whole.add(name);
      return { manifest, pack };
    });
  }

  #newest<Revision>(read: (manifest: Manifest) => Revision | string): Newest<Revision> {
    const refused: RefusedManifest[] = [];
    for (const file of MANIFEST_NAMES) {
      if (!existsSync(this.#path(file))) continue;
      const manifest = this.manifest(file);
      const stored = typeof manifest === "string" ? manifest : read(manifest);
      if (typeof stored !== "string") return { stored, refused };
      refused.push({ file, reason: stored });
    }
    return { stored: undefined, refused };
  }

  #sizeError({ name, bytes }: ManifestSection): string | undefined {
    // Another process may have written it whole since the folder was looked through.
    const made = this.#deltas.has(name) ? this.#deltas.head(name)?.bytes : undefined;
    const size = made ?? statSync(this.#sectionPath(name), { throwIfNoEntry: false })?.size;
    if (size === undefined) return `Section ${name} is not there`;
    return size === bytes ? undefined : `Section ${name} has ${size} bytes, expected ${bytes}`;
  }

  #readInto(name: string, target: Uint8Array): string | undefined {
    if (this.#deltas.has(name)) {
      const made = this.readSection(name);
      if (typeof made === "string") return made;
      if (made.byteLength !== target.length)
        return `it has ${made.byteLength} bytes, expected ${target.length}`;
      target.set(new Uint8Array(made));
      return undefined;
    }
    let handle: number | undefined;
    try {
      handle = openSync(this.#sectionPath(name), "r");
      const count = readWhole(handle, target);
      return count < target.length ? `it ends after ${count} bytes` : undefined;
    } catch (error) {
      return reasonOf(error);
    } finally {
      if (handle !== undefined) closeSync(handle);
    }
  }

  manifest(file: string): Manifest | string {
    try {
      return parseManifest(readFileSync(this.#path(file), "utf8"));
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** Manifest files that exist, newest first. */
  manifestFiles(): string[] {
    return MANIFEST_NAMES.filter((name) => existsSync(this.#path(name)));
  }

  /** An older revision that is still kept, or why it cannot be had. */
  loadOld(revision: number): StoredRevision | string {
    const manifest = this.manifest(historyFile(revision));
    return typeof manifest === "string"
      ? `Revision ${revision} is not kept: ${manifest}`
      : this.#read(manifest);
  }

  /** Bytes of one section, as they are on disk, to which another process may write: whole in place of what makes it, or the other way. */
  readSection(name: string): SharedArrayBuffer | string {
    const isMade = this.#deltas.has(name);
    const found = isMade ? this.#readMade(name) : this.#readWhole(name);
    if (typeof found !== "string" || this.#deltas.look(name) === isMade) return found;
    return isMade ? this.#readWhole(name) : this.#readMade(name);
  }

  #readMade(name: string): SharedArrayBuffer | string {
    return this.#deltas.read(name, (base) => this.readSection(base));
  }

  #readWhole(name: string): SharedArrayBuffer | string {
    let handle: number | undefined;
    try {
      handle = openSync(this.#sectionPath(name), "r");
      const { size } = fstatSync(handle);
      const buffer = new SharedArrayBuffer(size);
      const count = readWhole(handle, new Uint8Array(buffer));
      return count < size ? `Section ${name} ends after ${count} bytes, expected ${size}` : buffer;
    } catch (error) {
      return `Section ${name}: ${reasonOf(error)}`;
    } finally {
      if (handle !== undefined) closeSync(handle);
    }
  }

  /** The same without holding up whoever calls: the disk is waited for elsewhere. */
  async readSectionAsync(name: string): Promise<SharedArrayBuffer | string> {
    const found = this.#deltas.has(name) ? "it is made of another" : await this.#readLater(name);
    return typeof found === "string" ? this.readSection(name) : found;
  }

  async #readLater(name: string): Promise<SharedArrayBuffer | string> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.#sectionPath(name), "r");
      const { size } = await handle.stat();
      const buffer = new SharedArrayBuffer(size);
      const bytes = new Uint8Array(buffer);
      for (let at = 0; at < size;) {
        const { bytesRead } = await handle.read(bytes, at, size - at, at);
        if (bytesRead === 0) return `Section ${name} ends after ${at} bytes, expected ${size}`;
        at += bytesRead;
      }
      return buffer;
    } catch (error) {
      return `Section ${name}: ${reasonOf(error)}`;
    } finally {
      await handle?.close();
    }
  }

  /** Every way in which a manifest's sections differ from what their names say; empty where all is well. Reads everything. */
  verify(
    manifest: Manifest,
    onSection: (read: number, count: number) => void = () => {},
  ): string[] {
    return manifest.sections.flatMap(({ name, bytes }, index) => {
      onSection(index, manifest.sections.length);
      const buffer = this.readSection(name);
      if (typeof buffer === "string") return [buffer];
      if (buffer.byteLength !== bytes)
        return [`Section ${name} has ${buffer.byteLength} bytes, expected ${bytes}`];
      const found = createHash("sha256").update(new Uint8Array(buffer)).digest("hex");
      return found === name ? [] : [`Section ${name} has the hash ${found}`];
    });
  }

  #read(manifest: Manifest): StoredRevision | string {
    const sections: WrittenSection[] = [];
    for (const { kind, key, name, bytes } of manifest.sections) {
      const buffer = this.readSection(name);
      if (typeof buffer === "string") return buffer;
      if (buffer.byteLength !== bytes)
        return `Section ${name} has ${buffer.byteLength} bytes, expected ${bytes}`;
      const section = openSection(buffer);
      if ("error" in section) return `Section ${name}: ${section.error}`;
      if (section.kind !== kind || section.key !== BigInt(`0x${key}`))
        return `Section ${name} is of kind ${section.kind}, expected ${kind}`;
      if (!this.#deltas.has(name)) this.#whole.add(name);
      sections.push({ kind, key: section.key, name, buffer });
    }
    const { epoch, revision, seed } = manifest;
    return { epoch, revision, seed, sections };
  }

  /** The next manifest is the newest: it was written first, so that a full disk does not drive out those that are there. */
  #rotate(): void {
    for (let index = MANIFEST_NAMES.length - 1; index > 0; index--) {
      const from = this.#path(MANIFEST_NAMES[index - 1] ?? "");
      if (existsSync(from)) renameSync(from, this.#path(MANIFEST_NAMES[index] ?? ""));
    }
    renameSync(this.#path(NEXT_MANIFEST), this.#path(MANIFEST_NAMES[0]));
  }

  /** Removes what no kept revision names, apart from the sections `alsoKept`; `served` are older revisions that somebody still serves. */
  prune(alsoKept: Iterable<string> = [], served: ReadonlySet<number> = new Set()): void {
    const kept = new Set<string>();
    for (const file of this.manifestFiles()) {
      const manifest = this.manifest(file);
      if (typeof manifest === "object") for (const { name } of manifest.sections) kept.add(name);
    }
    this.#keepHistory(kept, served);
    for (const name of alsoKept) kept.add(name);
    for (const name of [...kept]) for (const base of this.#deltas.basesOf(name)) kept.add(base);
    for (const file of readdirSync(join(this.#folder, "sections"))) {
      if (this.#later.has(file)) continue;
      const made = this.#deltas.nameOf(file);
      if (kept.has(made ?? file) && (made === undefined || !this.#isSettled(made))) continue;
      if (made === undefined) {
        rmSync(this.#sectionPath(file), { force: true });
        this.#whole.delete(file);
      } else this.#deltas.remove(made);
      this.#unsettled.delete(file);
    }
  }

  /** Whether the disk has a section whole, placed by this process. */
  #isSettled(name: string): boolean {
    return this.#whole.has(name) && !this.#unsettled.has(name);
  }

  /**
   * Reads what the history names, a manifest a turn, so that the first `prune()` of a process does not read a thousand of them in one: 300 ms
   * of a million names. Where something is pruned meanwhile it is given up, as all is known then.
   */
  async learn(isWanted: () => boolean): Promise<void> {
    const named = new Map<string, NamedInHistory>();
    let after = "";
    let shared: ReadonlySet<string> | undefined;
    for (const { file, atMs } of this.#history()) {
      await nextTurn();
      if (!isWanted() || this.#named.size > 0) return;
      const whole = this.#sectionsOf(file);
      named.set(`${file} ${atMs}`, { after, sections: unsharedOf(whole, shared) });
      after = `${file} ${atMs}`;
      shared = new Set(whole.map(({ name }) => name));
    }
    this.#named = named;
  }

  /**
   * Adds the sections of older revisions, newest first, as long as they are young and few enough; the others are removed. A section
   * counts once, however many revisions share it.
   */
  #keepHistory(kept: Set<string>, served: ReadonlySet<number>): void {
    const files = new Set([...served].map(historyFile));
    const oldestMs = Date.now() - HISTORY_MS_MAX;
    const named = new Map<string, NamedInHistory>();
    let bytes = 0;
    let after = "";
    /** Of the manifest kept after, where all that it names is at hand. */
    let shared: ReadonlySet<string> | undefined;
    for (const { file, atMs } of this.#history()) {
      const id = `${file} ${atMs}`;
      const known = this.#remembered.has(file) ? undefined : this.#named.get(id);
      const isPart = known?.after === after && after !== "";
      const whole = isPart ? undefined : this.#wholeOf(file, known);
      const sections = known !== undefined && isPart ? known.sections : unsharedOf(whole, shared);
      const added = sections.filter(({ name }) => !kept.has(name));
      bytes += added.reduce((sum, section) => sum + section.bytes, 0);
      const isKept =
        files.has(file) ||
        named.size === 0 ||
        (atMs >= oldestMs && bytes <= HISTORY_BYTES_MAX && named.size < HISTORY_REVISIONS_MAX);
      if (isKept) {
        named.set(id, { after, sections });
        for (const { name } of added) kept.add(name);
        after = id;
        shared = whole && new Set(whole.map(({ name }) => name));
      } else {
        rmSync(this.#path(file), { force: true });
      }
    }
    this.#named = named;
    this.#remembered.clear();
  }

  /** All that a manifest of the history names. */
  #wholeOf(file: string, known: NamedInHistory | undefined): readonly ManifestSection[] {
    return known?.after === ""
      ? known.sections
      : (this.#remembered.get(file) ?? this.#sectionsOf(file));
  }

  /** Manifests of older revisions, newest first. */
  #history(): { readonly file: string; readonly atMs: number }[] {
    return readdirSync(this.#path("history"))
      .filter((name) => name.startsWith("manifest-"))
      .map((name) => ({
        file: join("history", name),
        atMs: statSync(this.#path(join("history", name))).mtimeMs,
      }))
      .toSorted((a, b) => b.atMs - a.atMs);
  }

  #sectionsOf(file: string): readonly ManifestSection[] {
    const manifest = this.manifest(file);
    return typeof manifest === "string" ? [] : manifest.sections;
  }

  #path(file: string): string {
    return join(this.#folder, file);
  }

  #sectionPath(name: string): string {
    return join(this.#folder, "sections", name);
  }
}

/** Those of some sections that are not `shared`; all where it is not known what is. */
function unsharedOf(
  sections: readonly ManifestSection[] = [],
  shared: ReadonlySet<string> | undefined,
): readonly ManifestSection[] {
  return shared === undefined ? sections : sections.filter(({ name }) => !shared.has(name));
}

function historyFile(revision: number): string {
  return join("history", `manifest-${revision}.json`);
}

function isText(error: string | undefined): error is string {
  return error !== undefined;
}

/** Fills `target` from a file's beginning; fewer bytes than it has where the file ends before. */
function readWhole(handle: number, target: Uint8Array): number {
  let at = 0;
  while (at < target.length) {
    const count = readSync(handle, target, at, target.length - at, at);
    if (count === 0) return at;
    at += count;
  }
  return at;
}

/** How a manifest names a section. */
export function manifestSection({ kind, key, name, buffer }: WrittenSection): ManifestSection {
  return { kind, key: key.toString(16).padStart(16, "0"), name, bytes: buffer.byteLength };
}
