// SPDX-License-Identifier: Apache-2.0
//
// What an authoritative server answers, written for reading and not for speed: the slow twin that
// the edge's query path is compared with. It follows the algorithm of RFC 1034 §4.3.2 as amended
// by RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 6604 (rcode of a chain), RFC 6672
// (DNAME) and RFC 8482 (ANY).
//
//     zone ── none ──► REFUSED
//      │ walk down from the apex towards the name
//      ├─ a cut on the way (NS below the apex) ──► referral
//      ├─ a DNAME above the name ──► synthesise a CNAME, start again with its target
//      ├─ the name exists ──► records, CNAME (start again), or NODATA
//      └─ it does not ──► wildcard of the closest encloser, treated as the name, or NXDOMAIN

import { DnsLimits, RRType, Rcode } from "./constants.ts";
import {
  nameKey,
  isSubdomain,
  labelStarts,
  parentName,
  replaceSuffix,
  wildcardOf,
} from "./name.ts";
import type { ZoneRecord } from "./zone-record.ts";

/** Steps of a chain of CNAME and DNAME after which the answer is sent as far as it got. */
export const CHAIN_STEPS_MAX = 8;

/** A zone as the twin sees it: its apex and all its records. */
export interface TwinZone {
  readonly apex: Uint8Array;
  readonly records: readonly ZoneRecord[];
}

/** A response without header and question; each section is a set, its order has no meaning. */
export interface TwinAnswer {
  readonly rcode: number;
  readonly aa: boolean;
  readonly answer: readonly ZoneRecord[];
  readonly authority: readonly ZoneRecord[];
  /** Glue of a referral; empty otherwise. */
  readonly additional: readonly ZoneRecord[];
}

/** The answer to a query of class IN for `qname` and `qtype` from the given zones. */
export function resolveAuthority(
  zones: readonly TwinZone[],
  qname: Uint8Array,
  qtype: number,
): TwinAnswer {
  const served = zones.map((zone) => new ServedZone(zone));
  const first = closestZone(served, qname, qtype);
  if (first === undefined) {
    return { rcode: Rcode.REFUSED, aa: false, answer: [], authority: [], additional: [] };
  }
  const answer: ZoneRecord[] = [];
  const asked = new Set<string>();
  let name = qname;
  let zone: ServedZone | undefined = first;
  let last: Step = { kind: "end", rcode: Rcode.NOERROR };
  for (let steps = 0; zone !== undefined; steps++) {
    asked.add(nameKey(name));
    last = zone.step(name, qtype);
    if (last.kind !== "chain") {
      break;
    }
    answer.push(...last.records.filter((record) => !holds(answer, record)));
    // A name asked before would only repeat what is in the answer.
    if (asked.has(nameKey(last.target)) || steps + 1 >= CHAIN_STEPS_MAX) {
      break;
    }
    name = last.target;
    zone = closestZone(served, name, qtype);
  }
  return finish(last, answer);
}

/** What one pass through a zone gives for one name. */
type Step =
  | { readonly kind: "answer"; readonly records: readonly ZoneRecord[] }
  | { readonly kind: "chain"; readonly records: readonly ZoneRecord[]; readonly target: Uint8Array }
  | { readonly kind: "negative"; readonly rcode: number; readonly soa: readonly ZoneRecord[] }
  | {
      readonly kind: "referral";
      readonly servers: readonly ZoneRecord[];
      readonly glue: readonly ZoneRecord[];
    }
  | { readonly kind: "overflow"; readonly records: readonly ZoneRecord[] }
  | { readonly kind: "end"; readonly rcode: number };

function finish(last: Step, chain: readonly ZoneRecord[]): TwinAnswer {
  const none = { aa: true, answer: chain, authority: [], additional: [] };
  switch (last.kind) {
    case "answer":
      return { ...none, rcode: Rcode.NOERROR, answer: [...chain, ...last.records] };
    case "negative":
      return { ...none, rcode: last.rcode, authority: last.soa };
    case "referral": {
      // AA speaks of the first name: it holds if a chain led to the cut (RFC 1035 §4.1.1).
      const aa = chain.length > 0;
      const { servers, glue } = last;
      return { ...none, rcode: Rcode.NOERROR, aa, authority: servers, additional: glue };
    }
    case "overflow":
      return { ...none, rcode: Rcode.YXDOMAIN, answer: [...chain, ...last.records] };
    default:
      return { ...none, rcode: Rcode.NOERROR };
  }
}

/** The zone that holds the name; for DS the one above a cut, if it is served too (RFC 4035 §3.1.4.1). */
function closestZone(
  zones: readonly ServedZone[],
  name: Uint8Array,
  qtype: number,
): ServedZone | undefined {
  const holding = zones
    .filter((zone) => isSubdomain(name, zone.apex))
    .sort((a, b) => b.apex.length - a.apex.length);
  const [deepest, above] = holding;
  const isDsAtApex = qtype === RRType.DS && deepest?.apex.length === name.length;
  return isDsAtApex ? (above ?? deepest) : deepest;
}

class ServedZone {
  readonly apex: Uint8Array;
  readonly #records: readonly ZoneRecord[];
  /** Keys of all names that exist, empty non-terminals included. */
  readonly #names: ReadonlySet<string>;

  constructor(zone: TwinZone) {
    this.apex = zone.apex;
    this.#records = withoutDuplicates(zone.records);
    this.#names = namesOf(zone);
  }

  step(name: Uint8Array, qtype: number): Step {
    for (const node of this.#path(name)) {
      const isName = node.length === name.length;
      const isApex = node.length === this.apex.length;
      const servers = this.#rrset(node, RRType.NS);
      // The DS of a cut belongs to the parent's side (RFC 4035 §3.1.4.1).
      if (servers.length > 0 && !isApex && !(isName && qtype === RRType.DS)) {
        return { kind: "referral", servers, glue: this.#glue(servers) };
      }
      const [dname] = this.#rrset(node, RRType.DNAME);
      if (dname !== undefined && !isName) {
        return substitute(name, dname);
      }
    }
    if (this.#exists(name)) {
      return this.#match(name, name, qtype);
    }
    const wildcard = wildcardOf(this.#closestEncloser(name));
    return wildcard !== undefined && this.#exists(wildcard)
      ? this.#match(wildcard, name, qtype)
      : this.#negative(Rcode.NXDOMAIN);
  }

  /** Answers from the data of `node`, with `owner` for the owner (they differ for a wildcard). */
  #match(node: Uint8Array, owner: Uint8Array, qtype: number): Step {
    const own = (records: readonly ZoneRecord[]): ZoneRecord[] =>
      records.map((record) => ({ ...record, owner }));
    const wanted = qtype === RRType.ANY ? this.#anyType(node) : qtype;
    const records = this.#rrset(node, wanted);
    if (records.length > 0) {
      return { kind: "answer", records: own(records) };
    }
    const [cname] = this.#rrset(node, RRType.CNAME);
    return cname === undefined
      ? this.#negative(Rcode.NOERROR)
      : { kind: "chain", records: own([cname]), target: cname.rdata };
  }

  /** ANY is answered with one RRset, here that of the lowest type (RFC 8482 §4.1). */
  #anyType(node: Uint8Array): number {
    const types = this.#at(node).map((record) => record.type);
    return types.length === 0 ? RRType.ANY : Math.min(...types);
  }

  /** The SOA with the TTL that a negative answer may be kept (RFC 2308 §5). */
  #negative(rcode: number): Step {
    const soa = this.#rrset(this.apex, RRType.SOA).map((record) => {
      const view = new DataView(record.rdata.buffer, record.rdata.byteOffset, record.rdata.length);
      return { ...record, ttl: Math.min(record.ttl, view.getUint32(record.rdata.length - 4)) };
    });
    return { kind: "negative", rcode, soa };
  }

  /** Addresses of the servers, as far as this zone holds them (RFC 1034 §4.2.1, RFC 9471). */
  #glue(servers: readonly ZoneRecord[]): ZoneRecord[] {
    return servers.flatMap((server) => [
      ...this.#rrset(server.rdata, RRType.A),
      ...this.#rrset(server.rdata, RRType.AAAA),
    ]);
  }

  /** The names from the apex down to `name`, both included. */
  #path(name: Uint8Array): Uint8Array[] {
    return labelStarts(name)
      .concat(name.length - 1)
      .map((start) => name.subarray(start))
      .filter((node) => node.length >= this.apex.length)
      .reverse();
  }

  #closestEncloser(name: Uint8Array): Uint8Array {
    const ancestors = this.#path(name).filter((node) => this.#exists(node));
    return ancestors.at(-1) ?? this.apex;
  }

  #exists(name: Uint8Array): boolean {
    return this.#names.has(nameKey(name));
  }

  #rrset(owner: Uint8Array, type: number): ZoneRecord[] {
    return this.#at(owner).filter((record) => record.type === type);
  }

  #at(owner: Uint8Array): ZoneRecord[] {
    const key = nameKey(owner);
    return this.#records.filter((record) => nameKey(record.owner) === key);
  }
}

/** DNAME substitution: the DNAME and a CNAME made from it, or YXDOMAIN (RFC 6672 §2.2, §3.1). */
function substitute(name: Uint8Array, dname: ZoneRecord): Step {
  const target = replaceSuffix(name, dname.owner, dname.rdata);
  if (target === undefined || target.length > DnsLimits.nameBytesMax) {
    return { kind: "overflow", records: [dname] };
  }
  const cname = { owner: name, type: RRType.CNAME, ttl: dname.ttl, rdata: target };
  return { kind: "chain", records: [dname, cname], target };
}

function namesOf(zone: TwinZone): Set<string> {
  const names = new Set<string>([nameKey(zone.apex)]);
  for (const { owner } of zone.records) {
    let name: Uint8Array | undefined = owner;
    while (name !== undefined && isSubdomain(name, zone.apex)) {
      names.add(nameKey(name));
      name = parentName(name);
    }
  }
  return names;
}

function withoutDuplicates(records: readonly ZoneRecord[]): ZoneRecord[] {
  const kept: ZoneRecord[] = [];
  for (const record of records) {
    if (!holds(kept, record)) {
      kept.push(record);
    }
  }
  return kept;
}

function holds(records: readonly ZoneRecord[], record: ZoneRecord): boolean {
  return records.some(
    (other) =>
      other.type === record.type &&
      nameKey(other.owner) === nameKey(record.owner) &&
      Buffer.compare(other.rdata, record.rdata) === 0,
  );
}
