// SPDX-License-Identifier: Apache-2.0

// The snapshot that is served: its sections, how the next one takes its place, and that it is on disk before anybody sees its number.

import { setImmediate as nextTurn } from "node:timers/promises";
import { assert, type Clock, type Haste } from "@meridian/core";
import {
  RevisionRehearsal,
  type BegunOverlay,
  type SharedOverlay,
  type VerdictThread,
} from "@meridian/health";
import {
  FIRST_EPOCH,
  SectionKind,
  SectionPack,
  SpareCopy,
  World,
  applySectionDelta,
  encodeManifest,
  isShifted,
  makeManifest,
  rehearsedWorld,
  sectionError,
  type Manifest,
  type ManifestSection,
  type NamedSection,
} from "@meridian/snapshot";
import type { SectionSource } from "@meridian/snapshot/disk";
import type { WrittenSection } from "@meridian/snapshot/writer";
import type { CompilerProcess } from "./compiler-process.ts";
import { broughtSections, type PackedRevision } from "./brought-sections.ts";
import { carriedFrom } from "./carried-from.ts";
import type {
  BroughtSections,
  CarriedFrom,
  EmbeddedOptions,
  PublishMode,
} from "./embedded-options.ts";
import type { CompiledSection } from "./file-load.ts";
import type { RestoredPair } from "./restored-pair.ts";
import { RevisionKeeper, type KeptSections, type UnkeptRevision } from "./revision-keeper.ts";
import { SupersededSections } from "./superseded-sections.ts";

/** Sections that are read at once. */
const SECTION_READS_MAX = 8;
/** Once a section has brought it to so much, no other is sent to the compiler to be written at once. */
const MISSING_BYTES_MAX = 8 << 20;

/** A section to be served; with its bytes where the sections that are served do not have it. */
export interface LoadedSection extends ManifestSection {
  readonly buffer?: SharedArrayBuffer;
  /** What makes it of one that was served. */
  readonly source?: SectionSource | undefined;
}

/** Of what takes the place of what is served. */
export interface ReplacementOptions {
  /** The next one where it is left out. */
  readonly revision?: number | undefined;
  readonly publish?: PublishMode | undefined;
}

/** What a snapshot is served with. */
export interface SnapshotParts {
  readonly compiler: CompilerProcess;
  readonly verdicts: VerdictThread;
  /** Ends when a revision was sent. */
  readonly haste: Haste;
}

/** World, revision and overlay belong together and change at once. */
export class ServedSnapshot {
  world: World | undefined;
  revision = 0;
  /** Of the store when this was published: with a restored one, revisions are later than all before, whatever their numbers are. */
  epoch: number = FIRST_EPOCH;
  /** When the served revision was compiled or restored, wall milliseconds. */
  servedSinceMs = 0;
  /** Whether edges have it: before that, probes or a stored overlay have to vouch for answers. */
  isPublished = false;
  /** Fixed, so that the same documents give the same bytes everywhere; a section's probe bound guards against crafted names. */
  seed = 0x6d65_7269;
  readonly #options: EmbeddedOptions;
  readonly #clock: Clock;
  readonly #compiler: CompilerProcess;
  readonly #verdicts: VerdictThread;
  readonly #haste: Haste;
  #manifest: Manifest | undefined;
  #pack: SectionPack | undefined;
  readonly #superseded: SupersededSections;
  #overlay: SharedOverlay | undefined;
  readonly #rehearsal: RevisionRehearsal;
  #isReplacing = false;
  /** Of sections of megabytes, of a million names, of which a change takes a few words; by kind. */
  readonly #spares: ReadonlyMap<number, SpareCopy> = new Map([
    [SectionKind.pools, new SpareCopy()],
    [SectionKind.policies, new SpareCopy()],
  ]);
  readonly #keeper: RevisionKeeper;
  #isClosed = false;

  constructor(
    options: EmbeddedOptions,
    clock: Clock,
    { compiler, verdicts, haste }: SnapshotParts,
  ) {
    this.#haste = haste;
    this.#options = options;
    this.#clock = clock;
    this.#compiler = compiler;
    this.#verdicts = verdicts;
    this.#superseded = new SupersededSections(() => clock.monotonicMs());
    this.#rehearsal = new RevisionRehearsal({
      rehearse: () => this.#rehearse(),
      onFailed: (reason) => options.logger.warn({ reason }, "Rehearses no more revisions"),
    });
    this.#keeper = new RevisionKeeper({
      put: (manifest, written) => this.#put(manifest, written),
      missing: (manifest) => this.#missing(manifest),
      logger: options.logger,
      wallMs: () => clock.wallMs(),
    });
  }

  /** What is served where the disk has refused it. */
  get unkept(): UnkeptRevision | undefined {
    return this.#keeper.unkept;
  }

  /** Nothing is said any more of what fails. */
  close(): void {
    this.#isClosed = true;
    this.#keeper.close();
    this.#superseded.close();
    this.#rehearsal.close();
    for (const spare of this.#spares.values()) spare.close();
  }

  /** The epoch of what is published next. */
  get nextEpoch(): number {
    return this.#options.epoch?.() ?? FIRST_EPOCH;
  }

  /** A programmer's error before anything is served. */
  get overlay(): SharedOverlay {
    assert(this.#overlay !== undefined, "an overlay is read after a snapshot was adopted");
    return this.#overlay;
  }

  /** Sequence of the newest change set; 0 before there is an overlay. */
  get sequence(): number {
    return this.#overlay?.sequence ?? 0;
  }

  /** What is served, in canonical order. */
  get sections(): readonly ManifestSection[] {
    return this.#manifest?.sections ?? [];
  }

  /** A copy of the bytes of a section that is served, or was a moment ago. */
  section(name: string): SharedArrayBuffer | undefined {
    return (this.#pack?.section(name) ?? this.#superseded.section(name))?.copy();
  }

  /** A worker of the edge died: its claim on a bank must not hold up the next change set. */
  forgetWorker(worker: number): void {
    this.#overlay?.forget(worker);
  }

  /** Whether these are the sections that are served. */
  isSame(sections: readonly ManifestSection[]): boolean {
    return (
      this.world !== undefined &&
      sections.length === this.sections.length &&
      sections.every(({ name }, index) => name === this.sections[index]?.name)
    );
  }

  /** Serves what the state folder held. */
  async restore({ manifest, pack, world, begun }: RestoredPair): Promise<void> {
    this.#pack = pack;
    this.seed = manifest.seed;
    this.#take(world, manifest, await this.#adopt(world, manifest.revision, begun));
  }

  /** Keeps other sections as the next revision, then serves them; published from the first `publish()` on. */
  async replace(
    sections: readonly LoadedSection[],
    text: string,
    options: ReplacementOptions = {},
  ): Promise<void> {
    this.#isReplacing = true;
    try {
      await this.#replace(sections, text, options);
    } finally {
      this.#isReplacing = false;
    }
  }

  async #replace(
    sections: readonly LoadedSection[],
    text: string,
    { revision = this.revision + 1, publish }: ReplacementOptions,
  ): Promise<void> {
    const manifest = makeManifest(revision, this.seed, sections, this.nextEpoch);
    // The compiler waits for the disk meanwhile.
    const keeping = this.#hasFolder ? this.#keep(sections, manifest) : undefined;
    const before = this.#packed();
    const world = this.#load(sections, this.seed, true);
    if (typeof world === "string")
      throw new TypeError(`The compiler wrote what the reader refuses: ${world}`);
    const bring = (): BroughtSections | undefined =>
      before &&
      this.#pack &&
      broughtSections(before, { manifest, pack: this.#pack }, sourcesOf(sections));
    // The verdict thread and the disk are waited for together: nobody sees the number of either before both are there. What is worked out
    // meanwhile is waited for with them: what fails, whichever it is, fails this revision.
    const [overlay, , brought] = await Promise.all([
      this.#adopt(world, revision),
      keeping ?? this.#keep(sections, manifest),
      Promise.resolve().then(bring),
    ]);
    if (this.#isClosed) return;
    // Nobody writes to the overlay before any more.
    const carried =
      brought && manifest.epoch === this.epoch ? this.#carried(world, overlay) : undefined;
    this.#take(world, manifest, overlay);
    if (this.isPublished) {
      this.publish(publish, brought, carried);
      // What was written to edges leaves at the end of this turn: all that follows comes after it.
      await nextTurn();
      this.#haste.end();
    }
    this.#options.logger.info({ revision: this.revision, sections: sections.length }, text);
  }

  /** What comes of the next revision here, without it; false while one is under way, or somebody waits for one. */
  #rehearse(): boolean {
    const [manifest, pack, { world }] = [this.#manifest, this.#pack, this];
    if (manifest === undefined || pack === undefined || world === undefined) return false;
    if (this.#isReplacing || this.#haste.isOn) return false;
    const loaded = rehearsedWorld({ pack, world, seed: this.seed }, true);
    if (loaded === undefined) return true;
    const [revision, moment] = [this.revision, this.overlay.moment()];
    carriedFrom({ world, revision, moment }, { world: loaded, moment });
    encodeManifest(makeManifest(revision, this.seed, manifest.sections, this.epoch));
    loaded.share();
    return true;
  }

  /** From now on edges follow what is served. */
  publish(mode?: PublishMode, brought?: BroughtSections, carried?: CarriedFrom): void {
    const manifest = this.#manifest;
    if (this.world === undefined || manifest === undefined) return;
    this.isPublished = true;
    this.#rehearsal.follow();
    this.#compiler.yieldToAnswers();
    this.#options.persistence.links?.keep(manifest.hash, this.world);
    this.#options.edge.publish({
      manifest,
      revision: this.revision,
      world: this.world.share(),
      overlay: this.overlay.buffer,
      slotCount: this.overlay.slotCount,
      ...(mode === undefined ? {} : { publish: mode }),
      ...(brought === undefined ? {} : { brought }),
      ...(carried === undefined ? {} : { carried }),
    });
  }

  #carried(world: World, overlay: SharedOverlay): CarriedFrom | undefined {
    const before = this.world;
    if (before === undefined || this.#overlay === undefined) return undefined;
    const [moment, next] = [this.#overlay.moment(), overlay.moment()];
    return carriedFrom({ world: before, revision: this.revision, moment }, { world, moment: next });
  }

  /** The sections of a load; those that are not served yet with their bytes, from where the compiler put them. */
  async read(compiled: readonly CompiledSection[]): Promise<LoadedSection[]> {
    const sections: LoadedSection[] = [];
    for (let at = 0; at < compiled.length; at += SECTION_READS_MAX) {
      const some = compiled.slice(at, at + SECTION_READS_MAX);
      sections.push(...(await Promise.all(some.map((section) => this.#readOne(section)))));
    }
    return sections;
  }

  async #readOne({ content, source, ...entry }: CompiledSection): Promise<LoadedSection> {
    if (this.#pack?.has(entry.name) === true) return entry;
    const base = source && this.#pack?.section(source.base);
    const made =
      base && source && applySectionDelta(source.delta, base, this.#spares.get(entry.kind));
    // It is in the state folder else: another revision may have taken the place of the one that it was made of.
    if (made instanceof SharedArrayBuffer)
      return { ...entry, buffer: soundly(made, source), source };
    const found =
      content === undefined
        ? await this.#options.persistence.sectionFolder?.read(entry.name)
        : sharedCopy(content);
    if (!(found instanceof SharedArrayBuffer))
      throw new Error(
        `Cannot read what the compiler wrote: ${found ?? "there is no state folder"}`,
      );
    return { ...entry, buffer: found };
  }

  get #hasFolder(): boolean {
    return this.#options.persistence.sectionFolder !== undefined;
  }

  /** On disk first: a revision number that a client has seen never stands for something else after a crash. */
  #keep(sections: readonly LoadedSection[], manifest: Manifest): Promise<void> {
    // The compiler wrote the others.
    const own = sections.flatMap(({ kind, name, buffer }) =>
      kind === SectionKind.addresses && buffer !== undefined
        ? [{ name, content: new Uint8Array(buffer).slice() }]
        : [],
    );
    return this.#keeper.keep(manifest, own);
  }

  async #put(manifest: Manifest, written: KeptSections): Promise<void> {
    const { persistence, servedByEdges } = this.#options;
    if (this.#hasFolder) {
      await this.#compiler.keep({ manifest, written, served: servedByEdges?.() ?? [] });
      return;
    }
    const { epoch, revision, seed } = manifest;
    const buffers = this.#pack?.sections.map((section) => section.copy()) ?? [];
    const sections = writtenSections(manifest.sections, buffers);
    persistence.saveRevision({ epoch, revision, seed, sections });
  }

  /** Sections of what is served that the disk did not take: the compiler may have forgotten them by now. */
  #missing(manifest: Manifest): KeptSections {
    const folder = this.#options.persistence.sectionFolder;
    const missing: { name: string; content: Uint8Array }[] = [];
    let bytes = 0;
    for (const { name } of manifest.sections) {
      if (folder === undefined || bytes >= MISSING_BYTES_MAX) break;
      const section = folder.has(name) ? undefined : this.#pack?.section(name);
      if (section === undefined) continue;
      const content = new Uint8Array(section.copy()).slice();
      missing.push({ name, content });
      bytes += content.length;
    }
    return missing;
  }

  /** The verdict thread first: what is shown and published is a snapshot with its own overlay. */
  #adopt(world: World, revision: number, begun?: BegunOverlay): Promise<SharedOverlay> {
    return this.#verdicts.adopt(world, {
      revision,
      lastSequence: this.#options.persistence.lastSequence?.() ?? 0,
      ...(begun === undefined ? {} : { begun }),
    });
  }

  #take(world: World, manifest: Manifest, overlay: SharedOverlay): void {
    this.#overlay = overlay;
    this.world = world;
    this.revision = manifest.revision;
    this.epoch = manifest.epoch;
    this.#manifest = manifest;
    this.servedSinceMs = this.#clock.wallMs();
    for (const section of this.#pack?.sections ?? []) this.#spares.get(section.kind)?.soon(section);
  }

  /** What is served, where it lies. */
  #packed(): PackedRevision | undefined {
    const [manifest, pack] = [this.#manifest, this.#pack];
    return manifest && pack && { manifest, pack };
  }

  /** What those sections would serve, beside what is served, which stays; the reason where the reader refuses them. */
  worldOf(sections: readonly LoadedSection[]): World | string {
    const pack = SectionPack.make(sections, this.#pack, undefined, true);
    if ("error" in pack) return pack.error;
    const world = World.load(pack.sections, this.seed, this.world, true);
    return "error" in world ? world.error : world;
  }

  /** Lays sections out beside those that are served and loads them; the reason where the reader refuses them. */
  #load(sections: readonly NamedSection[], seed: number, isVerified: boolean): World | string {
    const pack = SectionPack.make(sections, this.#pack, this.#options.onSlab, isVerified);
    if ("error" in pack) return pack.error;
    const world = World.load(pack.sections, seed, this.world, isVerified);
    if ("error" in world) return world.error;
    this.#superseded.replace(this.#pack, pack);
    this.#pack = pack;
    return world;
  }
}

function writtenSections(
  entries: readonly ManifestSection[],
  buffers: readonly SharedArrayBuffer[],
): WrittenSection[] {
  return entries.flatMap(({ kind, key, name }, index) => {
    const buffer = buffers[index];
    return buffer === undefined ? [] : [{ kind, key: BigInt(`0x${key}`), name, buffer }];
  });
}

/** What was worked out, not only copied, is looked at: a fault there must not be served. */
function soundly(made: SharedArrayBuffer, source: SectionSource | undefined): SharedArrayBuffer {
  const error = source !== undefined && isShifted(source.delta) ? sectionError(made) : undefined;
  if (error !== undefined) throw new TypeError(`Cannot make what was compiled: ${error}`);
  return made;
}

function sourcesOf(sections: readonly LoadedSection[]): Map<string, SectionSource> {
  return new Map(
    sections.flatMap(({ name, source }) => (source === undefined ? [] : [[name, source] as const])),
  );
}

function sharedCopy(content: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(content.length);
  new Uint8Array(buffer).set(content);
  return buffer;
}
