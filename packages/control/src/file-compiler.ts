// SPDX-License-Identifier: Apache-2.0

// Files → sections: reads, validates and compiles, and keeps the model for questions about records. Slow for large sets of files (seconds
// for a million names), so it lives in a thread of its own (compiler-thread.ts) and only plain data leave it.

import { MeridianError } from "@meridian/core";
import {
  DocumentReader,
  failoverBudget,
  hasErrors,
  loadModel,
  type FailoverBudget,
  type Model,
  type Problem,
} from "@meridian/model";
import type { WrittenSection } from "@meridian/snapshot/writer";
import { resolvedMembers, type ResolvedMember } from "./compile-addresses.ts";
import { compile, type CompileProblem } from "./compile.ts";
import { classifierCompiler } from "./data-sets/classifier-compiler.ts";
import { DataSets } from "./data-sets/data-sets.ts";
import { resolversCompiler } from "./data-sets/resolvers-compiler.ts";
import { readBounded, readDocumentFiles } from "./file-loader.ts";
import { reportsPath, type ReportedLatency } from "./latency-samples.ts";
import type { Page, PageRequest } from "./page.ts";
import { servedParts, type ServedParts } from "./served-model.ts";
import { recordViews, type RecordView } from "./views.ts";
import { lastZones } from "./zone-history.ts";

/** Where the compiler reads from. */
export interface CompilerFolders {
  /** Files and folders of documents. */
  readonly paths: readonly string[];
  /** Keeps built location maps over restarts. */
  readonly mapsFolder: string | undefined;
  /** Keeps latencies reported from outside. */
  readonly latencyFolder: string | undefined;
}

/** What one load is about. */
export interface LoadRequest {
  readonly nowMs: number;
  /** Seed of the name hashes. */
  readonly seed: number;
  /** What is published now: serials go on from it, and zones that cannot be compiled keep theirs. */
  readonly published: readonly WrittenSection[];
  readonly serialBase: number;
  /** Documents that are served now; files that declare nothing are refused then, unless `allowEmpty`. */
  readonly servedDocuments: number;
  readonly allowEmpty: boolean;
  /** Why ICMP checks cannot be had; undefined where they can. */
  readonly icmpUnavailable: string | undefined;
}

/** What came of a load: problems always, the rest only where the files are good. */
export interface LoadOutcome {
  readonly problems: readonly Problem[];
  readonly errors: readonly string[];
  /** Every file that was read, to be watched. */
  readonly watched: readonly string[];
  readonly accepted?: AcceptedLoad;
}

export interface AcceptedLoad {
  readonly parts: ServedParts;
  /** Without resolved addresses: those belong to the running system. */
  readonly sections: readonly WrittenSection[];
  readonly zoneProblems: readonly CompileProblem[];
  /** Endpoints whose host names are answered by address. */
  readonly resolvedMembers: readonly ResolvedMember[];
}

export class FileCompiler {
  readonly #paths: readonly string[];
  readonly #dataSets: DataSets;
  readonly #latencyFolder: string | undefined;
  readonly #reader = new DocumentReader();
  #model: Model | undefined;

  constructor({ paths, mapsFolder, latencyFolder }: CompilerFolders) {
    this.#paths = paths;
    this.#dataSets = new DataSets(mapsFolder);
    this.#latencyFolder = latencyFolder;
  }

  /** All or nothing: with any error only problems, errors and the files to watch come back. */
  load(request: LoadRequest): LoadOutcome {
    const { files, errors: unread } = readDocumentFiles(this.#paths);
    const watched = [...this.#paths, ...files.map(({ path }) => path)];
    const readFile = (path: string): Uint8Array | undefined => {
      watched.push(path);
      const bytes = readBounded(path);
      return bytes instanceof Uint8Array ? bytes : undefined;
    };
    const { model, documentCount, problems } = loadModel(files, {
      now: request.nowMs,
      readFile,
      reader: this.#reader,
    });
    const errors = [
      ...unread.map(({ message }) => message),
      ...refuseEmptying(documentCount, request),
      ...(model === undefined ? [] : refuseIcmp(model, request.icmpUnavailable)),
    ];
    if (model === undefined || hasErrors(problems) || errors.length > 0)
      return { problems, errors, watched };
    try {
      const accepted = this.#compile(model, request);
      this.#model = model;
      return { problems, errors, watched, accepted };
    } catch (error) {
      // A data set that cannot be read, two names with one key: the files' fault. All else is a fault of this program.
      if (!(error instanceof MeridianError)) throw error;
      return { problems, errors: [error.message], watched };
    }
  }

  records(request: PageRequest): Page<RecordView> {
    return this.#model === undefined ? { items: [] } : recordViews(this.#model, request);
  }

  /** Failover budget of a record's name, given with or without its last dot; undefined where nothing of it is checked. */
  budget(name: string): FailoverBudget | undefined {
    const model = this.#model;
    const record = model?.records.withOwner(name);
    return model === undefined || record === undefined ? undefined : failoverBudget(model, record);
  }

  /** Each load reads the files of reports anew, so one version stands for what they hold. */
  #reportedLatency(): ReportedLatency | undefined {
    const folder = this.#latencyFolder;
    return folder === undefined
      ? undefined
      : { version: 0, pathOf: (dataSet) => reportsPath(folder, dataSet) };
  }

  #compile(model: Model, request: LoadRequest): AcceptedLoad {
    const { sections, problems } = compile(model, {
      seed: request.seed,
      classify: classifierCompiler(this.#dataSets, this.#reportedLatency()),
      resolvers: resolversCompiler(this.#dataSets),
      last: lastZones(request.published),
      serialBase: request.serialBase,
    });
    return {
      parts: servedParts(model),
      sections,
      zoneProblems: problems,
      resolvedMembers: resolvedMembers(model),
    };
  }
}

function refuseEmptying(documents: number, { servedDocuments, allowEmpty }: LoadRequest): string[] {
  if (documents > 0 || servedDocuments === 0 || allowEmpty) return [];
  return [
    `Cannot apply the files: they declare nothing, while ${servedDocuments} documents are served; start with --allow-empty to mean it`,
  ];
}

function refuseIcmp(model: Model, unavailable: string | undefined): string[] {
  if (unavailable === undefined) return [];
  return [...model.checks.values()]
    .filter(({ spec }) => spec.icmp !== undefined)
    .map(
      ({ source, metadata }) =>
        `${source.file}:${source.line}: HealthCheck "${metadata.name}" uses icmp, which this machine cannot send: ${unavailable}`,
    );
}
