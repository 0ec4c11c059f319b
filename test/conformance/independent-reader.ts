// SPDX-License-Identifier: Apache-2.0

// A second reader of the snapshot format, written from docs/internals/snapshot-format.md alone: it imports nothing of this
// repository, so that where the page and the code differ, the test beside it fails. It is plain, slow and allocates; it answers
// names and, for bindings to pools and to policies made of weighted, roundRobin and failover nodes, picks the endpoints.

import { crc32 } from "node:zlib";

/** What a bound name refers to, and how many answers it asks for. */
export type BoundTarget = Readonly<{ isPolicy: boolean; key: bigint; answers: number }>;

/** What a name look-up came to. `rdata` in hex, as on the wire and uncompressed. */
export interface NameAnswer {
  readonly found: "exact" | "wildcard" | "delegation" | "dname" | "nothing" | "noZone";
  readonly ttl?: number;
  readonly rdata?: readonly string[];
  readonly bound?: BoundTarget;
}

/** Texts of the chosen endpoints' keys, or what there is instead. */
export type Choice = readonly string[] | "alias" | "noData";

/** Bit of a bound set's mask by record type: A, AAAA, CNAME, HTTPS, SVCB, SRV. */
const boundBits: Readonly<Record<number, number>> = { 1: 1, 28: 2, 5: 4, 65: 8, 64: 16, 33: 32 };

function mix32(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function labelHash(parent: number, label: Uint8Array): number {
  let h = parent;
  for (const byte of label) {
    h = Math.imul(h ^ byte, 0x01000193);
    h ^= h >>> 15;
  }
  return mix32(h);
}

/** One section: header, directory and tables, little-endian. */
class Part {
  readonly bytes: Buffer;
  readonly #tables = new Map<number, readonly [offset: number, count: number, stride: number]>();

  constructor(buffer: ArrayBufferLike) {
    this.bytes = Buffer.from(buffer);
    const isWhole =
      this.u32(8) === buffer.byteLength &&
      this.u32(60) === crc32(this.bytes.subarray(64), crc32(this.bytes.subarray(0, 60)));
    if (this.u32(0) !== 0x4345534d || this.u16(4) !== 1 || !isWhole)
      throw new TypeError("Cannot read the section: its header or checksum is wrong");
    for (let at = 64; at < 64 + this.u32(12) * 16; at += 16)
      this.#tables.set(this.u32(at), [this.u32(at + 4), this.u32(at + 8), this.u32(at + 12)]);
  }

  u16(at: number): number {
    return this.bytes.readUInt16LE(at);
  }
  u32(at: number): number {
    return this.bytes.readUInt32LE(at);
  }
  count(table: number): number {
    return this.#tables.get(table)?.[1] ?? 0;
  }
  at(table: number, index: number): number {
    const [offset, , stride] = this.#tables.get(table) ?? [64, 0, 0];
    return offset + index * stride;
  }
  word(table: number, index: number, word: number): number {
    return this.u32(this.at(table, index) + word * 4);
  }
  keyAt(table: number, index: number): bigint {
    return this.bytes.readBigUInt64LE(this.at(table, index));
  }
  indexOfKey(table: number, key: bigint): number {
    return upTo(this.count(table)).findIndex((index) => this.keyAt(table, index) === key);
  }
  /** Bytes of the heap whose offset and length are two words of an entry. */
  heap(table: number, index: number, word: number): Buffer {
    const start = this.at(1, 0) + this.word(table, index, word);
    return this.bytes.subarray(start, start + this.word(table, index, word + 1));
  }
}
/** Reads a snapshot's sections and the overlay that belongs to them. */
export class IndependentReader {
  readonly #names: ReadonlyMap<bigint, Part>;
  readonly #zones: ReadonlyMap<string, Part>;
  readonly #pools: Part;
  readonly #policies: Part;
  readonly #overlay: Uint32Array;

  constructor(sections: readonly ArrayBufferLike[], overlay: SharedArrayBuffer) {
    const parts = sections.map((buffer) => new Part(buffer));
    const ofKind = (kind: number): Part[] => parts.filter((part) => part.u16(6) === kind);
    this.#zones = new Map(ofKind(7).map((zone) => [zone.heap(16, 0, 0).toString("hex"), zone]));
    this.#names = new Map(ofKind(8).map((names) => [names.bytes.readBigUInt64LE(16), names]));
    const [pools, policies] = [ofKind(2)[0], ofKind(3)[0]];
    if (pools === undefined || policies === undefined)
      throw new TypeError("Cannot read the snapshot: pools or policies are missing");
    [this.#pools, this.#policies] = [pools, policies];
    this.#overlay = new Uint32Array(overlay);
  }

  /** Looks up a wire name and type. */
  lookup(wire: Uint8Array, type: number): NameAnswer {
    const name = Buffer.from(wire.map((byte) => (byte > 0x40 && byte < 0x5b ? byte | 32 : byte)));
    const starts = [0];
    for (let at = 0; name[at] !== 0; starts.push(at)) at += name.readUInt8(at) + 1;
    const zoneAt = (label: number): Part | undefined =>
      this.#zones.get(name.subarray(starts[label]).toString("hex"));
    const origin = starts.findIndex((_, label) => zoneAt(label) !== undefined);
    const zone = zoneAt(origin);
    if (zone === undefined) return { found: "noZone" };
    const hashAt = (label: number): number => {
      if (label === starts.length - 1) return mix32(zone.u32(24) ^ 0x811c9dc5);
      return labelHash(hashAt(label + 1), name.subarray(starts[label], starts[label + 1]));
    };
    const nodeAt = (label: number): OwnerNode | undefined =>
      this.#node(zone, hashAt(label), name.subarray(starts[label], starts[origin]));
    let label = 0;
    while (label < origin && nodeAt(label) === undefined) label++;
    const depth = nodeAt(label)?.depth ?? 0;
    if (depth !== 0) label = starts.length - depth;
    const node = nodeAt(label);
    if (node === undefined) throw new TypeError("Cannot find the apex of a zone");
    const isCut = (node.flags & 2) !== 0 && !(type === 43 && label === 0);
    if (isCut) return { found: "delegation", ...node.records(2) };
    if (label === 0) return { found: "exact", ...node.answer(type) };
    if ((node.flags & 4) !== 0) return { found: "dname", ...node.records(39) };
    if ((node.flags & 1) === 0) return { found: "nothing" };
    const star = Buffer.from([1, 0x2a]);
    const relative = Buffer.concat([star, name.subarray(starts[label], starts[origin])]);
    const wildcard = this.#node(zone, labelHash(hashAt(label), star), relative);
    return { found: "wildcard", ...wildcard?.answer(type) };
  }

  /** Decides for a binding's target: `family` 4 for A, 6 for AAAA, 0 for the other types. */
  decide(target: BoundTarget, draw: number, family: 0 | 4 | 6): Choice {
    const decision = new Decision(this.#pools, this.#policies, this.#overlay, draw, family);
    decision.answers = target.answers;
    const status = target.isPolicy ? decision.policy(target.key) : decision.lonePool(target.key);
    if (status !== "ok") return "noData";
    return decision.isAlias ? "alias" : decision.chosen.map((endpoint) => this.#nameOf(endpoint));
  }

  #node(zone: Part, hash: number, relative: Buffer): OwnerNode | undefined {
    const bits = zone.word(16, 2, 0);
    const names = this.#names.get(zone.keyAt(18, bits === 0 ? 0 : hash >>> (32 - bits)));
    if (names === undefined) throw new TypeError("Cannot find a names section");
    for (let probe = 0; probe < names.u32(32); probe++) {
      const bucket = (hash + probe) & (names.count(16) - 1);
      const entry = names.word(16, bucket, 1);
      if (entry === 0) return undefined;
      const node = new OwnerNode(names, names.at(17, 0) + entry - 1);
      if (names.word(16, bucket, 0) === hash && node.name.equals(relative)) return node;
    }
    return undefined;
  }

  #nameOf(endpoint: number): string {
    const pools = this.#pools;
    const endOf = (pool: number): number => pools.word(16, pool, 0) + pools.word(16, pool, 1);
    const pool = upTo(pools.count(16)).find((index) => endpoint < endOf(index)) ?? 0;
    return `endpoint/${pools.heap(16, pool, 5).toString()}/${pools.heap(20, endpoint, 0).toString()}`;
  }
}

/** An owner in a names section. */
class OwnerNode {
  readonly flags: number;
  readonly depth: number;
  readonly name: Buffer;
  readonly #part: Part;
  readonly #sets: readonly number[];

  constructor(part: Part, at: number) {
    this.#part = part;
    this.flags = part.bytes.readUInt8(at);
    this.depth = part.bytes.readUInt8(at + 3);
    this.#sets = upTo(part.bytes.readUInt8(at + 2)).map((set) => at + 8 + set * 16);
    const nameAt = at + 8 + this.#sets.length * 16;
    this.name = part.bytes.subarray(nameAt, nameAt + part.bytes.readUInt8(at + 1));
  }

  answer(type: number): Partial<NameAnswer> {
    const [part, mask] = [this.#part, (boundBits[type] ?? 0) | 4];
    const own = this.records(type);
    if (own.rdata !== undefined) return own;
    const isBound = (set: number): boolean => part.u16(set + 2) === 0xffff;
    const set = this.#sets.find((each) => isBound(each) && (part.u16(each) & mask) !== 0);
    if (set === undefined) return this.records(5);
    const [link, shape] = [part.u32(set + 4), part.u32(set + 8)];
    const isPolicy = part.bytes.readUInt8(part.at(19, link)) === 0;
    return { bound: { isPolicy, key: part.keyAt(2, link), answers: part.word(18, shape, 2) } };
  }

  /** The record set of a type, or nothing. */
  records(type: number): Partial<NameAnswer> {
    const part = this.#part;
    const set = this.#sets.find((each) => part.u16(each) === type && part.u16(each + 2) !== 0xffff);
    if (set === undefined) return {};
    let at = part.at(17, 0) + part.u32(set + 8);
    const rdata = upTo(part.u16(set + 2)).map(() => {
      const bytes = part.bytes.subarray(at + 4, at + 4 + part.u16(at));
      at += 4 + bytes.length;
      return bytes.toString("hex");
    });
    return { ttl: part.u32(set + 4), rdata };
  }
}

type Mode = "verdict" | "open";
type Status = "ok" | "unhealthy" | "dialed" | "stopped";
/** A branch or endpoint by index, with its weight among its peers. */
type Candidate = { readonly index: number; readonly weight: number };

/** One decision. Policies tables: 18 nodes, 20 branches; pools tables: 16 pools, 18 endpoints. */
class Decision {
  answers = 0;
  isAlias = false;
  readonly chosen: number[] = [];
  #ignoresDials = false;
  #defaultAnswers = 2;
  readonly #draw: number;
  readonly #family: number;
  readonly #pools: Part;
  readonly #policies: Part;
  readonly #slots: Uint32Array;

  constructor(pools: Part, policies: Part, overlay: Uint32Array, draw: number, family: number) {
    [this.#pools, this.#policies, this.#draw, this.#family] = [pools, policies, draw, family];
    const count = (overlay.length - 128) / 2;
    this.#slots = overlay.subarray(128 + ((overlay[0] ?? 0) & 1) * count);
  }

  policy(key: bigint): Status {
    const root = this.#policies.word(16, this.#policies.indexOfKey(17, key), 0);
    return this.#node(root, "verdict", true);
  }

  lonePool(key: bigint): Status {
    const status = this.#pool(key, "verdict");
    if (status === "ok") return status;
    this.#ignoresDials = true;
    return this.#pool(key, status === "dialed" ? "verdict" : "open");
  }

  #node(node: number, mode: Mode, isRoot = false): Status {
    const settings = this.#policies.word(18, node, 0);
    const outer = [this.answers, this.#defaultAnswers] as const;
    if (this.answers === 0) this.answers = (settings >>> 16) & 0xff;
    const attempt = (own: Mode): Status => {
      const status = this.#branches(node, own);
      if (status !== "dialed" || !isRoot) return status;
      this.#ignoresDials = true;
      const again = this.#branches(node, own);
      this.#ignoresDials = false;
      return again;
    };
    let status = attempt(mode);
    const action = (settings >>> 8) & 0xff;
    if (status === "unhealthy" && mode === "verdict" && action !== 0)
      status = action === 1 ? attempt("open") : "stopped";
    [this.answers, this.#defaultAnswers] = outer;
    return status;
  }

  #branches(node: number, mode: Mode): Status {
    const policies = this.#policies;
    const [kind, first] = [policies.word(18, node, 0) & 0xff, policies.word(18, node, 1)];
    const all = upTo(policies.word(18, node, 2)).map((index) => first + index);
    if (![6, 7, 9].includes(kind)) throw new TypeError(`Cannot decide: node kind is ${kind}`);
    // Only failover has tiers and a latch.
    const tiers = Map.groupBy(all, (branch) => policies.word(20, branch, 0) >>> 16);
    const latch = this.#branchSlot(policies.count(20) + node);
    const start = Math.max(0, [...tiers.keys()].indexOf(latch - 1));
    const order = [...tiers.values()];
    let result: Status = "unhealthy";
    for (const branches of [...order.slice(start), ...order.slice(0, start)]) {
      if (kind !== 6 || branches.length > 1) this.#defaultAnswers = 1;
      const status = this.#byWeight(node, branches, mode, kind === 9);
      if (status === "ok" || status === "stopped") return status;
      if (status === "dialed") result = status;
    }
    return result;
  }

  #byWeight(node: number, branches: readonly number[], mode: Mode, isAlike: boolean): Status {
    const weightOf = (branch: number): number => this.#branchSlot(branch) & 0xf_ffff;
    let left = branches.map((index) => ({ index, weight: isAlike ? 1 : weightOf(index) }));
    if (mode === "open" && left.some(isWeighty)) left = left.filter(isWeighty);
    let result: Status = "unhealthy";
    for (let step = 0; left.length > 0; step++) {
      const among = left.some(isWeighty) ? left.filter(isWeighty) : left.map(alike);
      const picked = this.#pick(among, this.#policies.word(18, node, 5), step);
      left = left.filter(({ index }) => index !== picked);
      const status = this.#branch(picked, mode);
      if (status === "ok" || status === "stopped") return status;
      if (status === "dialed") result = status;
    }
    return result;
  }

  #branch(branch: number, mode: Mode): Status {
    const settings = this.#policies.word(20, branch, 0);
    const target = this.#policies.word(20, branch, 1);
    const follow = (own: Mode): Status => {
      if ((settings & 0xff) === 0) return this.#node(target, own);
      if ((settings & 0xff) === 1) return this.#pool(this.#policies.keyAt(2, target), own);
      this.isAlias = true;
      return "ok";
    };
    const dial = (this.#branchSlot(branch) >>> 20) & 0x3ff;
    const status = this.#keeps(this.#policies.keyAt(21, branch), dial) ? follow(mode) : "dialed";
    if ((settings & 0x100) === 0 || status !== "unhealthy") return status;
    return follow("open") === "ok" ? "ok" : "stopped";
  }

  #pool(key: bigint, mode: Mode): Status {
    const pools = this.#pools;
    const pool = pools.indexOfKey(17, key);
    let members = pool < 0 ? [] : this.#candidates(pool, mode);
    if (members.length === 0) return "unhealthy";
    if (!this.#keeps(key, pools.word(16, pool, 4))) return "dialed";
    const wanted = this.answers || pools.word(16, pool, 2) & 0xff || this.#defaultAnswers;
    const flags = this.#family === 0 ? ~0 : this.#family === 4 ? 1 | 4 : 2 | 4;
    members = members.filter(({ index }) => (pools.word(18, index, 1) & flags) !== 0);
    if (members.length === 0) return "ok";
    const domainOf = (endpoint: number): number => pools.word(18, endpoint, 6);
    for (let step = 0; members.length > 0 && this.chosen.length < Math.min(wanted, 32); step++) {
      const taken = new Set(this.chosen.map(domainOf));
      const fresh = members.filter(({ index }) => !taken.has(domainOf(index)));
      const picked = this.#pick(fresh.length > 0 ? fresh : members, pools.word(16, pool, 7), step);
      const at = members.findIndex(({ index }) => index === picked);
      members = members.with(at, members.at(-1) ?? { index: -1, weight: 0 }).slice(0, -1);
      const isKept = this.#keeps(0x1d1a15n, (this.#slot(picked) >>> 15) & 0x3ff);
      // A host name (not resolved here) is an answer of its own.
      const isName = (pools.word(18, picked, 1) & 20) === 4;
      if (!isKept || (isName && this.chosen.length > 0)) continue;
      this.chosen.push(picked);
      if (isName) break;
    }
    return this.chosen.length > 0 ? "ok" : "dialed";
  }

  #candidates(pool: number, mode: Mode): Candidate[] {
    const [first, minimum] = [this.#pools.word(16, pool, 0), this.#pools.word(16, pool, 3)];
    const all = upTo(this.#pools.word(16, pool, 1)).map((offset) => {
      const index = first + offset;
      const [packed, flags] = [this.#pools.word(18, index, 0), this.#pools.word(18, index, 1)];
      const [serve, slot] = [(packed >>> 27) & 3, this.#slot(index)];
      const isTaken = mode === "open" || serve === 1 || (flags & 8) === 0;
      return {
        index,
        priority: (packed >>> 20) & 0x7f,
        declared: packed & 0xf_ffff,
        weight: (packed & 0xf_ffff) * (mode === "open" ? 1000 : (slot >>> 5) & 0x3ff),
        isConfigured: serve !== 2 && ((slot >>> 2) & 3) === 0,
        isGood: isTaken || (slot & 3) === 1 || ((slot & 3) === 0 && (flags & 32) !== 0),
      };
    });
    const configured = all.filter(({ isConfigured }) => isConfigured);
    const eligible = configured.filter(({ isGood }) => isGood);
    const hundredth = ((minimum >>> 24) & 0x7f) === 2 ? configured.length : 100;
    const needed = Math.ceil(((minimum & 0xff_ffff) * hundredth) / 100);
    if (mode === "verdict" && eligible.length < needed) return [];
    const serving = eligible.find(isWeighty) ?? eligible[0];
    const tier = eligible.filter(({ priority }) => priority === serving?.priority);
    if (tier.some(isWeighty)) return tier.filter(isWeighty);
    if (mode === "open" && all.some(({ declared }) => declared > 0)) return [];
    return tier.map(alike);
  }

  #slot(index: number): number {
    return this.#slots[index] ?? 0;
  }
  /** Slots of branches, behind which those of latches lie. */
  #branchSlot(branch: number): number {
    return this.#slot(this.#pools.count(18) + this.#pools.count(16) + branch);
  }
  #drawWord(salt: number, step: number): number {
    return mix32(this.#draw ^ mix32(salt + Math.imul(step, 0x9e3779b1)));
  }
  #keeps(key: bigint, perMille: number): boolean {
    if (perMille >= 1000 || this.#ignoresDials) return true;
    return this.#drawWord(Number(key & 0xffff_ffffn), 4096) < perMille * 4294967.296;
  }

  #pick(among: readonly Candidate[], salt: number, step: number): number {
    const total = among.reduce((sum, { weight }) => sum + weight, 0);
    let left = (this.#drawWord(salt, step) / 2 ** 32) * total;
    for (const { index, weight } of among) if ((left -= weight) < 0) return index;
    return among.at(-1)?.index ?? -1;
  }
}

const alike = ({ index }: Candidate): Candidate => ({ index, weight: 1 });
const isWeighty = ({ weight }: Candidate): boolean => weight > 0;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
