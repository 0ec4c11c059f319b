// SPDX-License-Identifier: Apache-2.0

// Writes small MaxMind DBs for tests, after the format's specification: nothing here is shared with the reader.

import { type AddressPrefix, parsePrefix } from "@meridian/snapshot/writer";

/** Plain data as a record holds them; whole numbers become uint32, others double. */
export type SampleData =
  | string
  | number
  | readonly SampleData[]
  | { readonly [key: string]: SampleData };

/** What a sample database is made of. */
export interface SampleOptions {
  readonly ipVersion?: 4 | 6;
  readonly recordSize?: 24 | 28 | 32;
  readonly type?: string;
  /** Seconds since 1970. */
  readonly buildEpoch?: number;
  /** IPv6 prefixes that point to the IPv4 subtree. */
  readonly aliases?: readonly string[];
}

type Record = { kind: "empty" } | { kind: "node"; node: number } | { kind: "data"; offset: number };

/** The bytes of a database with `entries` by prefix text; longer prefixes must come after those that contain them. */
export function sampleMmdb(
  entries: Readonly<{ [prefix: string]: SampleData }>,
  options: SampleOptions = {},
): Uint8Array {
  const { ipVersion = 6, recordSize = 24, type = "Test", buildEpoch = 1_700_000_000 } = options;
  const nodes: [Record, Record][] = [[{ kind: "empty" }, { kind: "empty" }]];
  const data: number[] = [];
  for (const [text, value] of Object.entries(entries)) {
    const offset = data.length;
    data.push(...encode(value));
    insert(nodes, pathOf(text, ipVersion), { kind: "data", offset });
  }
  const ipv4Root = walk(nodes, "0".repeat(96));
  for (const alias of options.aliases ?? []) insert(nodes, pathOf(alias, 6), ipv4Root);
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: buildEpoch,
    database_type: type,
    description: {},
    ip_version: ipVersion,
    languages: [],
    node_count: nodes.length,
    record_size: recordSize,
  });
  const tree = nodes.flatMap((pair) => nodeBytes(pair, nodes.length, recordSize));
  const marker = [0xab, 0xcd, 0xef, ...Buffer.from("MaxMind.com")];
  return Uint8Array.from([...tree, ...Array<number>(16).fill(0), ...data, ...marker, ...metadata]);
}

function pathOf(text: string, ipVersion: 4 | 6): string {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`Cannot use "${text}": expected a prefix`);
  const bits = bitsOf(prefix).slice(0, prefix.length);
  return prefix.family === 4 && ipVersion === 6 ? "0".repeat(96) + bits : bits;
}

function bitsOf({ family, words }: AddressPrefix): string {
  const used = family === 4 ? words.slice(0, 1) : words;
  return used.map((word) => word.toString(2).padStart(32, "0")).join("");
}

function insert(nodes: [Record, Record][], path: string, leaf: Record): void {
  let node = 0;
  for (let depth = 0; depth < path.length - 1; depth++) {
    const side = path[depth] === "1" ? 1 : 0;
    const pair = nodes[node] ?? [leaf, leaf];
    let next = pair[side];
    if (next.kind !== "node") {
      // A longer prefix inside a shorter one: the shorter one's data go to both halves.
      nodes.push([next, next]);
      next = { kind: "node", node: nodes.length - 1 };
      pair[side] = next;
    }
    node = next.node;
  }
  const pair = nodes[node];
  if (pair !== undefined) pair[path.at(-1) === "1" ? 1 : 0] = leaf;
}

function walk(nodes: readonly [Record, Record][], path: string): Record {
  let record: Record = { kind: "node", node: 0 };
  for (const bit of path) {
    if (record.kind !== "node") break;
    record = nodes[record.node]?.[bit === "1" ? 1 : 0] ?? { kind: "empty" };
  }
  return record;
}

function nodeBytes(pair: readonly [Record, Record], nodeCount: number, size: number): number[] {
  const [left, right] = pair.map((record) => {
    if (record.kind === "node") return record.node;
    return record.kind === "empty" ? nodeCount : nodeCount + 16 + record.offset;
  });
  const bytes = (value: number, count: number): number[] =>
    Array.from(
      { length: count },
      (_, index) => Math.floor(value / 256 ** (count - 1 - index)) & 255,
    );
  const a = left ?? 0;
  const b = right ?? 0;
  if (size !== 28) return [...bytes(a, size / 8), ...bytes(b, size / 8)];
  const middle = ((a >>> 24) << 4) | (b >>> 24);
  return [...bytes(a & 0xff_ffff, 3), middle, ...bytes(b & 0xff_ffff, 3)];
}

function encode(value: SampleData): number[] {
  if (typeof value === "string") {
    const bytes = [...Buffer.from(value)];
    return [...control(2, bytes.length), ...bytes];
  }
  if (typeof value === "number") {
    const view = new DataView(new ArrayBuffer(8));
    if (Number.isInteger(value) && value >= 0) {
      view.setUint32(0, value);
      return [...control(6, 4), ...new Uint8Array(view.buffer, 0, 4)];
    }
    view.setFloat64(0, value);
    return [...control(3, 8), ...new Uint8Array(view.buffer)];
  }
  if (isList(value)) return [...control(11, value.length), ...value.flatMap(encode)];
  const pairs = Object.entries(value).flatMap(([key, member]) => [
    ...encode(key),
    ...encode(member),
  ]);
  return [...control(7, Object.keys(value).length), ...pairs];
}

function isList(value: SampleData): value is readonly SampleData[] {
  return Array.isArray(value);
}

function control(type: number, size: number): number[] {
  const [stated, extra] = size < 29 ? [size, []] : [29, [size - 29]];
  return type <= 7 ? [(type << 5) | stated, ...extra] : [stated, type - 7, ...extra];
}
