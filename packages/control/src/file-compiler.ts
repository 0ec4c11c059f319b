// SPDX-License-Identifier: Apache-2.0

// Files → sections: reads, validates and compiles, hands over what is new (compiled-sections.ts), and keeps the model for questions about
// records. Slow for large sets of files (seconds for a million names), so it lives in a process of its own (compiler-process.ts). What
// leaves it is small: names of sections, and the documents that have changed since the last load.

import { hash, randomUUID } from "node:crypto";
import { sep } from "node:path";
import { MeridianError, assert } from "@meridian/core";
import { probePlanText } from "@meridian/health";
import {
  DocumentReader,
  PatchedModel,
  RecordTable,
  hasErrors,
  isKind,
  isZoneCopyPath,
  lintSome,
  loadModel,
  locateProblems,
  type InputFile,
  type Loaded,
  type Model,
  type ModelPatch,
  type Problem,
} from "@meridian/model";
import { SpareCopy } from "@meridian/snapshot";
import { manifestSection } from "@meridian/snapshot/disk";
import type { WrittenSection } from "@meridian/snapshot/writer";
import { resolvedMembers } from "./compile-addresses.ts";
import { CompiledSections, isPublished } from "./compiled-sections.ts";
import { compile } from "./compile.ts";
import { capacityRules } from "./capacity-rules.ts";
import { declaredLatches } from "./declared-latches.ts";
import { classifierCompiler } from "./data-sets/classifier-compiler.ts";
import { mayEmpty } from "./emptied-names.ts";
import { DataSets } from "./data-sets/data-sets.ts";
import { resolversCompiler } from "./data-sets/resolvers-compiler.ts";
import type { FileDocument } from "./documents/publisher.ts";
import { zoneClaims } from "./documents/zone-claims.ts";
import { readBounded, readDocumentFiles, versionAt } from "./file-loader.ts";
import { fileChanges } from "./planned-files.ts";
import { hostNamesOf } from "./host-resolver.ts";
import { reportsPath, type ReportedLatency } from "./latency-samples.ts";
import type { Page, PageRequest } from "@meridian/snapshot/surface";
import { LoadedFiles, type ChangedFiles } from "./loaded-files.ts";
import {
  changedZones,
  compiledState,
  hasSerials,
  patchedState,
  replacedParts,
  sectionsOf,
  type CompiledState,
  type LargeSpares,
  type PatchOptions,
} from "./compiled-state.ts";
import { changedParts, smallChange } from "./served-model.ts";
import { writeProbePlan } from "./probe-plan-file.ts";
import type { AcceptedLoad, CompilerFolders, LoadOutcome, LoadRequest } from "./file-load.ts";
import {
  refuseEmptying,
  refuseIcmp,
  refuseLosing,
  losingIn,
  refusedShrinking,
  shrinkingIn,
} from "./load-refusals.ts";
import { rehearsedChange } from "./rehearsed-change.ts";
import { ProbeTargets, type ResolvedHosts } from "./probe-targets.ts";
import { changedCopies, type CopyFiles } from "./secondary/changed-copies.ts";
import type { DocumentKey } from "./store/store.ts";
import { declaredZone, type DeclaredZone } from "./updates/declared-zone.ts";
import { recordViews, type RecordView } from "./views.ts";
import { lastZones, newSerials, zonesOfSerials } from "./zone-history.ts";

export class FileCompiler {
  readonly #paths: readonly string[];
  readonly #dataSets: DataSets;
  readonly #latencyFolder: string | undefined;
  readonly #reader = new DocumentReader();
  /** What was compiled, on its way out. */
  readonly sections: CompiledSections;
  /** Called between steps of long work; may end the process. */
  readonly #onStep: () => void;
  /** Called before work that takes long; again where more of it comes. */
  readonly #onWhole: () => void;
  readonly #snapshotFolder: string | undefined;
  /** What was compiled last, where it is known what of; only with `#last` is a small change compiled from it. */
  #patched: PatchedModel | undefined;
  #last: LastLoad | undefined;
  readonly #spares: LargeSpares = { pools: new SpareCopy(), policies: new SpareCopy() };
  /** The newest load that was no trial. */
  #request: LoadRequest | undefined;
  /** The newest print that was handed out. */
  #print: Uint8Array | undefined;
  /** Hash of what was written of probes: most reloads change none. */
  #savedProbes = "";

  constructor(
    folders: CompilerFolders,
    onStep: () => void = () => {},
    onWhole: () => void = () => {},
  ) {
    this.#paths = folders.paths;
    this.#dataSets = new DataSets(folders.mapsFolder);
    this.#latencyFolder = folders.latencyFolder;
    this.sections = new CompiledSections(folders.snapshotFolder, onStep);
    this.#snapshotFolder = folders.snapshotFolder;
    this.#onStep = onStep;
    this.#onWhole = onWhole;
  }

  /** All or nothing: with any error only problems, errors and the files to watch come back. */
  load(request: LoadRequest): LoadOutcome {
    const { paths } = request;
    assert(paths === undefined || request.isTrial, "other files are only tried");
    const found = this.#list(request.stored, paths);
    const listed = {
      ...found,
      errors: [...found.errors, ...refuseLosing(found.filled, request.filled)],
    };
    if (!request.isTrial) this.#request = request;
    if (paths === undefined)
      return this.#loadChange(listed, request) ?? this.#loadWhole(listed, request);
    const outcome = this.#loadWhole(listed, request);
    return outcome.accepted === undefined
      ? outcome
      : { ...outcome, fileChanges: fileChanges(this.#paths, paths) };
  }

  /** Whether small changes can be compiled, from what was compiled last. */
  get isLoaded(): boolean {
    return this.#last !== undefined;
  }

  /** Compiles a small change for nobody, so that the next one is compiled sooner; false where there is nothing to compile it from. */
  rehearse(): boolean {
    const [last, request] = [this.#last, this.#request];
    if (last === undefined || request === undefined) return false;
    const change = rehearsedChange(last.state.patched.model);
    if (change === undefined) return false;
    const listed = this.#list([...request.stored, change]);
    const published = sectionsOf(last.state).map(manifestSection);
    const held = { ...request.held, id: last.id, changed: [] };
    const trial = { ...request, published, held, serials: undefined, isWhole: false };
    return this.#loadChange(listed, { ...trial, isTrial: true }, true) !== undefined;
  }

  /** A small change of what was compiled last; undefined where everything has to be looked at, because of what is wrong above all. */
  #loadChange(
    listed: ListedFiles,
    request: LoadRequest,
    isRehearsal = false,
  ): LoadOutcome | undefined {
    const last = this.#last;
    if (last === undefined || request.isWhole === true || listed.errors.length > 0)
      return undefined;
    const serials = request.serials && zonesOfSerials(request.serials);
    const isNext =
      last.seed === request.seed &&
      last.id === request.held?.id &&
      last.icmpUnavailable === request.icmpUnavailable &&
      (serials === undefined
        ? isPublished(last.state, request.published)
        : hasSerials(last.state, serials));
    const changed = isNext ? last.files.changed(listed.files, versionAt, this.#onWhole) : undefined;
    const copies = changed && changedCopies(last.copies, listed.copies);
    const patch = copies && last.state.patched.patched(changed.changes, copies);
    if (changed === undefined || patch === undefined || patch.next.model.documentCount === 0)
      return undefined;
    const { seed, serialBase } = request;
    const spares = this.#spares;
    const state = this.#patchedState(last.state, patch, { seed, serialBase, serials, spares });
    // The whole says what is wrong with it.
    const isLess = request.servedSize !== undefined && mayEmpty(last.state.patched.model, patch);
    if (state === undefined || isLess || shrinkingIn(state, request) !== undefined)
      return undefined;
    const problems = [
      ...last.problems.filter(({ file }) => !changed.paths.has(file)),
      ...lintParts(patch.next.model, changed),
    ];
    const id = randomUUID();
    const { pools, policies } = patch;
    const parts = smallChange({ pools, policies }, patch.next.model.documentCount, id);
    const sections = sectionsOf(state);
    const replaced = replacedParts(last.state, state);
    const accepted = {
      ...last.accepted,
      parts,
      sections: isRehearsal
        ? this.sections.rehearse(replaced)
        : this.sections.handAll(sections, request, replaced),
      claims: zoneClaims(patch.next.model),
      serials: serials === undefined ? [] : newSerials(changedZones(last.state, state), serials),
    };
    if (!request.isTrial) {
      this.#patched = patch.next;
      this.#last = {
        ...{ ...last, id, state, accepted, problems },
        ...{ files: changed.next, copies: listed.copies },
      };
      this.sections.remember(sections);
    }
    // One that is only tried takes it, too.
    this.#copySoon(request.isTrial ? last.state : state);
    const watched = [...listed.watched, ...last.files.named];
    return { problems, errors: [], watched, accepted, filled: listed.filled };
  }

  #patchedState(
    before: CompiledState,
    patch: ModelPatch,
    options: PatchOptions,
  ): CompiledState | undefined {
    try {
      return patchedState(before, patch, options);
    } catch (error) {
      // Compiling the whole says all that is wrong.
      if (error instanceof MeridianError) return undefined;
      throw error;
    }
  }

  #copySoon({ pools, policies }: CompiledState): void {
    this.#spares.pools.soon(pools.section);
    this.#spares.policies.soon(policies.section);
  }

  #loadWhole(listed: ListedFiles, request: LoadRequest): LoadOutcome {
    this.#onWhole();
    const { loaded, named } = this.#read(listed, request.nowMs);
    const watched = [...listed.watched, ...named.keys()];
    const { model, documentCount, problems } = loaded;
    const errors = [
      ...listed.errors,
      ...refuseEmptying(documentCount, request),
      ...(model === undefined ? [] : refuseIcmp(model, request.icmpUnavailable)),
    ];
    if (model === undefined || hasErrors(problems) || errors.length > 0)
      return { problems, errors, watched };
    try {
      const { accepted, state, sections } = this.#compile(model, request);
      const { filled } = listed;
      const shrinking = losingIn(state, this.#patched, request);
      if (shrinking !== undefined)
        return { problems, errors: [refusedShrinking(shrinking)], watched, shrinking };
      if (request.isTrial) return { problems, errors, watched, accepted, filled };
      this.#patched = state.patched;
      this.#print = accepted.parts.print;
      this.sections.remember(sections);
      this.#copySoon(state);
      const files = LoadedFiles.of(listed.files, loaded.parts, named);
      const { seed, icmpUnavailable } = request;
      const { id } = accepted.parts;
      // A zone that kept its last good state is compiled with its documents, not from it.
      const isComplete = accepted.zoneProblems.length === 0;
      this.#last = isComplete
        ? {
            ...{ id, state, accepted, problems, files, seed, icmpUnavailable },
            copies: listed.copies,
          }
        : undefined;
      return { problems, errors, watched, accepted, filled };
    } catch (error) {
      // A data set that cannot be read, two names with one key: the files' fault. All else is a fault of this program.
      if (!(error instanceof MeridianError)) throw error;
      return { problems, errors: [error.message], watched };
    }
  }

  /** Puts on disk what is probed; false where that is not known here. */
  saveProbes(hosts: ResolvedHosts): boolean {
    const model = this.#patched?.model;
    if (model === undefined || this.#snapshotFolder === undefined) return false;
    this.#onWhole();
    const targets = new ProbeTargets().of(model, hosts);
    const text = probePlanText({
      targets,
      rules: [...capacityRules(model)],
      latches: [...declaredLatches(model)],
    });
    const print = hash("sha256", text);
    if (print !== this.#savedProbes) writeProbePlan(this.#snapshotFolder, text);
    this.#savedProbes = print;
    return true;
  }

  /** What is shown of the records; a process that has not loaded the files reads them for it. */
  records(request: PageRequest, nowMs: number, stored: readonly InputFile[]): Page<RecordView> {
    this.#onWhole();
    const known = this.#known(nowMs, stored);
    return known === undefined
      ? { items: [] }
      : // A page goes through them twice.
        recordViews(known.model, request, { [Symbol.iterator]: () => known.allRecords() });
  }

  /** A document that a file holds. */
  document(
    key: DocumentKey,
    nowMs: number,
    stored: readonly InputFile[],
  ): FileDocument | undefined {
    const { kind, namespace, name } = key;
    if (!isKind(kind)) return undefined;
    const found = this.#known(nowMs, stored)?.document({ kind, namespace, name });
    if (found === undefined) return undefined;
    const { source, ...document } = found;
    return { document, file: source.file, line: source.line };
  }

  /** What is declared of a zone and some of its names. */
  zone(
    origin: string,
    names: readonly Uint8Array[],
    nowMs: number,
    stored: readonly InputFile[],
  ): DeclaredZone | undefined {
    const known = this.#known(nowMs, stored);
    return known === undefined ? undefined : declaredZone(known, origin, names);
  }

  #known(nowMs: number, stored: readonly InputFile[]): PatchedModel | undefined {
    if (this.#patched === undefined) {
      this.#onWhole();
      const { model, problems } = this.#read(this.#list(stored), nowMs).loaded;
      if (model !== undefined && !hasErrors(problems)) this.#patched = PatchedModel.of(model);
    }
    return this.#patched;
  }

  #list(stored: readonly InputFile[], paths: readonly string[] = this.#paths): ListedFiles {
    const { files, folders, errors } = readDocumentFiles(paths);
    this.#onStep();
    // What cannot be read as well: it may be right soon.
    const unreadable = errors.map(({ file }) => file);
    const found = [...folders, ...files.map(({ path }) => path), ...unreadable];
    return {
      filled: paths.filter((given) => files.some(({ path }) => isWithin(path, given))),
      files: [...files, ...stored.filter(({ path }) => !isZoneCopyPath(path))],
      copies: new Map(
        stored.flatMap((file) => (isZoneCopyPath(file.path) ? [[file.path, file]] : [])),
      ),
      watched: [...new Set([...paths, ...found])],
      errors: errors.map(({ message }) => message),
    };
  }

  #read(
    listed: ListedFiles,
    now: number,
  ): { readonly loaded: Loaded; readonly named: ReadonlyMap<string, string | undefined> } {
    const named = new Map<string, string | undefined>();
    const readFile = (path: string): Uint8Array | undefined => {
      this.#onStep();
      const isCopy = isZoneCopyPath(path);
      if (!isCopy) named.set(path, versionAt(path));
      const bytes = isCopy ? bytesOf(listed.copies.get(path)) : readBounded(path);
      return bytes instanceof Uint8Array ? bytes : undefined;
    };
    const loaded = loadModel(listed.files, { now, readFile, reader: this.#reader });
    this.#onStep();
    return { loaded, named };
  }

  /** Each load reads the files of reports anew, so one version stands for what they hold. */
  #reportedLatency(): ReportedLatency | undefined {
    const folder = this.#latencyFolder;
    return folder === undefined
      ? undefined
      : { version: 0, pathOf: (dataSet) => reportsPath(folder, dataSet) };
  }

  #compile(
    model: Model,
    request: LoadRequest,
  ): {
    readonly accepted: AcceptedLoad;
    readonly state: CompiledState;
    readonly sections: readonly WrittenSection[];
  } {
    const last =
      request.serials === undefined
        ? lastZones(this.sections.zonesOf(request.published))
        : zonesOfSerials(request.serials);
    const compiled = compile(model, {
      seed: request.seed,
      classify: classifierCompiler(this.#dataSets, this.#reportedLatency()),
      resolvers: resolversCompiler(this.#dataSets),
      last,
      serialBase: request.serialBase,
    });
    this.#onStep();
    const state = compiledState(PatchedModel.of(model), compiled, request.seed);
    const { sections } = compiled;
    const resolved = resolvedMembers(model);
    const { held } = request;
    const print = held === undefined ? undefined : (held.print ?? this.#print);
    const accepted = {
      parts: changedParts(model, held && { print, changed: held.changed }, randomUUID()),
      sections: this.sections.handAll(sections, request),
      zoneProblems: compiled.problems,
      claims: zoneClaims(model),
      resolvedMembers: resolved,
      hostNames: [...new Set([...hostNamesOf(model), ...resolved.map(({ host }) => host)])],
      serials: request.serials === undefined ? [] : newSerials(sections, last),
    };
    return { accepted, state, sections };
  }
}

interface ListedFiles {
  /** Of the paths that were given, those with files. */
  readonly filled: readonly string[];
  /** With those of the store. */
  readonly files: readonly InputFile[];
  /** Copies of secondary zones, in the store. */
  readonly copies: ReadonlyMap<string, InputFile>;
  readonly watched: readonly string[];
  readonly errors: readonly string[];
}

/** What the next load may be compiled from. */
interface LastLoad {
  /** As the asker has it: `HeldParts.id`. */
  readonly id: string;
  readonly state: CompiledState;
  readonly accepted: AcceptedLoad;
  readonly problems: readonly Problem[];
  readonly files: LoadedFiles;
  /** Of secondary zones. */
  readonly copies: CopyFiles;
  readonly seed: number;
  readonly icmpUnavailable: string | undefined;
}

/** The warnings of the documents of changed files. */
function lintParts(model: Model, { parts, files }: ChangedFiles): Problem[] {
  const problems = parts.flatMap(({ documents, records, start, end }) => {
    const own = new RecordTable();
    own.addFrom(records, start, end);
    return lintSome(model, documents, own);
  });
  return locateProblems(problems, files);
}

function bytesOf(file: InputFile | undefined): Uint8Array | string | undefined {
  return typeof file?.bytes === "function" ? file.bytes() : file?.bytes;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
