// SPDX-License-Identifier: Apache-2.0
import { key64 } from "@meridian/core";
import {
  containsPrefix,
  formatPrefix,
  parsePrefix,
  type AddressPrefix,
} from "../location/prefix.ts";
import { flattenPrefixes, writeRanges } from "../location/range-partition.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SectionKind } from "../section.ts";
import type { TransferKey, TransferRule } from "../zone/transfer-settings.ts";
import { VIEW_ROW_WORDS, VIEWS_KEY_TEXT, ViewTableId, type ViewSettings } from "./view-table.ts";

/** A view as it is declared. */
export interface ViewInput {
  readonly name: string;
  readonly match: readonly TransferRule[];
  readonly keys: readonly TransferKey[];
}

interface Rule {
  readonly view: number;
  /** 0: whoever asks, signing or not. */
  readonly key: number;
  readonly clients: readonly AddressPrefix[] | undefined;
}

/** Writes a views section; the first view that a client fits is the one it sees. */
export function writeViews(views: readonly ViewInput[]): WrittenSection {
  const settings: ViewSettings = {
    names: views.map(({ name }) => name),
    keys: views.flatMap(({ keys }) => keys),
  };
  const keyNumbers = new Map(settings.keys.map(({ name }, index) => [name, index + 1]));
  const rules = views.flatMap(({ match }, view): Rule[] =>
    match.flatMap(({ clients, key }) => {
      const number = key === undefined ? 0 : keyNumbers.get(key);
      // Nobody can sign with a key that is not there: nobody fits the rule.
      return number === undefined ? [] : [{ view, key: number, clients: clients?.map(prefixOf) }];
    }),
  );
  const prefixes = new Map(
    rules.flatMap(({ clients = [] }) => clients.map((prefix) => [formatPrefix(prefix), prefix])),
  );
  const classes = [entriesOf(rules, undefined)];
  const ranges = flattenPrefixes(
    [...prefixes.values()].map((prefix) => ({
      prefix,
      value: classes.push(entriesOf(rules, prefix)) - 1,
    })),
  );
  const writer = new SectionWriter(SectionKind.views, key64(VIEWS_KEY_TEXT));
  writeRanges(writer, ranges);
  writer.table(ViewTableId.settings, 1, new TextEncoder().encode(JSON.stringify(settings)));
  const rows = new Uint32Array(classes.length * VIEW_ROW_WORDS);
  const entries: number[] = [];
  classes.forEach((own, index) => {
    rows.set([entries.length / VIEW_ROW_WORDS, own.length], index * VIEW_ROW_WORDS);
    entries.push(...own.flat());
  });
  writer.table(ViewTableId.classes, VIEW_ROW_WORDS * 4, rows);
  writer.table(ViewTableId.entries, VIEW_ROW_WORDS * 4, Uint32Array.from(entries));
  return writer.finish();
}

/** View and key of the rules that a client of a network fits; of one that is in no network, where there is none. */
function entriesOf(rules: readonly Rule[], prefix: AddressPrefix | undefined): [number, number][] {
  const entries: [number, number][] = [];
  const seen = new Set<number>();
  for (const { view, key, clients } of rules) {
    const fits =
      clients === undefined ||
      (prefix !== undefined && clients.some((each) => containsPrefix(each, prefix)));
    if (!fits || seen.has(key)) continue;
    seen.add(key);
    entries.push([view, key]);
    if (key === 0) break;
  }
  return entries;
}

function prefixOf(text: string): AddressPrefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined)
    throw new TypeError(`Cannot match "${text}", expected a prefix such as 192.0.2.0/24`);
  return prefix;
}
