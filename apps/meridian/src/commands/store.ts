// SPDX-License-Identifier: Apache-2.0

// Work on a store that no server needs to run for: it opens the store itself.

import { join, resolve } from "node:path";
import {
  copyOf,
  loadCopy,
  openStore,
  parseStoreLocation,
  readBackup,
  writeBackup,
  type CopyProgress,
  type Store,
} from "@meridian/control";
import type { CommandInput } from "../command.ts";
import { ExitCode } from "../exit-code.ts";
import { complain, print, printJson } from "../output.ts";
import { stateDirOf } from "../server-settings.ts";

const REVISIONS_MAX = 2 ** 48;
const PROGRESS_INTERVAL_MS = 1000;

/** Writes all that a store knows to a new file. */
export function backup(input: CommandInput): Promise<ExitCode> {
  const path = resolve(input.argument(0));
  return withStore(placeOf(input), true, async (store) => {
    const copy = await copyOf(store);
    const { storeId, epoch, revision } = copy.start;
    const written = await writeBackup(path, copy, progressLine());
    const result = { file: path, storeId, epoch, revision, ...written };
    if (input.isJson()) printJson(result);
    else print(`Wrote revision ${revision} of epoch ${epoch} to ${path}, ${written.bytes} bytes`);
    return ExitCode.done;
  });
}

/** Fills a store from a backup, in a new epoch. */
export function restore(input: CommandInput): Promise<ExitCode> {
  return withStore(placeOf(input), false, async (store) =>
    fill(input, store, await readBackup(resolve(input.argument(0)))),
  );
}

/** Fills a store with another, in a new epoch. */
export function migrate(input: CommandInput): Promise<ExitCode> {
  return withStore(input.argument(0), true, (source) =>
    withStore(input.argument(1), false, async (target) =>
      fill(input, target, await copyOf(source)),
    ),
  );
}

/** Forgets history. */
export function compact(input: CommandInput): Promise<ExitCode> {
  const kept = input.wholeNumber("keep", 1, REVISIONS_MAX) ?? 1;
  return withStore(placeOf(input), false, async (store) => {
    const { revision, oldestRevision } = await store.head();
    const before = Math.max(oldestRevision, revision - kept + 1);
    await store.compact(before);
    if (input.isJson()) printJson({ revision, oldestRevision: before });
    else print(`History begins at revision ${before}, head is revision ${revision}`);
    return ExitCode.done;
  });
}

/** Reads everything, and shows what is wrong with it. */
export function verify(input: CommandInput): Promise<ExitCode> {
  return withStore(placeOf(input), true, async (store) => {
    const { storeId, epoch, revision, oldestRevision, auditHash } = await store.head();
    const problems = await store.verify();
    if (input.isJson())
      printJson({ storeId, epoch, revision, oldestRevision, auditHash, problems });
    else {
      for (const problem of problems) print(problem);
      if (problems.length === 0)
        print(
          `Revisions ${oldestRevision} to ${revision} of epoch ${epoch} are whole; audit hash ${auditHash}`,
        );
    }
    return problems.length === 0 ? ExitCode.done : ExitCode.failed;
  });
}

async function fill(
  input: CommandInput,
  store: Store,
  copy: Awaited<ReturnType<typeof copyOf>>,
): Promise<ExitCode> {
  const { epoch, revision, oldestRevision } = await loadCopy(store, copy, {
    replace: input.flag("force"),
    wallMs: Date.now(),
    onProgress: progressLine(),
  });
  if (input.isJson()) printJson({ epoch, revision, oldestRevision });
  else print(`The store is at revision ${revision} of epoch ${epoch}`);
  return ExitCode.done;
}

/** The store that --store names, else the one in the state folder. */
function placeOf(input: CommandInput): string {
  return input.text("store") ?? `sqlite:${join(stateDirOf(input), "store.sqlite")}`;
}

async function withStore(
  place: string,
  isReadOnly: boolean,
  body: (store: Store) => Promise<ExitCode>,
): Promise<ExitCode> {
  const store = await openStore(parseStoreLocation(place, isReadOnly), complain);
  try {
    return await body(store);
  } finally {
    await store.close();
  }
}

/** Says on standard error how far it is, once a second. */
function progressLine(): (progress: CopyProgress) => void {
  let saidAtMs = performance.now();
  return ({ documents, changeSets, changeSetsWanted }) => {
    if (performance.now() - saidAtMs < PROGRESS_INTERVAL_MS) return;
    saidAtMs = performance.now();
    complain(`${documents} documents, ${changeSets} of ${changeSetsWanted} change sets`);
  };
}
