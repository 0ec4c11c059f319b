// SPDX-License-Identifier: Apache-2.0

// How copies of secondary zones differ from what they were at the compiler's last load: parts that have another version are read, before
// and after, and compared record by record.

import { decodeRecords, nameKey, type ZoneRecord } from "@meridian/dns";
import {
  decodeZoneCopyFacts,
  zoneCopyOf,
  type CopyChange,
  type InputFile,
  type ZoneCopyFacts,
} from "@meridian/model";

/** Files of copies by path. */
export type CopyFiles = ReadonlyMap<string, InputFile>;

interface Changed {
  facts: ZoneCopyFacts | undefined;
  readonly changes: CopyChange["changes"][number][];
}

/** What has changed; undefined where a copy came or went, has other parts, or cannot be read: then all is read. */
export function changedCopies(before: CopyFiles, after: CopyFiles): CopyChange[] | undefined {
  if (before.size !== after.size) return undefined;
  const zones = new Map<string, Changed>();
  for (const [path, file] of after) {
    const known = before.get(path);
    if (known === undefined) return undefined;
    if (file.version !== undefined && file.version === known.version) continue;
    const { origin, part } = zoneCopyOf(path);
    const changed: Changed = zones.get(origin) ?? { facts: undefined, changes: [] };
    zones.set(origin, changed);
    if (part === undefined) {
      changed.facts = decodeZoneCopyFacts(bytesOf(file));
      continue;
    }
    const records = changedRecords(recordsOf(known), recordsOf(file));
    if (records === undefined) return undefined;
    changed.changes.push(...records);
  }
  const all: CopyChange[] = [];
  for (const [origin, { facts, changes }] of zones) {
    // With each change of records, the facts are others.
    if (facts === undefined) return undefined;
    all.push({ origin, facts, changes });
  }
  return all;
}

function changedRecords(
  before: readonly ZoneRecord[] | undefined,
  after: readonly ZoneRecord[] | undefined,
): CopyChange["changes"] | undefined {
  if (before === undefined || after === undefined) return undefined;
  const old = bySet(before);
  const now = bySet(after);
  const changes: CopyChange["changes"][number][] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [gone = [], come = []] = [old.get(key), now.get(key)];
    const first = gone[0] ?? come[0];
    if (first === undefined || isSame(gone, come)) continue;
    changes.push({ owner: first.owner, type: first.type, before: gone, after: come });
  }
  return changes;
}

function bySet(records: readonly ZoneRecord[]): Map<string, ZoneRecord[]> {
  return Map.groupBy(records, ({ owner, type }) => `${type} ${nameKey(owner)}`);
}

/** The same records in another order are told to have changed, which does no harm. */
function isSame(a: readonly ZoneRecord[], b: readonly ZoneRecord[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ ttl, rdata }, index) => {
      const other = b[index];
      return other?.ttl === ttl && Buffer.compare(rdata, other.rdata) === 0;
    })
  );
}

function recordsOf(file: InputFile): readonly ZoneRecord[] | undefined {
  return decodeRecords(bytesOf(file));
}

function bytesOf({ bytes }: InputFile): Uint8Array {
  const read = typeof bytes === "function" ? bytes() : bytes;
  return read instanceof Uint8Array ? read : new Uint8Array(0);
}
