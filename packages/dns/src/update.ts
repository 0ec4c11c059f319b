// SPDX-License-Identifier: Apache-2.0
//
// What a dynamic update (RFC 2136) does to a zone, without the zone: it asks for what is at the names that the update is about, and
// gives back what is to be at them. All or nothing, so a refusal comes before anything is changed.
//
//   message ──► form (§2, §3.1) ──► prerequisites (§3.2) ──► form of the update section (§3.4.1) ──► permission (§3.3) ──► changes (§3.4.2)

import { DnsLimits, Opcode, RRClass, RRType, Rcode, isMetaType } from "./constants.ts";
import { canonicalRdata } from "./dnssec/canonical.ts";
import type { Message, ResourceRecord } from "./message.ts";
import { equalNames, isSubdomain, lowerName, nameKey } from "./name.ts";
import { isRdata } from "./rdata.ts";

/** Records of one type at a name. `ttl` in seconds; `rdatas` are not empty, each once. */
export interface UpdateRrset {
  readonly type: number;
  readonly ttl: number;
  readonly rdatas: readonly Uint8Array[];
}

/** What is at a name. */
export interface UpdateName {
  readonly rrsets: readonly UpdateRrset[];
  /** Types that are answered there with data that differs from client to client. */
  readonly routed: readonly number[];
}

/** What an update asks for: the zone's name, and the records of its two sections. */
export interface UpdateRequest {
  readonly origin: Uint8Array;
  readonly prerequisites: readonly ResourceRecord[];
  readonly updates: readonly ResourceRecord[];
}

/** One set that is to be other than it was; undefined is none. `owner` is lower case. */
export interface RrsetChange {
  readonly owner: Uint8Array;
  readonly type: number;
  readonly before: UpdateRrset | undefined;
  readonly after: UpdateRrset | undefined;
}

/** Why an update is not done. `name` is what it is about, where it is about one. */
export interface UpdateRefusal {
  readonly rcode: number;
  readonly reason:
    | "malformed"
    | "other-class"
    | "outside-zone"
    | "prerequisite"
    | "forbidden"
    | "routed";
  readonly name?: Uint8Array;
  readonly type?: number;
}

/** What an update is judged by. */
export interface UpdateFacts {
  readonly at: (name: Uint8Array) => UpdateName;
  /** Whether the sender may change records of a type at a name. */
  readonly mayChange: (name: Uint8Array, type: number) => boolean;
}

/** Records of both sections of one update. */
export const UPDATE_RECORDS_MAX = 4096;
/** A type of which a name has one record at most: another takes its place (RFC 2136 §3.4.2.2, RFC 6672 §2.4). */
const singletons: ReadonlySet<number> = new Set([RRType.CNAME, RRType.DNAME, RRType.SOA]);
/** What may stand beside a CNAME (RFC 4035 §2.5). */
const besideCname: ReadonlySet<number> = new Set([RRType.RRSIG, RRType.NSEC]);
/** What a deletion of sets leaves at the apex (RFC 2136 §3.4.2.3). */
const staysAtApex: ReadonlySet<number> = new Set([RRType.SOA, RRType.NS]);
const TYPE_ANY = 255;

/** The update in a message of that opcode; a refusal where it has not the form of one (RFC 2136 §2.3). */
export function readUpdate(message: Message): UpdateRequest | UpdateRefusal {
  const [zone, ...others] = message.question;
  const isOne = zone !== undefined && others.length === 0 && zone.type === RRType.SOA;
  if (message.opcode !== Opcode.UPDATE || message.flags.qr || !isOne) return malformed();
  if (zone.class !== RRClass.IN) return { rcode: Rcode.NOTAUTH, reason: "other-class" };
  const { answer: prerequisites, authority: updates } = message;
  if (prerequisites.length + updates.length > UPDATE_RECORDS_MAX) return malformed();
  return { origin: lowerName(zone.name), prerequisites, updates };
}

/** The names that an update is about, each once, in lower case; those outside its zone are left out. */
export function updateNames({ origin, prerequisites, updates }: UpdateRequest): Uint8Array[] {
  const names = new Map<string, Uint8Array>();
  for (const { owner } of [...prerequisites, ...updates])
    if (isSubdomain(owner, origin)) names.set(nameKey(owner), lowerName(owner));
  return [...names.values()];
}

/** What is to change, or why nothing does. */
export function evaluateUpdate(
  request: UpdateRequest,
  facts: UpdateFacts,
): readonly RrsetChange[] | UpdateRefusal {
  return (
    prerequisiteRefusal(request, facts) ??
    formRefusal(request) ??
    permissionRefusal(request, facts) ??
    changesOf(request, facts)
  );
}

export function isUpdateRefusal(value: object): value is UpdateRefusal {
  return "rcode" in value;
}

/** §3.2: the first prerequisite that does not hold; those with values are compared as whole sets at the end. */
function prerequisiteRefusal(
  { origin, prerequisites }: UpdateRequest,
  { at }: UpdateFacts,
): UpdateRefusal | undefined {
  const wanted = new Map<string, ResourceRecord[]>();
  for (const record of prerequisites) {
    const { owner: name, type, class: rrClass, ttl, rdata } = record;
    if (ttl !== 0) return malformed(name, type);
    if (!isSubdomain(name, origin)) return outside(name, type);
    const present = at(name);
    const isThere = type === TYPE_ANY ? isInUse(present) : hasType(present, type);
    if (rrClass === RRClass.ANY || rrClass === RRClass.NONE) {
      if (rdata.length > 0 || (isMetaType(type) && type !== TYPE_ANY)) return malformed(name, type);
      const isWanted = rrClass === RRClass.ANY;
      if (isThere !== isWanted) return unmet(absenceRcode(type, isWanted), name, type);
    } else if (rrClass === RRClass.IN) {
      if (isMetaType(type) || !isRdata(type, rdata)) return malformed(name, type);
      const key = `${type} ${nameKey(name)}`;
      wanted.set(key, [...(wanted.get(key) ?? []), record]);
    } else return malformed(name, type);
  }
  for (const [first, ...more] of wanted.values()) {
    if (first === undefined) continue;
    const { owner, type } = first;
    const found = at(owner).rrsets.find((set) => set.type === type)?.rdatas ?? [];
    const keys = new Set([first, ...more].map(({ rdata }) => dataKey(type, rdata)));
    const isEqual =
      keys.size === found.length && found.every((rdata) => keys.has(dataKey(type, rdata)));
    if (!isEqual) return unmet(Rcode.NXRRSET, owner, type);
  }
  return undefined;
}

function absenceRcode(type: number, isWanted: boolean): number {
  if (type === TYPE_ANY) return isWanted ? Rcode.NXDOMAIN : Rcode.YXDOMAIN;
  return isWanted ? Rcode.NXRRSET : Rcode.YXRRSET;
}

/** §3.4.1. */
function formRefusal({ origin, updates }: UpdateRequest): UpdateRefusal | undefined {
  for (const { owner, type, class: rrClass, ttl, rdata } of updates) {
    if (!isSubdomain(owner, origin)) return outside(owner, type);
    if (!isWellFormed(type, rrClass, ttl, rdata)) return malformed(owner, type);
  }
  return undefined;
}

function isWellFormed(type: number, rrClass: number, ttl: number, rdata: Uint8Array): boolean {
  switch (rrClass) {
    case RRClass.IN:
      return !isMetaType(type) && isRdata(type, rdata);
    case RRClass.ANY:
      return ttl === 0 && rdata.length === 0 && (type === TYPE_ANY || !isMetaType(type));
    case RRClass.NONE:
      return ttl === 0 && !isMetaType(type) && isRdata(type, rdata);
    default:
      return false;
  }
}

/** §3.3, of what is there or is to be there; and what is routed is not changed at all. */
function permissionRefusal(
  { origin, updates }: UpdateRequest,
  { at, mayChange }: UpdateFacts,
): UpdateRefusal | undefined {
  for (const { owner: name, type } of updates) {
    const { rrsets, routed } = at(name);
    const stays = (each: number): boolean => staysAtApex.has(each) && equalNames(name, origin);
    const present = rrsets.map((set) => set.type).filter((each) => !stays(each));
    const types = type === TYPE_ANY ? present : [type];
    const forbidden = types.find((each) => !mayChange(name, each));
    if (forbidden !== undefined)
      return { rcode: Rcode.REFUSED, reason: "forbidden", name, type: forbidden };
    if (routed.length > 0) return { rcode: Rcode.REFUSED, reason: "routed", name, type };
  }
  return undefined;
}

/** §3.4.2. */
function changesOf({ origin, updates }: UpdateRequest, { at }: UpdateFacts): RrsetChange[] {
  const names = new Map<string, NameDraft>();
  for (const record of updates) {
    const key = nameKey(record.owner);
    let draft = names.get(key);
    if (draft === undefined) {
      draft = new NameDraft(lowerName(record.owner), origin, at(record.owner).rrsets);
      names.set(key, draft);
    }
    draft.apply(record);
  }
  return [...names.values()].flatMap((draft) => draft.changes());
}

/** What is to be at one name, while the records of an update are gone through. */
class NameDraft {
  readonly #owner: Uint8Array;
  readonly #isApex: boolean;
  readonly #before: ReadonlyMap<number, UpdateRrset>;
  readonly #sets = new Map<number, UpdateRrset>();

  constructor(owner: Uint8Array, origin: Uint8Array, rrsets: readonly UpdateRrset[]) {
    this.#owner = owner;
    this.#isApex = equalNames(owner, origin);
    this.#before = new Map(rrsets.map((set) => [set.type, set]));
    this.#sets = new Map(this.#before);
  }

  apply(record: ResourceRecord): void {
    if (record.class === RRClass.IN) this.#add(record);
    else if (record.class === RRClass.NONE) this.#remove(record);
    else if (record.type === TYPE_ANY) {
      for (const type of this.#sets.keys()) this.#removeSet(type);
    } else this.#removeSet(record.type);
  }

  changes(): RrsetChange[] {
    const types = new Set([...this.#before.keys(), ...this.#sets.keys()]);
    return [...types].flatMap((type) => {
      const [before, after] = [this.#before.get(type), this.#sets.get(type)];
      return isSameSet(before, after) ? [] : [{ owner: this.#owner, type, before, after }];
    });
  }

  /** §3.4.2.2: a CNAME stands alone, and what is there first stays. */
  #add({ type, ttl: received, rdata }: ResourceRecord): void {
    const isBeside = (each: number): boolean => each !== RRType.CNAME && !besideCname.has(each);
    if (type === RRType.CNAME && [...this.#sets.keys()].some(isBeside)) return;
    if (isBeside(type) && this.#sets.has(RRType.CNAME)) return;
    // The zone has one SOA, and its serial only rises (§3.6).
    if (type === RRType.SOA && !this.#isApex) return;
    // RFC 2181 §8: with the highest bit it is none. All records of a set have one (§5.2).
    const ttl = received > DnsLimits.ttlSecondsMax ? 0 : received;
    const present = singletons.has(type) ? [] : (this.#sets.get(type)?.rdatas ?? []);
    const key = dataKey(type, rdata);
    const others = present.filter((each) => dataKey(type, each) !== key);
    const isKnown = others.length < present.length;
    this.#sets.set(type, { type, ttl, rdatas: isKnown ? present : [...present, rdata] });
  }

  /** §3.4.2.4: the last name server of a zone stays, and so does its SOA. */
  #remove({ type, rdata }: ResourceRecord): void {
    const set = this.#sets.get(type);
    if (set === undefined || type === RRType.SOA) return;
    const key = dataKey(type, rdata);
    const rdatas = set.rdatas.filter((each) => dataKey(type, each) !== key);
    if (rdatas.length > 0) this.#sets.set(type, { ...set, rdatas });
    else if (!this.#isApex || type !== RRType.NS) this.#sets.delete(type);
  }

  #removeSet(type: number): void {
    if (this.#isApex && staysAtApex.has(type)) return;
    this.#sets.delete(type);
  }
}

function isSameSet(a: UpdateRrset | undefined, b: UpdateRrset | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.ttl !== b.ttl) return false;
  const keys = new Set(a.rdatas.map((rdata) => dataKey(a.type, rdata)));
  return (
    a.rdatas.length === b.rdatas.length &&
    b.rdatas.every((rdata) => keys.has(dataKey(b.type, rdata)))
  );
}

/** Equal for equal data: names in it have no case (RFC 4034 §6.2). */
function dataKey(type: number, rdata: Uint8Array): string {
  return Buffer.from(canonicalRdata(type, rdata)).toString("latin1");
}

/** A name without records between others is not in use (§2.4.4). */
function isInUse({ rrsets, routed }: UpdateName): boolean {
  return rrsets.length + routed.length > 0;
}

function hasType({ rrsets, routed }: UpdateName, type: number): boolean {
  return routed.includes(type) || rrsets.some((set) => set.type === type);
}

function malformed(name?: Uint8Array, type?: number): UpdateRefusal {
  return { rcode: Rcode.FORMERR, reason: "malformed", ...about(name, type) };
}

function outside(name: Uint8Array, type: number): UpdateRefusal {
  return { rcode: Rcode.NOTZONE, reason: "outside-zone", name, type };
}

function unmet(rcode: number, name: Uint8Array, type: number): UpdateRefusal {
  return { rcode, reason: "prerequisite", name, type };
}

function about(name?: Uint8Array, type?: number): Pick<UpdateRefusal, "name" | "type"> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(type === undefined ? {} : { type }),
  };
}
