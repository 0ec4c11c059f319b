// SPDX-License-Identifier: Apache-2.0

// What a worker answers from signed zones: it is told of signing material as of snapshots, and takes the queries with DO.

import { ExtendedError, Rcode, RRType } from "@meridian/dns";
import { SigningMaterials, type SigningMaterial } from "@meridian/snapshot";
import type { WorkerCounters } from "../counters.ts";
import { resolve, type Chain } from "../query-resolve.ts";
import type { QuerySigner, QueryState, ServedSnapshot } from "../query-state.ts";
import { Section } from "../response-writer.ts";
import { AskedNames } from "./asked-names.ts";
import { ResponseSigner } from "./response-signer.ts";
import { SignatureTable, type SharedSignatures } from "./signature-table.ts";
import {
  isApexType,
  serialShift,
  SignedZone,
  signingKeysOf,
  type SigningKey,
} from "./signed-zone.ts";
import { SigningRole } from "./signing-role.ts";
import { SigningBudget } from "./signing-budget.ts";

const TYPE_RRSIG = 46;
/** NSEC3PARAM: SHA-1, no flags, no iterations, no salt (RFC 9276 §3.1). */
const PARAMETERS = Uint8Array.of(1, 0, 0, 0, 0);

/** What a worker is told of signing: `Edge.post` sends it. */
export interface SigningMessage {
  readonly kind: "signing";
  readonly materials: readonly SigningMaterial[];
  readonly signatures: SharedSignatures;
  /** When names were asked (`AskedNames`). */
  readonly asked: SharedArrayBuffer;
  /** Orders for the snapshot of this revision, which may be served already. */
  readonly revision: number;
  readonly orders: ZoneOrders | undefined;
}

/** Names of signed zones in canonical order, by the index of the zone. */
export type ZoneOrders = ReadonlyMap<number, Uint32Array>;

/** No set of this type stands at the name by itself. */
export const NOT_PRESIGNED = -1;

export class SignedAnswers {
  readonly #query: QueryState;
  readonly #signer: ResponseSigner;
  readonly #budget: SigningBudget;
  /** Undefined where nobody asks. */
  readonly #asked: AskedNames | undefined;
  readonly #materials: SigningMaterials;
  readonly #keys: ReadonlyMap<SigningMaterial, readonly SigningKey[]>;
  #hasSigned = false;

  /** `role` is a `SigningRole`. */
  constructor(
    query: QueryState,
    { materials, signatures, asked }: SigningMessage,
    counters: WorkerCounters,
    role: number = SigningRole.answerer,
  ) {
    this.#query = query;
    this.#budget = new SigningBudget(role);
    this.#materials = new SigningMaterials(materials);
    this.#asked = role !== SigningRole.answerer ? undefined : new AskedNames(asked);
    this.#keys = new Map(materials.map((material) => [material, signingKeysOf(material)]));
    this.#signer = new ResponseSigner(query, {
      table: new SignatureTable(signatures.own, signatures.signatureBytes),
      guests: new SignatureTable(signatures.guests, signatures.signatureBytes),
      budget: this.#budget,
      counters,
      isAhead: role === SigningRole.ahead,
      answerApex: () => this.#answerApexOfAlias(),
    });
  }

  /** Whether a zone that is served is signed. */
  get hasSigned(): boolean {
    return this.#hasSigned;
  }

  get signer(): ResponseSigner {
    return this.#signer;
  }

  /** The signed zones of a snapshot. */
  get zones(): readonly (SignedZone | undefined)[] {
    return this.#signer.zones;
  }

  serve({ world }: ServedSnapshot, orders: ZoneOrders | undefined): void {
    this.#signer.zones = world.zones.zones.map((zone) => {
      const material = this.#materials.of(zone);
      zone.shiftSerial(serialShift(zone, material));
      if (material === undefined || !zone.hasSoa) return undefined;
      return new SignedZone(
        zone,
        material,
        this.#keys.get(material) ?? [],
        orders?.get(zone.index),
      );
    });
    this.#hasSigned = this.#signer.zones.some((zone) => zone !== undefined);
  }

  beginBatch(nowMs: number): void {
    this.#budget.refill(nowMs);
  }

  /** Answers a query with DO; as `resolve()` else. `over` signs besides, and has this signer sign what is signed here. */
  resolve(chain: Chain, over?: QuerySigner): number {
    const query = this.#query;
    const { response } = query;
    const signer = this.#signer;
    const start = response.at;
    const { name } = query.served;
    this.#asked?.note(name.hashes[0]!, query.nowSeconds);
    signer.begin();
    query.signer = over ?? signer;
    response.signer = over ?? signer;
    const rcode = resolve(query, chain);
    signer.finish();
    over?.finish();
    query.signer = null;
    response.signer = null;
    return signer.isRefused ? refuse(query, start) : rcode;
  }

  /** Answers for the sets that the signer's owner has signed: DNSKEY, CDS and CDNSKEY of a zone. NOT_PRESIGNED for all else. */
  answerApex(): number {
    const { message, response, served } = this.#query;
    const { name } = served;
    if (message.type === RRType.NSEC3PARAM) return this.#answerParameters();
    if (message.type === RRType.SOA) return this.#answerSoa();
    if (!isApexType(message.type)) return NOT_PRESIGNED;
    const zone = this.#query.zones.find(name, 0);
    if (zone === undefined || zone.originLabels !== name.labelCount) return NOT_PRESIGNED;
    const set = this.#signer.zones[zone.index]?.presigned(message.type);
    if (set === undefined) return NOT_PRESIGNED;
    this.#query.zoneIndex = zone.index;
    this.#query.isAuthoritative = true;
    const isWritten = this.#writeRdatas(message.type, set.ttl, set.rdatas);
    if (isWritten && message.edns.isDo) this.#writeRdatas(TYPE_RRSIG, set.ttl, set.rrsigs);
    if (response.isTruncated) response.counts[Section.answer] = 0;
    return Rcode.NOERROR;
  }

  #answerApexOfAlias(): number {
    const { response } = this.#query;
    const { signer } = response;
    // These sets bring their signatures.
    response.signer = null;
    const rcode = this.answerApex();
    response.signer = signer;
    return rcode;
  }

  /** How names are hashed (RFC 5155 §4): signed as all else of the zone. */
  #answerParameters(): number {
    const query = this.#query;
    const { message, response, served } = query;
    const zone = this.#query.zones.find(served.name, 0);
    const isApex = zone !== undefined && zone.originLabels === served.name.labelCount;
    if (!isApex || this.#signer.zones[zone.index]?.hashed === undefined) return NOT_PRESIGNED;
    query.lookup.find(zone, served.name, false);
    query.zoneIndex = zone.index;
    query.isAuthoritative = true;
    const start = response.at;
    // Not where an alias led here, of which there may be more to prove.
    if (query.signer === null) this.#signer.begin();
    this.#signer.enter(zone);
    if (message.edns.isDo) response.signer = this.#signer;
    this.#writeRdatas(message.type, zone.negativeTtl, [PARAMETERS]);
    response.signer = null;
    return this.#signer.isRefused ? refuse(query, start) : Rcode.NOERROR;
  }

  /** The SOA of a zone whose serial is another one than in its snapshot. */
  #answerSoa(): number {
    const query = this.#query;
    const { message, response, served, lookup } = query;
    const { name } = served;
    const zone = this.#query.zones.find(name, 0);
    const isShifted = zone !== undefined && zone.originLabels === name.labelCount;
    if (!isShifted || zone.serialShift === 0) return NOT_PRESIGNED;
    lookup.find(zone, name, false);
    const set = lookup.set(RRType.SOA);
    if (set < 0) return NOT_PRESIGNED;
    query.zoneIndex = zone.index;
    query.isAuthoritative = true;
    const start = response.at;
    this.#signer.begin();
    this.#signer.enter(zone);
    if (message.edns.isDo) response.signer = this.#signer;
    const origin = name.messageOffsets[0]!;
    response.set(
      Section.answer,
      origin,
      RRType.SOA,
      lookup.chunk!.words[(set >>> 2) + 1]!,
      zone.soaBytes,
      zone.soaOffset,
      1,
      origin,
      zone.origin.length,
    );
    response.signer = null;
    return this.#signer.isRefused ? refuse(query, start) : Rcode.NOERROR;
  }

  #writeRdatas(type: number, ttl: number, rdatas: readonly Uint8Array[]): boolean {
    const { response, served } = this.#query;
    const owner = served.name.messageOffsets[0]!;
    response.beginSet(Section.answer);
    for (const rdata of rdatas) {
      if (!response.beginRecord(owner, type, ttl, rdata.length)) return false;
      response.copy(rdata, 0, rdata.length);
      response.endRecord();
    }
    return response.commitSet() > 0;
  }
}

/** Nothing is shown without its signature: over UDP the client is asked to come back over TCP, there to ask elsewhere. */
function refuse(query: QueryState, start: number): number {
  const { response } = query;
  response.at = start;
  response.counts.fill(0);
  response.isTruncated = !query.isTcp;
  if (!query.isTcp) return Rcode.NOERROR;
  query.ede = ExtendedError.NOT_READY;
  return Rcode.SERVFAIL;
}
