// SPDX-License-Identifier: Apache-2.0
import { type AddressPrefix, parsePrefix, RangePartition } from "@meridian/snapshot/writer";
import { csvLines } from "./csv.ts";
import { unreadable } from "./unreadable.ts";

type Words = AddressPrefix["words"];

interface Row {
  readonly line: number;
  readonly family: 4 | 6;
  readonly first: Words;
  readonly last: Words;
  readonly value: number;
}

/**
 * Reads lines `first,last,asn[,name]` (or `prefix,asn[,name]`), addresses in text or, for IPv4, as a number. Lines may come in any
 * order; where ranges overlap, the one that begins later wins. `valueOf` turns an AS number into a value; number 0 (not
 * announced) is left out.
 */
export function readAsnCsv(
  files: readonly Uint8Array[],
  valueOf: (asn: number) => number,
): RangePartition {
  const rows = files.flatMap((bytes) => readRows(bytes, valueOf));
  if (rows.some((row, index) => index > 0 && compareRows(rows[index - 1], row) > 0)) {
    rows.sort(compareRows);
  }
  const partition = new RangePartition();
  // Rows that have begun and not ended, the one that began last on top.
  let open: Row[] = [];
  const endBefore = (next: Row | undefined): void => {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const { family, last } = top;
      if (next?.family === family && compareWords(last, next.first) >= 0) return;
      open = open.filter((row) => compareWords(row.last, last) > 0);
      setAfter(partition, family, last, open.at(-1)?.value ?? 0);
    }
  };
  for (const row of rows) {
    endBefore(row);
    if (row.family === 4) partition.set4(row.first[0], row.value);
    else partition.set6(...row.first, row.value);
    open.push(row);
  }
  endBefore(undefined);
  return partition;
}

function readRows(bytes: Uint8Array, valueOf: (asn: number) => number): Row[] {
  const rows: Row[] = [];
  for (const { number: line, fields } of csvLines(bytes, "start", 3)) {
    const [first = "", second = "", third = ""] = fields;
    const isPrefix = first.includes("/");
    const asn = Number((isPrefix ? second : third).replace(/^AS/i, ""));
    const from = addressOf(first);
    const to = isPrefix ? from && lastOf(from) : addressOf(second)?.words;
    if (from === undefined || to === undefined || !isAsn(asn) || compareWords(from.words, to) > 0) {
      throw unreadable(
        `Cannot read the data set: line ${line} is "${fields.slice(0, 3).join(",")}", expected first,last,asn or prefix,asn`,
      );
    }
    if (asn !== 0) {
      rows.push({ line, family: from.family, first: from.words, last: to, value: valueOf(asn) });
    }
  }
  return rows;
}

function addressOf(text: string): AddressPrefix | undefined {
  if (!/^[0-9]{1,10}$/.test(text)) return parsePrefix(text);
  const address = Number(text);
  return address < 2 ** 32 ? { family: 4, words: [address, 0, 0, 0], length: 32 } : undefined;
}

function isAsn(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

/** The last address of a prefix. */
function lastOf({ family, words, length }: AddressPrefix): Words {
  const filled = (word: number, index: number): number => {
    if (family === 4 && index > 0) return 0;
    const hostBits = Math.min(32, Math.max(0, 32 - (length - index * 32)));
    return word + 2 ** hostBits - 1;
  };
  return [filled(words[0], 0), filled(words[1], 1), filled(words[2], 2), filled(words[3], 3)];
}

/** Sets the value from the address behind `last` on; nothing lies behind the top of the space. */
function setAfter(partition: RangePartition, family: 4 | 6, last: Words, value: number): void {
  if (family === 4) {
    if (last[0] < 0xffff_ffff) partition.set4(last[0] + 1, value);
    return;
  }
  const end: [number, number, number, number] = [...last];
  for (let index = 3; index >= 0; index--) {
    const next = (end[index] ?? 0) + 1;
    end[index] = next % 2 ** 32;
    if (next < 2 ** 32) {
      partition.set6(...end, value);
      return;
    }
  }
}

function compareRows(a: Row | undefined, b: Row | undefined): number {
  if (a === undefined || b === undefined) return 0;
  return a.family - b.family || compareWords(a.first, b.first);
}

function compareWords(a: Words, b: Words): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}
