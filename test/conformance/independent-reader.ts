// SPDX-License-Identifier: Apache-2.0

// A second reader of the snapshot format, written from docs/internals/snapshot-format.md alone: it imports nothing of this
// repository, so that where the page and the code differ, the test beside it fails. It is plain, slow and allocates; it answers
// names and, for bindings whose policy is made of weighted, roundRobin and failover nodes over pools, picks the endpoints.

import { crc32 } from "node:zlib";

/** A bound set: what decides, and how many answers it asks for. */
export interface BoundTarget {
  readonly isPolicy: boolean;
  readonly key: bigint;
  readonly ttlMin: number;
  readonly ttlMax: number;
  readonly answers: number;
}

/** What a name look-up came to. `rdata` in hex, as on the wire and uncompressed. */
export interface NameAnswer {
  readonly found: "exact" | "wildcard" | "delegation" | "dname" | "nothing" | "noZone";
  readonly type?: number;
  readonly ttl?: number;
  readonly rdata?: readonly string[];
  readonly bound?: BoundTarget;
}

/** What a decision came to: texts of the endpoints' keys. */
export interface Decision {
  readonly outcome: "endpoints" | "alias" | "noData";
  readonly endpoints: readonly string[];
}

const boundBits: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [28, 2],
  [5, 4],
  [65, 8],
  [64, 16],
  [33, 32],
]);

/** One section: header, directory and tables, little-endian. */
class Part {
  readonly view: DataView;
  readonly kind: number;
  readonly key: bigint;
  readonly seed: number;
  readonly #tables = new Map<number, { offset: number; count: number; stride: number }>();

  constructor(buffer: ArrayBufferLike) {
    this.view = new DataView(buffer);
    const checksum = crc32(new Uint8Array(buffer, 64));
    if (
      this.u32(0) !== 0x4345534d ||
      this.u16(4) !== 1 ||
      this.u32(8) !== buffer.byteLength ||
      this.u32(60) !== checksum
    )
      throw new TypeError("Cannot read the section: header or checksum is wrong");
    this.kind = this.u16(6);
    this.key = this.view.getBigUint64(16, true);
    this.seed = this.u32(24);
    for (let entry = 64; entry < 64 + this.u32(12) * 16; entry += 16) {
      const [offset, count, stride] = [
        this.u32(entry + 4),
        this.u32(entry + 8),
        this.u32(entry + 12),
      ];
      this.#tables.set(this.u32(entry), { offset, count, stride });
    }
  }

  u8(at: number): number {
    return this.view.getUint8(at);
  }
  u16(at: number): number {
    return this.view.getUint16(at, true);
  }
  u32(at: number): number {
    return this.view.getUint32(at, true);
  }
  count(table: number): number {
    return this.#tables.get(table)?.count ?? 0;
  }
  /** Byte offset of an entry. */
  at(table: number, index: number): number {
    const { offset, stride } = this.#tables.get(table) ?? { offset: 64, stride: 0 };
    return offset + index * stride;
  }
  /** Word of an entry. */
  word(table: number, index: number, word: number): number {
    return this.u32(this.at(table, index) + word * 4);
  }
  keyAt(table: number, index: number): bigint {
    return this.view.getBigUint64(this.at(table, index), true);
  }
  indexOfKey(table: number, key: bigint): number {
    for (let index = 0; index < this.count(table); index++)
      if (this.keyAt(table, index) === key) return index;
    return -1;
  }
  bytes(at: number, length: number): Buffer {
    return Buffer.from(this.view.buffer, at, length);
  }
  text(offset: number, length: number): string {
    return this.bytes(this.at(1, 0) + offset, length).toString("utf8");
  }
}

function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function labelHash(parent: number, label: Uint8Array): number {
  let h = parent | 0;
  for (const byte of label) {
    h = Math.imul(h ^ byte, 0x01000193);
    h ^= h >>> 15;
  }
  return mix32(h);
}

/** A name in lower case: its bytes, where each label starts (the root's too), and the hash of each suffix. */
interface Name {
  readonly bytes: Buffer;
  readonly starts: readonly number[];
  readonly hashes: readonly number[];
}

function readName(wire: Uint8Array, seed: number): Name {
  const bytes = Buffer.from(wire).map((byte) =>
    byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
  );
  const starts: number[] = [];
  for (let at = 0; ; at += (bytes[at] ?? 0) + 1) {
    starts.push(at);
    if (bytes[at] === 0) break;
  }
  const hashes = starts.map(() => mix32(seed ^ 0x811c9dc5));
  for (let label = starts.length - 2; label >= 0; label--)
    hashes[label] = labelHash(
      hashes[label + 1] ?? 0,
      bytes.subarray(starts[label], starts[label + 1]),
    );
  return { bytes: Buffer.from(bytes), starts, hashes };
}

/** A node of a names section. */
interface Node {
  readonly part: Part;
  readonly at: number;
}

/** Mode in which verdicts are taken. */
type Mode = "verdict" | "open";
type Status = "ok" | "unhealthy" | "dialed" | "stopped";

interface Question {
  readonly draw: number;
  readonly family: 0 | 4 | 6;
  answers: number;
  defaultAnswers: number;
  ignoresDials: boolean;
  alias: boolean;
  readonly chosen: number[];
}

/** Reads a snapshot's sections and the overlay that belongs to them. */
export class IndependentReader {
  readonly #names = new Map<bigint, Part>();
  readonly #zones = new Map<string, Part>();
  readonly #pools: Part;
  readonly #policies: Part;
  readonly #poolOfLink: readonly number[];
  readonly #overlay: DataView;
  readonly #seed: number;

  constructor(sections: readonly ArrayBufferLike[], overlay: SharedArrayBuffer) {
    const parts = sections.map((buffer) => new Part(buffer));
    const only = (kind: number): Part => {
      const part = parts.find((each) => each.kind === kind);
      if (part === undefined)
        throw new TypeError(`Cannot read the snapshot: no section of kind ${kind}`);
      return part;
    };
    this.#pools = only(2);
    this.#policies = only(3);
    for (const part of parts) {
      if (part.kind === 8) this.#names.set(part.key, part);
      if (part.kind !== 7) continue;
      const origin = part.bytes(part.at(1, 0) + part.word(16, 0, 0), part.word(16, 1, 0));
      this.#zones.set(origin.toString("hex"), part);
    }
    this.#seed = parts.find((part) => part.kind === 7)?.seed ?? 0;
    this.#poolOfLink = Array.from({ length: this.#policies.count(2) }, (_, link) =>
      this.#pools.indexOfKey(17, this.#policies.keyAt(2, link)),
    );
    this.#overlay = new DataView(overlay);
  }

  /** Looks up a wire name and type. */
  lookup(wire: Uint8Array, type: number): NameAnswer {
    const name = readName(wire, this.#seed);
    const originLabel = name.starts.findIndex((start) =>
      this.#zones.has(name.bytes.subarray(start).toString("hex")),
    );
    if (originLabel < 0) return { found: "noZone" };
    const zone = this.#zones.get(name.bytes.subarray(name.starts[originLabel]).toString("hex"));
    if (zone === undefined) return { found: "noZone" };
    let label = 0;
    let node = this.#node(zone, name, 0, originLabel, false);
    while (node === undefined && label < originLabel)
      node = this.#node(zone, name, ++label, originLabel, false);
    if (node === undefined) throw new TypeError("Cannot find the apex of a zone");
    const depth = node.part.u8(node.at + 3);
    if (depth !== 0) {
      label = name.starts.length - 1 - (depth - 1);
      node = this.#node(zone, name, label, originLabel, false) ?? node;
    }
    const flags = node.part.u8(node.at);
    if ((flags & 2) !== 0 && !(type === 43 && label === 0))
      return { found: "delegation", ...records(node, 2) };
    if (label === 0) return { found: "exact", ...this.#answer(node, type) };
    if ((flags & 4) !== 0) return { found: "dname", ...records(node, 39) };
    const wildcard =
      (flags & 1) === 0 ? undefined : this.#node(zone, name, label, originLabel, true);
    return wildcard === undefined
      ? { found: "nothing" }
      : { found: "wildcard", ...this.#answer(wildcard, type) };
  }

  /** Decides for a binding's target. Sequence and bank come from the overlay's first word. */
  decide(target: BoundTarget, draw: number, family: 0 | 4 | 6): Decision {
    const question: Question = {
      draw,
      family,
      answers: target.answers,
      defaultAnswers: 2,
      ignoresDials: false,
      alias: false,
      chosen: [],
    };
    const status = target.isPolicy
      ? this.#root(question, this.#policies.indexOfKey(17, target.key))
      : this.#lonePool(question, this.#pools.indexOfKey(17, target.key));
    if (status !== "ok") return { outcome: "noData", endpoints: [] };
    if (question.alias) return { outcome: "alias", endpoints: [] };
    return { outcome: "endpoints", endpoints: question.chosen.map((each) => this.#nameOf(each)) };
  }

  #node(
    zone: Part,
    name: Name,
    label: number,
    originLabel: number,
    isWildcard: boolean,
  ): Node | undefined {
    const own = name.bytes.subarray(name.starts[label], name.starts[originLabel]);
    const star = Buffer.from([1, 0x2a]);
    const relative = isWildcard ? Buffer.concat([star, own]) : own;
    const plain = name.hashes[label] ?? 0;
    const hash = isWildcard ? labelHash(plain, star) : plain;
    const bits = zone.word(16, 2, 0);
    const part = this.#names.get(zone.keyAt(18, bits === 0 ? 0 : hash >>> (32 - bits)));
    if (part === undefined) throw new TypeError("Cannot find a names section");
    const mask = part.count(16) - 1;
    for (let probe = 0; probe < part.u32(32); probe++) {
      const bucket = (hash + probe) & mask;
      const entry = part.word(16, bucket, 1);
      if (entry === 0) return undefined;
      if (part.word(16, bucket, 0) !== hash) continue;
      const at = part.at(17, 0) + entry - 1;
      const nameAt = at + 8 + part.u8(at + 2) * 16;
      if (relative.equals(part.bytes(nameAt, part.u8(at + 1)))) return { part, at };
    }
    return undefined;
  }

  #answer(node: Node, type: number): Partial<NameAnswer> {
    const own = records(node, type);
    if (own.rdata !== undefined) return own;
    const bound = bindings(node).find(
      ({ mask }) => (mask & ((boundBits.get(type) ?? 0) | 4)) !== 0,
    );
    if (bound !== undefined) return { bound: bound.target };
    return records(node, 5);
  }

  get #bank(): number {
    const slots =
      this.#pools.count(18) +
      this.#pools.count(16) +
      this.#policies.count(20) +
      this.#policies.count(18);
    return 4 * (128 + (this.#overlay.getUint32(0, true) & 1) * slots);
  }

  #slot(index: number): number {
    return this.#overlay.getUint32(this.#bank + index * 4, true);
  }

  #branchSlot(branch: number): number {
    return this.#slot(this.#pools.count(18) + this.#pools.count(16) + branch);
  }

  #latch(node: number): number {
    return this.#slot(
      this.#pools.count(18) + this.#pools.count(16) + this.#policies.count(20) + node,
    );
  }

  #root(question: Question, policy: number): Status {
    return this.#decideNode(question, this.#policies.word(16, policy, 0), "verdict", 1);
  }

  #lonePool(question: Question, pool: number): Status {
    const status = this.#pool(question, pool, "verdict");
    if (status === "ok") return status;
    question.ignoresDials = true;
    return this.#pool(question, pool, status === "dialed" ? "verdict" : "open");
  }

  #decideNode(question: Question, node: number, mode: Mode, depth: number): Status {
    const settings = this.#policies.word(18, node, 0);
    const outer = { answers: question.answers, defaultAnswers: question.defaultAnswers };
    if (question.answers === 0) question.answers = (settings >>> 16) & 0xff;
    let status = this.#attempt(question, node, mode, depth);
    const action = (settings >>> 8) & 0xff;
    if (status === "unhealthy" && mode === "verdict" && action === 1)
      status = this.#attempt(question, node, "open", depth);
    else if (status === "unhealthy" && mode === "verdict" && action === 2) status = "stopped";
    Object.assign(question, outer);
    return status;
  }

  #attempt(question: Question, node: number, mode: Mode, depth: number): Status {
    const status = this.#branches(question, node, mode, depth);
    if (status !== "dialed" || depth !== 1) return status;
    question.ignoresDials = true;
    const again = this.#branches(question, node, mode, depth);
    question.ignoresDials = false;
    return again;
  }

  #branches(question: Question, node: number, mode: Mode, depth: number): Status {
    const policies = this.#policies;
    const kind = policies.word(18, node, 0) & 0xff;
    const first = policies.word(18, node, 1);
    const all = Array.from({ length: policies.word(18, node, 2) }, (_, index) => first + index);
    const salt = policies.word(18, node, 5);
    if (kind === 7 || kind === 8) {
      question.defaultAnswers = 1;
      const isAlike = kind === 8;
      return this.#byWeight(question, all, isAlike, salt, mode, depth);
    }
    if (kind !== 6) throw new TypeError(`Cannot decide: node kind is ${kind}, expected 6, 7 or 8`);
    const tiers = Map.groupBy(all, (branch) => policies.word(20, branch, 0) >>> 16);
    const latched = Math.max(0, this.#latch(node) - 1);
    const order = [...tiers.keys()];
    const start = tiers.has(latched) ? order.indexOf(latched) : 0;
    let result: Status = "unhealthy";
    for (const tier of [...order.slice(start), ...order.slice(0, start)]) {
      const branches = tiers.get(tier) ?? [];
      if (branches.length > 1) question.defaultAnswers = 1;
      const status =
        branches.length > 1
          ? this.#byWeight(question, branches, false, salt, mode, depth)
          : this.#branch(question, branches[0] ?? 0, mode, depth);
      if (status === "ok" || status === "stopped") return status;
      if (status === "dialed") result = status;
    }
    return result;
  }

  #byWeight(
    question: Question,
    branches: readonly number[],
    isAlike: boolean,
    salt: number,
    mode: Mode,
    depth: number,
  ): Status {
    let left = branches.map((branch) => ({
      branch,
      weight: isAlike ? 1 : this.#branchSlot(branch) & 0xf_ffff,
    }));
    if (mode === "open" && left.some(({ weight }) => weight > 0))
      left = left.filter(({ weight }) => weight > 0);
    let result: Status = "unhealthy";
    for (let step = 0; left.length > 0; step++) {
      const weighty = left.filter(({ weight }) => weight > 0);
      const among = weighty.length > 0 ? weighty : left.map((each) => ({ ...each, weight: 1 }));
      const picked = pick(among, question.draw, salt, step).branch;
      left = left.filter(({ branch }) => branch !== picked);
      const status = this.#branch(question, picked, mode, depth);
      if (status === "ok" || status === "stopped") return status;
      if (status === "dialed") result = status;
    }
    return result;
  }

  #branch(question: Question, branch: number, mode: Mode, depth: number): Status {
    const policies = this.#policies;
    const settings = policies.word(20, branch, 0);
    const target = policies.word(20, branch, 1);
    const to = (own: Mode): Status => {
      if ((settings & 0xff) === 0) return this.#decideNode(question, target, own, depth + 1);
      if ((settings & 0xff) === 1) return this.#pool(question, this.#poolOfLink[target] ?? -1, own);
      question.alias = true;
      return "ok";
    };
    const salt = Number(policies.keyAt(21, branch) & 0xffff_ffffn);
    const dial = this.#branchSlot(branch) >>> 20;
    let status: Status = keeps(question, salt, dial) ? to(mode) : "dialed";
    if ((settings & 0x100) !== 0 && status === "unhealthy")
      status = to("open") === "ok" ? "ok" : "stopped";
    return status;
  }

  #pool(question: Question, pool: number, mode: Mode): Status {
    if (pool < 0) return "unhealthy";
    const pools = this.#pools;
    let members = this.#candidates(pool, mode);
    if (members.length === 0) return "unhealthy";
    const salt = pools.word(16, pool, 7);
    if (!keeps(question, salt, pools.word(16, pool, 4))) return "dialed";
    const own = pools.word(16, pool, 2) & 0xff;
    const wanted =
      question.answers > 0 ? question.answers : own > 0 ? own : question.defaultAnswers;
    const flag = question.family === 0 ? 0 : 4 | (question.family === 4 ? 1 : 2);
    if (flag !== 0)
      members = members.filter(({ branch }) => (pools.word(18, branch, 1) & flag) !== 0);
    if (members.length === 0) return "ok";
    const chosen: number[] = [];
    let isDialed = false;
    const domainOf = (endpoint: number): number => pools.word(18, endpoint, 6);
    for (let step = 0; members.length > 0 && chosen.length < Math.min(wanted, 32); step++) {
      const taken = new Set(chosen.map(domainOf));
      const fresh = members.filter(({ branch }) => !taken.has(domainOf(branch)));
      const endpoint = pick(fresh.length > 0 ? fresh : members, question.draw, salt, step).branch;
      const at = members.findIndex(({ branch }) => branch === endpoint);
      members[at] = members.at(-1) ?? { branch: 0, weight: 0 };
      members.pop();
      const dial = (this.#slot(endpoint) >>> 15) & 0x3ff;
      if (!keeps(question, Number(pools.keyAt(19, endpoint) & 0xffff_ffffn), dial)) isDialed = true;
      else chosen.push(endpoint);
    }
    question.chosen.push(...chosen);
    return chosen.length > 0 ? "ok" : isDialed ? "dialed" : "unhealthy";
  }

  #candidates(pool: number, mode: Mode): { branch: number; weight: number }[] {
    const pools = this.#pools;
    const first = pools.word(16, pool, 0);
    const all = Array.from({ length: pools.word(16, pool, 1) }, (_, index) => first + index);
    const packed = (endpoint: number): number => pools.word(18, endpoint, 0);
    const configured = all.filter(
      (each) => ((packed(each) >>> 27) & 3) !== 2 && ((this.#slot(each) >>> 2) & 7) === 0,
    );
    const eligible = configured.filter((each) => {
      const flags = pools.word(18, each, 1);
      const verdict = this.#slot(each) & 3;
      const isTaken = mode === "open" || ((packed(each) >>> 27) & 3) === 1 || (flags & 8) === 0;
      return isTaken || verdict === 1 || (verdict === 0 && (flags & 32) !== 0);
    });
    const minimum = pools.word(16, pool, 3);
    const value = minimum & 0xff_ffff;
    const needed =
      ((minimum >>> 24) & 0x7f) === 2 ? Math.ceil((configured.length * value) / 100) : value;
    if (mode === "verdict" && eligible.length < needed) return [];
    const weightOf = (each: number): number =>
      (packed(each) & 0xf_ffff) * (mode === "open" ? 1000 : (this.#slot(each) >>> 5) & 0x3ff);
    const serving = eligible.find((each) => weightOf(each) > 0) ?? eligible[0] ?? -1;
    const hasWeight = serving >= 0 && weightOf(serving) > 0;
    if (mode === "open" && !hasWeight && all.some((each) => (packed(each) & 0xf_ffff) > 0))
      return [];
    return eligible
      .filter((each) => ((packed(each) >>> 20) & 0x7f) === ((packed(serving) >>> 20) & 0x7f))
      .map((branch) => ({ branch, weight: hasWeight ? weightOf(branch) : 1 }))
      .filter(({ weight }) => weight > 0);
  }

  #nameOf(endpoint: number): string {
    const pools = this.#pools;
    const pool = Array.from({ length: pools.count(16) }, (_, index) => index).findLast(
      (index) => pools.word(16, index, 0) <= endpoint && pools.word(16, index, 1) > 0,
    );
    const poolText = pools.text(pools.word(16, pool ?? 0, 5), pools.word(16, pool ?? 0, 6));
    return `endpoint/${poolText}/${pools.text(pools.word(20, endpoint, 0), pools.word(20, endpoint, 1))}`;
  }
}

function drawWord(draw: number, salt: number, step: number): number {
  return mix32(draw ^ mix32((salt + Math.imul(step, 0x9e3779b1)) | 0));
}

function keeps(question: Question, salt: number, perMille: number): boolean {
  if (perMille >= 1000 || question.ignoresDials) return true;
  return drawWord(question.draw, salt, 4096) < perMille * 4294967.296;
}

function pick<Item extends { readonly weight: number }>(
  items: readonly Item[],
  draw: number,
  salt: number,
  step: number,
): Item {
  const total = items.reduce((sum, { weight }) => sum + weight, 0);
  let left = (drawWord(draw, salt, step) / 2 ** 32) * total;
  const found = items.find(({ weight }) => (left -= weight) < 0) ?? items.at(-1);
  if (found === undefined) throw new TypeError("Cannot pick from nothing");
  return found;
}

/** The record set of a type, or nothing. */
function records({ part, at }: Node, type: number): Partial<NameAnswer> {
  for (let set = at + 8; set < at + 8 + part.u8(at + 2) * 16; set += 16) {
    const count = part.u16(set + 2);
    if (part.u16(set) !== type || count === 0xffff) continue;
    let record = part.at(17, 0) + part.u32(set + 8);
    const rdata = Array.from({ length: count }, () => {
      const bytes = part.bytes(record + 4, part.u16(record));
      record += 4 + bytes.length;
      return bytes.toString("hex");
    });
    return { type, ttl: part.u32(set + 4), rdata };
  }
  return {};
}

function bindings({ part, at }: Node): { mask: number; target: BoundTarget }[] {
  const found: { mask: number; target: BoundTarget }[] = [];
  for (let set = at + 8; set < at + 8 + part.u8(at + 2) * 16; set += 16) {
    if (part.u16(set + 2) !== 0xffff) continue;
    const [link, shape] = [part.u32(set + 4), part.u32(set + 8)];
    const target = {
      isPolicy: part.u8(part.at(19, link)) === 0,
      key: part.keyAt(2, link),
      ttlMin: part.word(18, shape, 0),
      ttlMax: part.word(18, shape, 1),
      answers: part.word(18, shape, 2),
    };
    found.push({ mask: part.u16(set), target });
  }
  return found;
}
