// SPDX-License-Identifier: Apache-2.0

// The views section (kind 10): which view a client sees. There is none where no View is declared; a reader that does not know it refuses
// the snapshot, as it would show zones of views to everybody.
//
//   range table    address ─► class      of the longest network that holds it; 0: of none
//   classes        first entry, count
//   entries        view, key + 1         rules that such a client fits, views in their order; key 0: whether it signs or not
//
// The first entry that fits is the view. Rules without networks are in every class. Nothing comes behind an entry without a key, and a
// class has an entry for each key at most, so that a look-up is bounded. An IPv4 address inside an IPv6 one is not looked at: who writes
// 2002:a00:1:: is not in 10.0.0.0/8.

import { assert } from "@meridian/core";
import { FAMILY_IPV4 } from "../client.ts";
import { RangeTable } from "../location/range-table.ts";
import { rangesError } from "../location/range-check.ts";
import { SectionKind, type Section } from "../section.ts";
import { isTransferKey, type TransferKey } from "../zone/transfer-settings.ts";

/** Table ids of a views section besides those of its range table. */
export const ViewTableId = { settings: 24, classes: 25, entries: 26 } as const;
/** Words of a class and of an entry. */
export const VIEW_ROW_WORDS = 2;
/** Text whose key names the section. */
export const VIEWS_KEY_TEXT = "section/views";
/** No view: the zones that are in none. */
export const NO_VIEW = -1;

/** What the section says in words. */
export interface ViewSettings {
  /** Names of the views, in their order. */
  readonly names: readonly string[];
  readonly keys: readonly TransferKey[];
}

/** A views section read where it lies. */
export class ViewTable {
  readonly names: readonly string[];
  readonly keys: readonly TransferKey[];
  readonly #ranges: RangeTable;
  readonly #words: Uint32Array;
  readonly #classes: number;
  readonly #entries: number;

  private constructor(section: Section, { names, keys }: ViewSettings) {
    this.names = names;
    this.keys = keys;
    this.#ranges = new RangeTable(section);
    this.#words = section.words;
    this.#classes = section.wordBase(ViewTableId.classes);
    this.#entries = section.wordBase(ViewTableId.entries);
  }

  /** Opens a section in which `viewsError` found nothing wrong. */
  static open(section: Section): ViewTable {
    const settings = readSettings(section);
    assert(section.kind === SectionKind.views && settings !== undefined, "the section is of views");
    return new ViewTable(section, settings);
  }

  /** The view of a client: its address, 4 or 16 bytes at `source[start]`, and the index of the key that it signed with, −1 for none. */
  find(source: Uint8Array, start: number, family: number, key: number): number {
    const words = this.#words;
    const cls =
      family === FAMILY_IPV4
        ? this.#ranges.lookupIpv4(wordAt(source, start))
        : this.#ranges.lookupIpv6(
            wordAt(source, start),
            wordAt(source, start + 4),
            wordAt(source, start + 8),
            wordAt(source, start + 12),
          );
    const first = words[this.#classes + cls * VIEW_ROW_WORDS]!;
    const end = first + words[this.#classes + cls * VIEW_ROW_WORDS + 1]!;
    for (let entry = first; entry < end; entry++) {
      const at = this.#entries + entry * VIEW_ROW_WORDS;
      const wanted = words[at + 1]!;
      if (wanted === 0 || wanted === key + 1) return words[at]!;
    }
    return NO_VIEW;
  }
}

/** Why a views section cannot be served, or undefined. */
export function viewsError(section: Section): string | undefined {
  const settings = readSettings(section);
  if (settings === undefined) return "Views section does not say what its views are";
  const classes = section.count(ViewTableId.classes);
  const entries = section.count(ViewTableId.entries);
  const flaw = rangesError(
    section,
    "Views",
    {
      [ViewTableId.settings]: 1,
      [ViewTableId.classes]: VIEW_ROW_WORDS * 4,
      [ViewTableId.entries]: VIEW_ROW_WORDS * 4,
    },
    (value) => value < classes,
  );
  if (flaw !== undefined) return flaw;
  const row = (table: number, index: number): readonly [number, number] => {
    const at = section.wordBase(table) + index * VIEW_ROW_WORDS;
    return [section.words[at] ?? 0, section.words[at + 1] ?? 0];
  };
  for (let index = 0; index < classes; index++) {
    const [first, count] = row(ViewTableId.classes, index);
    if (first + count > entries)
      return `Views section has class ${index} with ${count} entries from ${first}, expected inside ${entries}`;
  }
  for (let index = 0; index < entries; index++) {
    const [view, key] = row(ViewTableId.entries, index);
    if (view >= settings.names.length || key > settings.keys.length)
      return `Views section has entry ${index} of view ${view} and key ${key}, expected ones that it has`;
  }
  return undefined;
}

function readSettings(section: Section): ViewSettings | undefined {
  const { offset, count } = section.table(ViewTableId.settings);
  try {
    const text = Buffer.from(section.bytes.subarray(offset, offset + count)).toString();
    const raw: unknown = JSON.parse(text);
    return isSettings(raw) ? raw : undefined;
  } catch {
    return undefined;
  }
}

function isSettings(raw: unknown): raw is ViewSettings {
  return (
    typeof raw === "object" &&
    raw !== null &&
    "names" in raw &&
    Array.isArray(raw.names) &&
    raw.names.every((name) => typeof name === "string") &&
    "keys" in raw &&
    Array.isArray(raw.keys) &&
    raw.keys.every(isTransferKey)
  );
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}
