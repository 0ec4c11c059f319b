// SPDX-License-Identifier: Apache-2.0

// What the files held that were compiled last, so that of the next ones only those are read that may hold something else.

import {
  DocumentReader,
  documentChanges,
  hasErrors,
  type DocumentChanges,
  type FilePart,
  type InputFile,
} from "@meridian/model";

/** Files that changed and hold more together, some 1,500 documents, take longer to read than a small change may. */
const SMALL_BYTES = 256 * 1024;

interface LoadedFile {
  readonly version: string | undefined;
  readonly part: FilePart;
}

/** Files that are other than they were. */
export interface ChangedFiles {
  readonly next: LoadedFiles;
  readonly changes: DocumentChanges;
  readonly files: readonly InputFile[];
  /** What these hold now. */
  readonly parts: readonly FilePart[];
  /** Paths of these and of those that are gone. */
  readonly paths: ReadonlySet<string>;
}

/** Files of documents that were all right; immutable. */
export class LoadedFiles {
  readonly #files: ReadonlyMap<string, LoadedFile>;
  /** Versions of what documents name: master files and what these include. */
  readonly #named: ReadonlyMap<string, string | undefined>;

  private constructor(
    files: ReadonlyMap<string, LoadedFile>,
    named: ReadonlyMap<string, string | undefined>,
  ) {
    this.#files = files;
    this.#named = named;
  }

  static of(
    files: readonly InputFile[],
    parts: ReadonlyMap<string, FilePart>,
    named: ReadonlyMap<string, string | undefined>,
  ): LoadedFiles {
    const loaded = new Map<string, LoadedFile>();
    for (const { path, version } of files) {
      const part = parts.get(path);
      if (part !== undefined) loaded.set(path, { version, part });
    }
    return new LoadedFiles(loaded, named);
  }

  /** What documents name, to be watched with them. */
  get named(): Iterable<string> {
    return this.#named.keys();
  }

  /**
   * What has changed; undefined where something is wrong with it, or a file that documents name is another one by `versionOf`. `onMuch` is
   * called before much is read.
   */
  changed(
    files: readonly InputFile[],
    versionOf: (path: string) => string | undefined,
    onMuch: () => void,
  ): ChangedFiles | undefined {
    for (const [path, version] of this.#named)
      if (version === undefined || versionOf(path) !== version) return undefined;
    const next = new Map<string, LoadedFile>();
    const fresh: InputFile[] = [];
    const parts: FilePart[] = [];
    let freshBytes = 0;
    for (const file of files) {
      const { path, version } = file;
      const known = this.#files.get(path);
      if (known !== undefined && version !== undefined && known.version === version) {
        next.set(path, known);
        continue;
      }
      const bytes = typeof file.bytes === "function" ? file.bytes() : file.bytes;
      if (typeof bytes === "string") return undefined;
      freshBytes += bytes.length;
      if (freshBytes > SMALL_BYTES) onMuch();
      const read = new DocumentReader().read([{ path, bytes, version }]);
      const part = read.parts.get(path);
      if (part === undefined || hasErrors(read.problems)) return undefined;
      fresh.push(file);
      parts.push(part);
      next.set(path, { version, part });
    }
    const stale = [...this.#files].filter(([path, file]) => next.get(path) !== file);
    const before = stale.map(([, { part }]) => part);
    const changes = documentChanges(before, parts);
    if (changes === undefined) return undefined;
    const paths = new Set([...stale.map(([path]) => path), ...fresh.map(({ path }) => path)]);
    return { next: new LoadedFiles(next, this.#named), changes, files: fresh, parts, paths };
  }
}
