// SPDX-License-Identifier: Apache-2.0

// Signs a response while it is written (RFC 4035 §3.1). The query path writes sets as it always does; behind each one that the zone is
// authoritative for, the writer asks here for its RRSIG, and where something is not there, for the proof of that (denial.ts). A query
// without DO never comes here.
//
//   set written ─► hash of its content ─► table ─┬─ there ─► copied
//                                                └─ not ─► signed at once, within a budget ─► kept for all threads
//
// Beyond the budget nothing is signed: over UDP the answer is cut off (TC), over TCP it is SERVFAIL. Clients over TCP or with a good
// cookie have a budget of their own.

import { ExtendedError, Rcode, RRType, signRrset } from "@meridian/dns";
import { NodeFlag, type LoadedZone } from "@meridian/snapshot";
import { FixedCounter } from "../counter-layout.ts";
import type { WorkerCounters } from "../counters.ts";
import type { QuerySigner, QueryState } from "../query-state.ts";
import { Section, type ResponseWriter } from "../response-writer.ts";
import { DenialWriter } from "./denial.ts";
import { ExpandedNames } from "./expanded-names.ts";
import { isWildcard } from "./found-wildcard.ts";
import { SetBytes } from "./set-bytes.ts";
import { sharesOwner } from "./shared-owner.ts";
import { SignatureKey, type SignatureTable } from "./signature-table.ts";
import type { SignedZone, SigningKey } from "./signed-zone.ts";
import type { SigningBudget } from "./signing-budget.ts";

const TYPE_NS = 2;
const TYPE_CNAME = 5;
const TYPE_RRSIG = 46;
const CLASS_IN = 1;
const OWNER_POINTER_BYTES = 2;
/** Bytes of a record between owner and rdata. */
const RECORD_FIXED_BYTES = 10;
/** Bytes of RRSIG rdata before the signer's name (RFC 4034 §3.1). */
const RRSIG_FIXED_BYTES = 18;
const NAME_BYTES_MAX = 255;

/** What threads that sign share, and how much each may. */
export interface SigningParts {
  readonly table: SignatureTable;
  /** For names that are not a zone's own. */
  readonly guests: SignatureTable;
  readonly budget: SigningBudget;
  readonly counters: WorkerCounters;
  /** Whether signatures that are due are made anew, as by the thread that signs ahead. */
  readonly isAhead?: boolean;
  /** Answers for what is at an apex and not in its zone; −1 for all else. */
  readonly answerApex: () => number;
}

export class ResponseSigner implements QuerySigner {
  readonly query: QueryState;
  readonly signsAnything: boolean = true;
  /** Zones by index; undefined where one is not signed. */
  zones: readonly (SignedZone | undefined)[] = [];
  /** Zone of the name being resolved, if it is signed. */
  zone: SignedZone | undefined = undefined;
  /** TTL that signatures of a decided set cover, whatever is left of it now; −1 elsewhere. */
  originalTtl: number = -1;
  /** A signature could not be made. */
  isRefused: boolean = false;
  readonly #parts: SigningParts;
  readonly #denial: DenialWriter;
  readonly #bytes = new SetBytes();
  readonly #key = new SignatureKey();
  /** A name that lies nowhere in one piece. */
  readonly #joined = new Uint8Array(NAME_BYTES_MAX + 3);
  readonly #joinedView = new DataView(this.#joined.buffer);
  /** The name whose set is signed: `#owner[#ownerStart..#ownerStart + #ownerLength)`. */
  #owner: Uint8Array = this.#joined;
  #ownerView: DataView = this.#joinedView;
  #ownerStart = 0;
  /** Where the signature of that name's set is kept. */
  #table: SignatureTable;
  #ownerLength = 0;
  readonly #expanded = new ExpandedNames();

  constructor(query: QueryState, parts: SigningParts) {
    this.query = query;
    this.#parts = parts;
    this.#table = parts.table;
    this.#denial = new DenialWriter(this);
  }

  /** Makes the signer new for a query. */
  begin(): void {
    this.zone = undefined;
    this.isRefused = false;
    this.#expanded.clear();
    this.#denial.begin();
  }

  /** Whether no name that a wildcard stood for so far is denied by a record of which the zone has another one. */
  mayFollow(next: LoadedZone): boolean {
    const expanded = this.#expanded;
    for (let index = 0; index < expanded.count; index++) {
      const { zone, order, hashed, isCompact } = expanded.zoneOf(index);
      if (order === undefined || hashed !== undefined || isCompact) continue;
      const start = expanded.startOf(index);
      const position = order.floor(expanded.bytes, start, expanded.lengthOf(index));
      if (sharesOwner(zone, order, position, next)) return false;
    }
    return true;
  }

  /** A name of the chain is resolved in this zone. */
  enter(zone: LoadedZone): void {
    this.zone = this.zones[zone.index];
    this.originalTtl = -1;
  }

  /** Signs the set from `from` to where the response is written now. False where its signature does not fit, or cannot be made. */
  sign(response: ResponseWriter, section: number, from: number): boolean {
    const { zone, query } = this;
    if (zone === undefined) return true;
    if (section === Section.additional) return this.#signBeside(response, from);
    const { name } = query.served;
    const ownerAt = response.outputView.getUint16(from) & 0x3fff;
    const type = response.outputView.getUint16(from + OWNER_POINTER_BYTES);
    // Name servers of a delegation are the child's (RFC 4035 §2.2).
    if (section === Section.authority && type === TYPE_NS) return true;
    let label = 0;
    while (label < name.labelCount && name.messageOffsets[label] !== ownerAt) label += 1;
    // A negative answer has the SOA for a shorter time than the zone (RFC 2308 §3, RFC 4034 §3.1.4).
    const originalTtl = type === RRType.SOA ? zone.soaTtl : this.originalTtl;
    if (label !== 0) {
      const covered = type === RRType.SOA ? originalTtl : -1;
      return this.signAs(response, section, from, OWNER_POINTER_BYTES, label, false, covered);
    }
    const { lookup } = query;
    if (lookup.label === 0)
      return this.signAs(response, section, from, OWNER_POINTER_BYTES, 0, false, originalTtl);
    if (isWildcard(zone.zone, lookup, name)) {
      if (zone.isCompact)
        return this.signAs(
          response,
          section,
          from,
          OWNER_POINTER_BYTES,
          0,
          false,
          this.originalTtl,
        );
      this.#noteExpanded(zone);
      const at = lookup.label;
      return this.signAs(response, section, from, OWNER_POINTER_BYTES, at, true, this.originalTtl);
    }
    // A CNAME that was made from a DNAME is not signed (RFC 6672 §5.3.1).
    return type === TYPE_CNAME && (lookup.flags & NodeFlag.hasDname) !== 0
      ? true
      : this.signAs(response, section, from, OWNER_POINTER_BYTES, 0, false, this.originalTtl);
  }

  /** Addresses beside a referral that are the zone's own. What does not fit, or is not at hand, is left out (RFC 4035 §3.1.1). */
  #signBeside(response: ResponseWriter, from: number): true {
    const { chunk, node } = this.query.otherLookup;
    const { bytes, view, length } = this.query.served.otherName;
    if (chunk === undefined || !isAuthoritative(chunk.bytes, node)) return true;
    const { at } = response;
    const count = response.counts[Section.additional]!;
    const { isRefused } = this;
    this.#table = this.#parts.table;
    this.#owner = bytes;
    this.#ownerView = view;
    this.#ownerStart = 0;
    this.#ownerLength = length;
    if (this.#signOwned(response, Section.additional, from, OWNER_POINTER_BYTES, -1)) return true;
    response.at = at;
    response.counts[Section.additional] = count;
    this.isRefused = isRefused;
    return true;
  }

  /** The set at `from` is the name's from label `label` on, behind an asterisk where it comes from a wildcard. */
  signAs(
    response: ResponseWriter,
    section: number,
    from: number,
    ownerBytes: number,
    label: number,
    isExpanded: boolean,
    originalTtl: number,
  ): boolean {
    const { name } = this.query.served;
    this.#owner = name.bytes;
    this.#ownerView = name.view;
    this.#ownerStart = name.starts[label]!;
    this.#ownerLength = name.length - this.#ownerStart;
    if (isExpanded) this.#putAsterisk();
    const isGuest = label === 0 && this.query.lookup.label > 0 && this.zone!.isCompact;
    this.#table = isGuest ? this.#parts.guests : this.#parts.table;
    return this.#signOwned(response, section, from, ownerBytes, originalTtl);
  }

  /** The set at `from` has the owner `relative[start..start + length)` in the zone. */
  signRelative(
    response: ResponseWriter,
    section: number,
    from: number,
    ownerBytes: number,
    relative: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    this.#table = this.#parts.table;
    const joined = this.#joined;
    const origin = this.zone!.zone.origin;
    for (let index = 0; index < length; index++) joined[index] = relative[start + index]!;
    for (let index = 0; index < origin.length; index++) joined[length + index] = origin[index]!;
    this.#owner = joined;
    this.#ownerView = this.#joinedView;
    this.#ownerStart = 0;
    this.#ownerLength = length + origin.length;
    return this.#signOwned(response, section, from, ownerBytes, -1);
  }

  /**
   * Answers for the types that each name of a signed zone has, and its NSEC says so: that NSEC itself (RFC 4035 §3.1), and signatures, of which
   * none is given without what it signs. −1 for all else.
   */
  answerOwn(rcode: number): number {
    const { query, zone } = this;
    const { type } = query.message;
    if (zone === undefined || rcode !== Rcode.NOERROR) return -1;
    if (type === RRType.RRSIG) {
      query.ede = ExtendedError.NOT_SUPPORTED;
      return Rcode.REFUSED;
    }
    if (type === RRType.NSEC && query.lookup.label === 0)
      return this.#denial.answerOwn() ? rcode : -1;
    // Where an alias leads to an apex; a name that is asked for itself has been looked at before.
    return this.#parts.answerApex();
  }

  /** Proof that something is not there, behind the SOA. Returns the rcode of the answer. */
  deny(rcode: number, ttl: number): number {
    if (this.zone === undefined || this.query.response.isTruncated) return rcode;
    this.#proveExpanded();
    return this.#denial.deny(rcode, ttl);
  }

  /** DS records of the delegation found, or proof that it has none. */
  delegate(): void {
    if (this.zone === undefined || this.query.response.isTruncated) return;
    this.#proveExpanded();
    this.#denial.delegate();
  }

  /** What is left to prove when all else is written. */
  finish(): void {
    if (!this.query.response.isTruncated) this.#proveExpanded();
  }

  /** The origin as a pointer where the name being resolved ends in it, else in full. */
  writeOrigin(): void {
    const { response, served } = this.query;
    const { zone } = this.zone!;
    const { name } = served;
    if (zone.contains(name))
      response.pointer(name.messageOffsets[name.labelCount - zone.originLabels]!);
    else response.copy(zone.origin, 0, zone.origin.length);
  }

  #putAsterisk(): void {
    const joined = this.#joined;
    joined[0] = 1;
    joined[1] = 0x2a;
    for (let index = 0; index < this.#ownerLength; index++)
      joined[2 + index] = this.#owner[this.#ownerStart + index]!;
    this.#owner = joined;
    this.#ownerView = this.#joinedView;
    this.#ownerStart = 0;
    this.#ownerLength += 2;
  }

  #noteExpanded(zone: SignedZone): void {
    const { name } = this.query.served;
    // One label longer than the closest encloser: below it nothing exists either.
    const from = name.starts[this.query.lookup.label - 1]!;
    const end = name.starts[name.labelCount - zone.zone.originLabels]!;
    this.#expanded.note(zone, name.bytes, from, end - from);
  }

  #proveExpanded(): void {
    const { zone } = this;
    const expanded = this.#expanded;
    for (let index = 0; index < expanded.count; index++) {
      this.zone = expanded.zoneOf(index);
      this.#denial.proveAbsent(expanded.bytes, expanded.startOf(index), expanded.lengthOf(index));
    }
    expanded.clear();
    this.zone = zone;
  }

  #signOwned(
    response: ResponseWriter,
    section: number,
    from: number,
    ownerBytes: number,
    originalTtl: number,
  ): boolean {
    if (this.isRefused) return false;
    const end = response.at;
    const ttl = response.outputView.getUint32(from + ownerBytes + 4);
    const { keys } = this.zone!;
    const covered = originalTtl < 0 ? ttl : originalTtl;
    for (let index = 0; index < keys.length; index++)
      if (!this.#append(response, section, from, end, ownerBytes, ttl, covered, keys[index]!))
        return false;
    return true;
  }

  #append(
    response: ResponseWriter,
    section: number,
    from: number,
    end: number,
    ownerBytes: number,
    ttl: number,
    originalTtl: number,
    key: SigningKey,
  ): boolean {
    const { signer } = key;
    const rdataBytes = RRSIG_FIXED_BYTES + signer.zone.length + key.signatureBytes;
    if (response.at + OWNER_POINTER_BYTES + RECORD_FIXED_BYTES + rdataBytes > response.end)
      return false;
    const table = this.#table;
    const { outputView } = response;
    const start = response.at;
    const signatureAt =
      start + OWNER_POINTER_BYTES + RECORD_FIXED_BYTES + RRSIG_FIXED_BYTES + signer.zone.length;
    // What another thread replaces while it is copied is made.
    const isReady =
      this.#isReady(response, from, end, ownerBytes, ttl, originalTtl, key) &&
      table.copyTo(outputView, signatureAt);
    if (!isReady) {
      if (!this.#make(response, from, end, ownerBytes, originalTtl, key)) {
        this.isRefused = true;
        return false;
      }
      table.copyTo(outputView, signatureAt);
    }
    // The set's own owner: a pointer already, or to be pointed at.
    const owner =
      ownerBytes === OWNER_POINTER_BYTES
        ? outputView.getUint16(from)
        : 0xc000 | (from - response.start);
    outputView.setInt32(start, (owner << 16) | TYPE_RRSIG);
    outputView.setInt16(start + 2 + 2, CLASS_IN);
    outputView.setInt32(start + 6, ttl | 0);
    const rdataLength = RRSIG_FIXED_BYTES + signer.zone.length + table.bytes;
    outputView.setInt32(start + 10, (rdataLength << 16) | outputView.getUint16(from + ownerBytes));
    outputView.setInt16(start + 14, (signer.algorithm << 8) | this.#ownerLabels());
    outputView.setInt32(start + 16, originalTtl | 0);
    outputView.setInt32(start + 20, table.expiration | 0);
    outputView.setInt32(start + 24, table.inception | 0);
    outputView.setInt16(start + 28, signer.keyTag);
    response.at = start + 30;
    response.copy(signer.zone, 0, signer.zone.length);
    response.at += table.bytes;
    response.counts[section]! += 1;
    return true;
  }

  /** Labels without the root and without an asterisk in front (RFC 4034 §3.1.3). */
  #ownerLabels(): number {
    const owner = this.#owner;
    const start = this.#ownerStart;
    const end = start + this.#ownerLength;
    let labels = owner[start] === 1 && owner[start + 1] === 0x2a ? -1 : 0;
    for (let at = start; at < end && owner[at] !== 0; at += owner[at]! + 1) labels += 1;
    return labels;
  }

  /** Whether the table has the signature in hand, and it is still to be shown. */
  #isReady(
    response: ResponseWriter,
    from: number,
    end: number,
    ownerBytes: number,
    ttl: number,
    originalTtl: number,
    key: SigningKey,
  ): boolean {
    const { counters, isAhead } = this.#parts;
    const table = this.#table;
    const { output, outputView, start } = response;
    const { nowSeconds } = this.query;
    const zone = this.zone!;
    const hashKey = this.#key;
    this.#bytes.hash(
      hashKey,
      table,
      output,
      outputView,
      start,
      from,
      end,
      ownerBytes,
      this.#ownerView,
      this.#ownerStart,
      this.#ownerLength,
      originalTtl,
      key.hash,
    );
    if (!table.find(hashKey)) return false;
    if (isAhead === true && nowSeconds >= table.made + zone.material.refreshSeconds) return false;
    if (nowSeconds + zone.marginSeconds(ttl) >= table.expiration) return false;
    if (zone.isEarly(table.inception, nowSeconds)) return false;
    counters.add(FixedCounter.signatureHits);
    return true;
  }

  /** A client with a good cookie has the room of TCP behind that of everybody. */
  #mayMake(algorithm: number): boolean {
    const { query } = this;
    const { budget } = this.#parts;
    if (budget.take(algorithm, query.isTcp)) return true;
    return !query.isTcp && query.checkCookie() && budget.take(algorithm, true);
  }

  /** Has the table hold a new signature, within the budget. */
  #make(
    response: ResponseWriter,
    from: number,
    end: number,
    ownerBytes: number,
    originalTtl: number,
    { signer }: SigningKey,
  ): boolean {
    const { counters } = this.#parts;
    const table = this.#table;
    const { nowSeconds } = this.query;
    const zone = this.zone!;
    counters.add(FixedCounter.signatureMisses);
    if (!this.#mayMake(signer.algorithm)) {
      counters.add(FixedCounter.signaturesRefused);
      return false;
    }
    const inception = zone.inceptionAt(nowSeconds);
    const expiration = zone.expirationAt(nowSeconds, this.#key.b);
    const { output, start } = response;
    const rdata = signRrset(
      {
        owner: this.#owner.slice(this.#ownerStart, this.#ownerStart + this.#ownerLength),
        type: response.outputView.getUint16(from + ownerBytes),
        ttl: originalTtl,
        rdatas: this.#bytes.rdatas(output, start, from, end, ownerBytes),
      },
      signer,
      { inception, expiration },
    );
    if (rdata === undefined) return false;
    const signature = rdata.subarray(RRSIG_FIXED_BYTES + signer.zone.length);
    table.keep(this.#key, signature, inception, expiration, nowSeconds);
    table.hold(signature, inception, expiration);
    counters.add(FixedCounter.signaturesMade);
    return true;
  }
}

/** Whether the addresses at a node are the zone's, not glue at a delegation or below one. */
function isAuthoritative(bytes: Uint8Array, node: number): boolean {
  return bytes[node + 3] === 0 && (bytes[node]! & NodeFlag.isCut) === 0;
}
