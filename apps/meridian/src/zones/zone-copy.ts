// SPDX-License-Identifier: Apache-2.0

// Where a copy of a zone may come from: documents, a master file, or a running server.

import { readFileSync, statSync } from "node:fs";
import { parseName, type TsigKey, type ZoneRecord } from "@meridian/dns";
import { formatProblem, readMaster, type Model, type Zone } from "@meridian/model";
import type { TransferAs } from "@meridian/snapshot";
import { CommandError, ExitCode } from "../exit-code.ts";
import { loadFiles } from "../files.ts";
import { routedNames, type RoutedName } from "./default-answers.ts";
import { transferZone } from "./transfer-in.ts";

/** One copy of a zone. */
export interface ZoneCopy {
  /** With the records of routed names. */
  readonly records: readonly ZoneRecord[];
  /** Of documents alone. */
  readonly routed: readonly RoutedName[];
}

/** Reads `@HOST[:PORT]`, signed with `key`, a folder or file of documents (.yaml, .yml, .json, .jsonl), or a master file. */
export async function zoneCopyOf(
  source: string,
  origin: string | undefined,
  key?: TsigKey,
): Promise<ZoneCopy> {
  if (source.startsWith("@"))
    return { records: await transferZone(source.slice(1), originBytes(origin), key), routed: [] };
  if (isDocuments(source)) return documentCopy([source], origin);
  const { records, mistakes } = readMaster({
    path: source,
    readFile,
    ...(origin === undefined ? {} : { origin }),
  });
  if (mistakes.length > 0) throw new CommandError(ExitCode.invalid, mistakes.join("\n"));
  return { records, routed: [] };
}

/** The zone as documents have it, routed names as the zone's transfers have them unless `as` is given. */
export function documentCopy(
  paths: readonly string[],
  origin: string | undefined,
  as?: TransferAs,
): ZoneCopy {
  const { model, zone } = zoneInFiles(paths, origin);
  const form = as ?? zone.document.spec.transfers?.transferAs ?? "default";
  const routed = routedNames(model, zone, form);
  return { records: [...zone.records, ...routed.flatMap(({ records }) => records)], routed };
}

/** The zone `origin` of some files, or their only one. */
export function zoneInFiles(
  paths: readonly string[],
  origin: string | undefined,
): { readonly model: Model; readonly zone: Zone } {
  const { model, problems, errors } = loadFiles(paths);
  if (model === undefined)
    throw new CommandError(
      ExitCode.invalid,
      [...errors.map(({ message }) => message), ...problems.map(formatProblem)].join("\n"),
    );
  const [first, ...others] = model.zones.values();
  const asked = origin?.replace(/(?<=.)\.$/, "").toLowerCase();
  const zone = asked === undefined && others.length === 0 ? first : model.zones.get(asked ?? "");
  if (zone !== undefined) return { model, zone };
  const known = [...model.zones.keys()].join(", ") || "none here";
  const message =
    asked === undefined
      ? `There is more than one zone, or none, expected one of: ${known}`
      : `There is no zone "${asked}", expected one of: ${known}`;
  throw new CommandError(ExitCode.notFound, message);
}

/** The content of a file, or undefined. */
export function readFile(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function isDocuments(path: string): boolean {
  if (/\.(?:ya?ml|jsonl?)$/.test(path)) return true;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function originBytes(origin: string | undefined): Uint8Array {
  if (origin === undefined)
    throw new CommandError(
      ExitCode.invalid,
      "Option --zone is missing: a server has to be told which",
    );
  const name = parseName(origin);
  if ("error" in name) throw new CommandError(ExitCode.invalid, `Option --zone: ${name.error}`);
  return name;
}
