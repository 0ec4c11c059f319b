// SPDX-License-Identifier: Apache-2.0
//
// What must be true of a zone's static data before it is served. An error makes the zone
// unservable or ambiguous; a warning is legal, and nearly always not what was meant.

import { RRType, typeToText } from "./constants.ts";
import { isSubdomain, labelStarts, nameKey } from "./name.ts";
import { formatName } from "./name-text.ts";
import { formatRdata } from "./rdata.ts";
import type { ZoneRecord } from "./zone-record.ts";

/** Stable names of what checkZone finds. */
export type ZoneProblemCode =
  | "soa-missing"
  | "soa-duplicate"
  | "soa-not-at-apex"
  | "ns-missing"
  | "outside-zone"
  | "cname-and-other-data"
  | "cname-multiple"
  | "dname-multiple"
  | "dname-and-ns"
  | "duplicate-record"
  | "ttl-differs"
  | "glue-missing"
  | "server-address-missing"
  | "below-dname"
  | "occluded"
  | "target-is-cname";

/** One finding, with the record it is about where there is one. */
export interface ZoneProblem {
  readonly severity: "error" | "warning";
  readonly code: ZoneProblemCode;
  /** A sentence that names owner, type and values. */
  readonly message: string;
  readonly record?: ZoneRecord;
}

/** Problems reported for one zone; checking stops there. */
export const ZONE_PROBLEMS_MAX = 1000;

/**
 * Checks a zone as a whole. `apex` defaults to the owner of the first SOA. Time and memory grow
 * linearly with the records.
 */
export function checkZone(records: readonly ZoneRecord[], apex?: Uint8Array): ZoneProblem[] {
  const check = new ZoneCheck(records, apex);
  return check.run();
}

interface Node {
  readonly owner: Uint8Array;
  readonly rrsets: Rrsets;
}

/** The records of one owner by type. Most owners have one or two types: a list beats a Map. */
class Rrsets {
  readonly #sets: ZoneRecord[][] = [];

  add(record: ZoneRecord): void {
    const rrset = this.get(record.type);
    if (rrset === undefined) {
      this.#sets.push([record]);
    } else {
      rrset.push(record);
    }
  }

  get(type: number): ZoneRecord[] | undefined {
    return this.#sets.find(([first]) => first?.type === type);
  }

  has(type: number): boolean {
    return this.get(type) !== undefined;
  }

  types(): number[] {
    return this.#sets.flatMap(([first]) => (first === undefined ? [] : [first.type]));
  }

  values(): readonly (readonly ZoneRecord[])[] {
    return this.#sets;
  }
}

class ZoneCheck {
  readonly #records: readonly ZoneRecord[];
  readonly #apex: Uint8Array | undefined;
  readonly #nodes: Map<string, Node>;
  /** The nodes that hide what is below them: cuts and DNAMEs. Mostly few, so asked first. */
  readonly #covers: Map<string, Node>;
  readonly #problems: ZoneProblem[];

  constructor(records: readonly ZoneRecord[], apex: Uint8Array | undefined) {
    this.#records = records;
    this.#apex = apex ?? records.find((record) => record.type === RRType.SOA)?.owner;
    this.#nodes = new Map();
    this.#covers = new Map();
    this.#problems = [];
  }

  run(): ZoneProblem[] {
    const apex = this.#apex;
    if (apex === undefined) {
      this.#add("error", "soa-missing", "Cannot serve a zone: it has no SOA record");
      return this.#problems;
    }
    for (const record of this.#records) {
      if (isSubdomain(record.owner, apex)) {
        this.#file(record, apex);
      } else {
        const wanted = `expected ${formatName(apex)} or a name below it`;
        this.#add("error", "outside-zone", `Owner is ${quoted(record.owner)}, ${wanted}`, record);
      }
    }
    this.#checkApex(apex);
    for (const node of this.#nodes.values()) {
      if (this.#problems.length >= ZONE_PROBLEMS_MAX) {
        break;
      }
      this.#checkNode(node, apex);
    }
    return this.#problems;
  }

  #file(record: ZoneRecord, apex: Uint8Array): void {
    const key = nameKey(record.owner);
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = { owner: record.owner, rrsets: new Rrsets() };
      this.#nodes.set(key, node);
    }
    node.rrsets.add(record);
    if (record.type === RRType.DNAME || isCut(node, apex)) {
      this.#covers.set(key, node);
    }
  }

  #checkApex(apex: Uint8Array): void {
    const rrsets = this.#nodes.get(nameKey(apex))?.rrsets;
    const soa = rrsets?.get(RRType.SOA) ?? [];
    if (soa.length === 0) {
      this.#add("error", "soa-missing", `Zone ${quoted(apex)} has no SOA record at its apex`);
    }
    if (soa.length > 1) {
      const message = `Zone ${quoted(apex)} has ${soa.length} SOA records, expected one`;
      this.#add("error", "soa-duplicate", message, soa[1]);
    }
    if (!rrsets?.has(RRType.NS)) {
      this.#add("error", "ns-missing", `Zone ${quoted(apex)} has no NS record at its apex`);
    }
  }

  #checkNode(node: Node, apex: Uint8Array): void {
    const isApex = node.owner.length === apex.length;
    const [soa] = node.rrsets.get(RRType.SOA) ?? [];
    if (soa !== undefined && !isApex) {
      const message = `SOA is at ${quoted(node.owner)}, expected it at ${quoted(apex)} only`;
      this.#add("error", "soa-not-at-apex", message, soa);
    }
    this.#checkAliases(node, isApex);
    for (const rrset of node.rrsets.values()) {
      this.#checkRrset(rrset);
    }
    this.#checkCover(node, apex);
    this.#checkTargets(node, apex);
  }

  /** CNAME alone at its name (RFC 1034 §3.6.2), DNAME once and not at a cut (RFC 6672 §2.4). */
  #checkAliases(node: Node, isApex: boolean): void {
    const cnames = node.rrsets.get(RRType.CNAME) ?? [];
    const others = node.rrsets.types().filter((type) => !besideCname(type));
    if (cnames.length > 0 && others.length > 0) {
      const types = others.map(typeToText).join(", ");
      const message = `CNAME at ${quoted(node.owner)} has other data beside it: ${types}`;
      this.#add("error", "cname-and-other-data", message, cnames[0]);
    }
    if (differentCount(cnames) > 1) {
      const message = `${quoted(node.owner)} has several CNAME records, expected one`;
      this.#add("error", "cname-multiple", message, cnames[1]);
    }
    const dnames = node.rrsets.get(RRType.DNAME) ?? [];
    if (differentCount(dnames) > 1) {
      const message = `${quoted(node.owner)} has several DNAME records, expected one`;
      this.#add("error", "dname-multiple", message, dnames[1]);
    }
    if (dnames.length > 0 && node.rrsets.has(RRType.NS) && !isApex) {
      const message = `${quoted(node.owner)} has NS and DNAME, expected one of them below the apex`;
      this.#add("error", "dname-and-ns", message, dnames[0]);
    }
  }

  #checkRrset(rrset: readonly ZoneRecord[]): void {
    const [first] = rrset;
    if (first === undefined || rrset.length === 1) {
      return;
    }
    const seen = new Set<string>();
    for (const record of rrset) {
      const key = rdataKey(record);
      if (seen.has(key)) {
        this.#add("error", "duplicate-record", `${recordText(record)} is there twice`, record);
      }
      seen.add(key);
      // RRSIGs share an owner without being one RRset (RFC 2181 §5.2, RFC 4034 §3).
      if (record.ttl !== first.ttl && record.type !== RRType.RRSIG) {
        const message = `TTL of ${recordText(record)} is ${record.ttl}, expected ${first.ttl} as for the first record of its set`;
        this.#add("error", "ttl-differs", message, record);
      }
    }
  }

  /** Data that no query can reach: below a DNAME, or below or beside a cut. */
  #checkCover(node: Node, apex: Uint8Array): void {
    const record = node.rrsets.values()[0]?.[0];
    for (const ancestor of this.#coversOf(node.owner, apex)) {
      if (ancestor.rrsets.has(RRType.DNAME)) {
        const message = `${quoted(node.owner)} is below the DNAME at ${quoted(ancestor.owner)}`;
        this.#add("error", "below-dname", message, record);
        return;
      }
      if (isCut(ancestor, apex)) {
        const hidden = node.rrsets.types().filter((type) => !isAddress(type));
        if (hidden.length > 0) {
          const types = hidden.map(typeToText).join(", ");
          const message = `${types} at ${quoted(node.owner)} is hidden by the delegation of ${quoted(ancestor.owner)}`;
          this.#add("warning", "occluded", message, node.rrsets.get(hidden[0]!)?.[0]);
        }
        return;
      }
    }
    if (isCut(node, apex)) {
      this.#checkBesideCut(node);
    }
  }

  #checkBesideCut(node: Node): void {
    const hidden = node.rrsets.types().filter((type) => !besideCut(type));
    if (hidden.length > 0) {
      const types = hidden.map(typeToText).join(", ");
      const message = `${types} at ${quoted(node.owner)} is hidden by the delegation there`;
      this.#add("warning", "occluded", message, node.rrsets.get(hidden[0]!)?.[0]);
    }
  }

  /** Targets of NS, MX and SRV: addresses where needed, and no CNAME (RFC 2181 §10.3). */
  #checkTargets(node: Node, apex: Uint8Array): void {
    for (const [type, prefixBytes] of TARGET_TYPES) {
      for (const record of node.rrsets.get(type) ?? []) {
        const target = record.rdata.subarray(prefixBytes);
        const rrsets = this.#nodes.get(nameKey(target))?.rrsets;
        if (rrsets?.has(RRType.CNAME)) {
          const message = `Target of ${recordText(record)} is a CNAME, expected a name with addresses`;
          this.#add("warning", "target-is-cname", message, record);
        }
        if (type === RRType.NS) {
          this.#checkServer(node, record, target, apex);
        }
      }
    }
  }

  #checkServer(node: Node, record: ZoneRecord, target: Uint8Array, apex: Uint8Array): void {
    const rrsets = this.#nodes.get(nameKey(target))?.rrsets;
    const hasAddress = rrsets?.has(RRType.A) || rrsets?.has(RRType.AAAA) || false;
    if (hasAddress || !isSubdomain(target, apex)) {
      return;
    }
    if (isCut(node, apex) && isSubdomain(target, node.owner)) {
      const message = `Name server ${quoted(target)} lies below the cut it serves, expected its address as glue`;
      this.#add("error", "glue-missing", message, record);
      return;
    }
    const mayBeElsewhere = rrsets?.has(RRType.CNAME) || this.#isCovered(target, apex);
    if (!mayBeElsewhere) {
      const message = `Name server ${quoted(target)} of ${quoted(node.owner)} has no address in the zone`;
      this.#add(
        node.owner.length === apex.length ? "error" : "warning",
        "server-address-missing",
        message,
        record,
      );
    }
  }

  /** True if another zone (a cut, a DNAME) or a wildcard may give the name its address. */
  #isCovered(name: Uint8Array, apex: Uint8Array): boolean {
    for (const ancestor of this.#coversOf(name, apex)) {
      if (isCut(ancestor, apex) || ancestor.rrsets.has(RRType.DNAME)) {
        return true;
      }
    }
    return labelStarts(name).some((start) => {
      const parent = name.subarray(start + 1 + name[start]!);
      return this.#nodes.has(`\u0001*${nameKey(parent)}`);
    });
  }

  /** Cuts and DNAMEs above the name, the apex included, from the top. */
  #coversOf(name: Uint8Array, apex: Uint8Array): Node[] {
    const nodes: Node[] = [];
    if (this.#covers.size === 0) {
      return nodes;
    }
    for (const start of labelStarts(name)) {
      const ancestor = name.subarray(start + 1 + name[start]!);
      if (ancestor.length < apex.length) {
        break;
      }
      const node = this.#covers.get(nameKey(ancestor));
      if (node !== undefined) {
        nodes.push(node);
      }
    }
    return nodes.reverse();
  }

  #add(
    severity: "error" | "warning",
    code: ZoneProblemCode,
    message: string,
    record?: ZoneRecord,
  ): void {
    if (this.#problems.length >= ZONE_PROBLEMS_MAX) {
      return;
    }
    this.#problems.push(
      record === undefined ? { severity, code, message } : { severity, code, message, record },
    );
  }
}

/** Types with a host name as target, and the bytes before it in their rdata. */
const TARGET_TYPES: readonly (readonly [type: number, prefixBytes: number])[] = [
  [RRType.NS, 0],
  [RRType.MX, 2],
  [RRType.SRV, 6],
];

function isCut(node: Node, apex: Uint8Array): boolean {
  return node.owner.length > apex.length && node.rrsets.has(RRType.NS);
}

function isAddress(type: number): boolean {
  return type === RRType.A || type === RRType.AAAA;
}

/** Types allowed beside a CNAME (RFC 4034 §3, §4; RFC 2181 §10.1). */
function besideCname(type: number): boolean {
  return (
    type === RRType.CNAME ||
    type === RRType.RRSIG ||
    type === RRType.NSEC ||
    type === RRType.SIG ||
    type === RRType.KEY ||
    type === RRType.NXT
  );
}

/** Types that mean something at the parent's side of a cut; addresses there are glue. */
function besideCut(type: number): boolean {
  return (
    type === RRType.NS ||
    type === RRType.DS ||
    type === RRType.RRSIG ||
    type === RRType.NSEC ||
    isAddress(type)
  );
}

function differentCount(records: readonly ZoneRecord[]): number {
  return new Set(records.map(rdataKey)).size;
}

/** Names inside compare without case, as in RFC 4034 §6.2; for other types the bytes count. */
function rdataKey(record: ZoneRecord): string {
  switch (record.type) {
    case RRType.NS:
    case RRType.CNAME:
    case RRType.DNAME:
    case RRType.PTR:
      return nameKey(record.rdata);
    default:
      return Buffer.from(record.rdata).toString("latin1");
  }
}

function quoted(name: Uint8Array): string {
  return JSON.stringify(formatName(name));
}

function recordText(record: ZoneRecord): string {
  const rdata = formatRdata(record.type, record.rdata);
  return `${typeToText(record.type)} ${quoted(record.owner)} ${rdata}`;
}
