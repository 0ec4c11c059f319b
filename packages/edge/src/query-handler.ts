// SPDX-License-Identifier: Apache-2.0

// The query path. `handle` reads like the protocol: parse, check the class, resolve, finish. It is given ranges of the transport's
// buffers, writes the response where it will leave from, and allocates nothing.

import { Rcode } from "@meridian/dns";
import { FAMILY_IPV6, LookAhead, Mode } from "@meridian/snapshot";
import { FixedCounter } from "./counter-layout.ts";
import type { WorkerCounters } from "./counters.ts";
import { ECS_HEADER_BYTES } from "./ecs.ts";
import { EDE_BYTES, EdnsOption, KEEPALIVE_BYTES, NSID_BYTES_MAX, OPT_BYTES } from "./edns.ts";
import type { PacketHandler } from "./packet-handler.ts";
import { ChaosAnswers, type ChaosTexts } from "./query-chaos.ts";
import { LogEntry, LOG_ENDPOINTS_MAX, type QueryLogWriter } from "./query-log.ts";
import { Diagnosis, NOT_DIAGNOSIS } from "./query-diagnosis.ts";
import { HEADER_BYTES, Parsed } from "./query-message.ts";
import { Chain, resolve } from "./query-resolve.ts";
import { NO_EDE, QueryState, type ServedSnapshot } from "./query-state.ts";
import type { TopNames } from "./top-names.ts";

/** Largest UDP response: what crosses ordinary paths unfragmented (RFC 9715). */
export const UDP_BYTES_MAX = 1232;
/** Bytes of sections below which a batch is answered without looking ahead: what a core's own cache holds. */
const LOOK_AHEAD_BYTES_MIN = 2 * 1024 * 1024;
/** Queries below which there is nothing to do at once. */
const LOOK_AHEAD_QUERIES_MIN = 4;
const UDP_BYTES_WITHOUT_EDNS = 512;
const CLASS_IN = 1;
const CLASS_CH = 3;
const TYPE_OPT = 41;
const TYPE_TKEY = 249;
const TYPE_TSIG = 250;
const TYPE_IXFR = 251;
const TYPE_AXFR = 252;
const TYPE_MAILB = 253;
const TYPE_MAILA = 254;

/** What a worker's query path is made with. */
export interface QueryHandlerOptions extends ChaosTexts {
  /** Name server identifier (RFC 5001), at most 64 bytes of UTF-8. */
  readonly nsid?: string;
  /** Seconds that an idle connection stays, told to clients that ask (RFC 7828); default 10. */
  readonly keepaliveSeconds?: number;
  readonly counters: WorkerCounters;
  readonly topNames?: TopNames;
  readonly log?: QueryLogWriter;
  /** One query in this many is logged; default 1. */
  readonly logEvery?: number;
  /** Prefixes whose clients may ask for diagnoses (query-diagnosis.ts); none unless given. */
  readonly diagnosis?: readonly string[];
  /** Wall time in milliseconds; asked once a batch. */
  readonly nowMs: () => number;
}

export class QueryHandler implements PacketHandler {
  readonly #options: QueryHandlerOptions;
  readonly #counters: WorkerCounters;
  readonly #chaos: ChaosAnswers;
  readonly #nsid: Uint8Array;
  readonly #keepaliveDeciseconds: number;
  readonly #query: QueryState;
  readonly #chain: Chain = new Chain();
  readonly #entry: LogEntry = new LogEntry();
  readonly #diagnosis: Diagnosis | undefined;
  /** Undefined where what is served fits the caches. */
  #ahead: LookAhead | undefined;
  #nowMs = 0;
  #logCountdown: number;

  constructor(served: ServedSnapshot, options: QueryHandlerOptions) {
    this.#options = options;
    this.#counters = options.counters;
    this.#chaos = new ChaosAnswers(options);
    this.#nsid = Buffer.from(options.nsid ?? "").subarray(0, NSID_BYTES_MAX);
    this.#keepaliveDeciseconds = Math.min(0xffff, (options.keepaliveSeconds ?? 10) * 10);
    this.#query = new QueryState(served);
    this.#logCountdown = options.logEvery ?? 1;
    const { diagnosis = [] } = options;
    this.#diagnosis = diagnosis.length === 0 ? undefined : new Diagnosis(diagnosis);
    served.selector.counts = this.#counters.reshapeFor(served.world);
    this.#ahead = this.#lookAheadFor(served);
  }

  /** Serves another snapshot from the next packet on. Not between `beginBatch` and `endBatch`. */
  serve(served: ServedSnapshot): void {
    this.#query.served = served;
    served.selector.counts = this.#counters.reshapeFor(served.world);
    this.#ahead = this.#lookAheadFor(served);
  }

  #lookAheadFor({ world, selector }: ServedSnapshot): LookAhead | undefined {
    const bytes = world.zones.names.slabs.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    if (bytes < LOOK_AHEAD_BYTES_MIN) return undefined;
    return new LookAhead(world, selector.candidates(Mode.verdict), this.#counters.layout());
  }

  /** The decision facts of the last query; for explain. */
  get lastQuery(): QueryState {
    return this.#query;
  }

  beginBatch(): void {
    this.#nowMs = this.#options.nowMs();
    this.#query.nowSeconds = Math.floor(this.#nowMs / 1000);
    this.#query.served.overlay.enter();
  }

  lookAhead(input: Uint8Array, stride: number, lengths: Int32Array, count: number): void {
    const ahead = this.#ahead;
    if (ahead === undefined || count < LOOK_AHEAD_QUERIES_MIN) return;
    ahead.run(input, stride, lengths, count, this.#query.served.overlay.slots);
  }

  endBatch(): void {
    this.#query.served.overlay.leave();
  }

  handle(
    input: Uint8Array,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    outputMax: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
    isTcp: boolean,
  ): number {
    const query = this.#query;
    const { message } = query;
    this.#count(length, family, isTcp);
    query.begin(input, source, sourceStart, family, isTcp);
    const parsed = message.parse(input, start, length, query.served.name);
    if (parsed === Parsed.silent || outputMax < HEADER_BYTES) {
      this.#counters.add(FixedCounter.silent);
      return 0;
    }
    if (parsed === Parsed.notImp) return this.#headerOnly(Rcode.NOTIMP, output, outputStart);
    if (parsed === Parsed.formErr) return this.#headerOnly(Rcode.FORMERR, output, outputStart);
    const limit = this.#limit(outputMax, isTcp);
    if (!this.#begin(output, outputStart, limit))
      return this.#headerOnly(Rcode.SERVFAIL, output, outputStart);
    const rcode =
      parsed === Parsed.query
        ? this.#answer()
        : parsed === Parsed.badVers
          ? Rcode.BADVERS
          : Rcode.FORMERR;
    const bytes = this.#finish(rcode);
    this.#observe(rcode, start, length, output, outputStart, bytes);
    return bytes;
  }

  #answer(): number {
    const { message, served } = this.#query;
    switch (message.class) {
      case CLASS_IN:
        return this.#answerIn();
      case CLASS_CH:
        return this.#answerChaos(this.#chaos.find(served.name));
      default:
        return Rcode.REFUSED;
    }
  }

  #answerIn(): number {
    const query = this.#query;
    this.#options.topNames?.note(query.served.name);
    switch (query.message.type) {
      case TYPE_OPT:
      case TYPE_TKEY:
      case TYPE_TSIG:
        return Rcode.FORMERR;
      case TYPE_AXFR:
      case TYPE_IXFR:
        return Rcode.REFUSED;
      case TYPE_MAILB:
      case TYPE_MAILA:
        return Rcode.NOTIMP;
      default: {
        const rcode = this.#diagnosis === undefined ? NOT_DIAGNOSIS : this.#diagnosis.answer(query);
        return rcode === NOT_DIAGNOSIS ? resolve(query, this.#chain) : rcode;
      }
    }
  }

  #answerChaos(index: number): number {
    const { message, response } = this.#query;
    const bytes = this.#chaos.write(
      index,
      message.type,
      response.output,
      response.at,
      response.end,
    );
    response.at += bytes;
    response.counts[0] = bytes > 0 ? 1 : 0;
    this.#query.isAuthoritative = index >= 0;
    return ChaosAnswers.rcode(index);
  }

  /** The size that the response may have: 512 without EDNS, else what the client offers up to 1232 (design §9). */
  #limit(outputMax: number, isTcp: boolean): number {
    const { edns } = this.#query.message;
    if (isTcp) return Math.min(outputMax, 0xffff);
    const offered = edns.isPresent ? Math.min(edns.udpSize, UDP_BYTES_MAX) : UDP_BYTES_WITHOUT_EDNS;
    return Math.min(outputMax, offered);
  }

  /** Copies header and question, and keeps room for the OPT record. False where not even they fit. */
  #begin(output: Uint8Array, outputStart: number, limit: number): boolean {
    const { message, response, input, inputView } = this.#query;
    const { edns, start, questionEnd } = message;
    const bytes = questionEnd - start;
    const reserve = edns.isPresent ? this.#optBytesMax() : 0;
    if (bytes + reserve > limit) return false;
    response.begin(output, outputStart, outputStart + bytes, outputStart + limit - reserve);
    const { outputView } = response;
    let index = 0;
    // Four bytes at a time: 9 ns less for a question of 41 bytes.
    for (; index + 4 <= bytes; index += 4)
      outputView.setInt32(outputStart + index, inputView.getInt32(start + index, true), true);
    for (; index < bytes; index++) output[outputStart + index] = input[start + index]!;
    return true;
  }

  #optBytesMax(): number {
    const { edns } = this.#query.message;
    let bytes = OPT_BYTES + EDE_BYTES;
    if (edns.wantsNsid) bytes += 4 + this.#nsid.length;
    if (edns.wantsKeepalive) bytes += KEEPALIVE_BYTES;
    if (edns.ecs.isPresent) bytes += ECS_HEADER_BYTES + edns.ecs.addressBytes;
    return bytes;
  }

  /** Writes the OPT record and the header; returns the length of the response. */
  #finish(rcode: number): number {
    const { message, response, isAuthoritative } = this.#query;
    const { outputView, start } = response;
    const hasOpt = message.edns.isPresent;
    if (hasOpt) this.#writeOpt(rcode);
    const isAnswer =
      rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN || rcode === Rcode.YXDOMAIN;
    const flags =
      0x8000 |
      message.copiedFlags |
      (isAuthoritative && isAnswer ? 0x0400 : 0) |
      (response.isTruncated ? 0x0200 : 0) |
      (rcode & 0xf);
    outputView.setInt16(start + 2, flags);
    outputView.setInt32(start + 6, (response.counts[0]! << 16) | response.counts[1]!);
    outputView.setInt16(start + 10, response.counts[2]! + (hasOpt ? 1 : 0));
    return response.at - start;
  }

  #writeOpt(rcode: number): void {
    const { message, response } = this.#query;
    const { output, outputView, at } = response;
    output[at] = 0;
    outputView.setInt32(at + 1, (TYPE_OPT << 16) | UDP_BYTES_MAX);
    // Of the flags only DO is known, and copied (RFC 6891 §6.1.4, RFC 3225 §3).
    outputView.setInt32(at + 5, ((rcode >>> 4) << 24) | (message.edns.isDo ? 0x8000 : 0));
    const lengthAt = at + OPT_BYTES - 2;
    outputView.setInt16(lengthAt, 0);
    response.at = at + OPT_BYTES;
    // What is malformed gets no more bytes than it sent.
    if (rcode !== Rcode.FORMERR) this.#writeOptions();
    outputView.setInt16(lengthAt, response.at - lengthAt - 2);
  }

  #writeOptions(): void {
    const { message, response, input, ede, scope, usesEcs, isTcp } = this.#query;
    const { edns } = message;
    if (edns.wantsNsid && this.#nsid.length > 0) {
      response.u16(EdnsOption.nsid);
      response.u16(this.#nsid.length);
      response.copy(this.#nsid, 0, this.#nsid.length);
    }
    if (edns.ecs.isPresent) {
      // Echoed as sent; the scope says for whom the answer holds (RFC 7871 §7.2.1).
      response.u16(EdnsOption.clientSubnet);
      response.u16(4 + edns.ecs.addressBytes);
      response.u16(edns.ecs.ianaFamily);
      response.byte(edns.ecs.sourcePrefix);
      response.byte(usesEcs ? scope : 0);
      this.#query.echoAt = response.at;
      response.copy(input, edns.ecs.addressStart, edns.ecs.addressBytes);
    }
    if (edns.wantsKeepalive && isTcp) {
      response.u16(EdnsOption.tcpKeepalive);
      response.u16(2);
      response.u16(this.#keepaliveDeciseconds);
    }
    if (ede !== NO_EDE) {
      response.u16(EdnsOption.extendedError);
      response.u16(2);
      response.u16(ede);
    }
  }

  /** For what cannot be understood: never longer than what came. */
  #headerOnly(rcode: number, output: Uint8Array, outputStart: number): number {
    const { message, input } = this.#query;
    output[outputStart] = input[message.start]!;
    output[outputStart + 1] = input[message.start + 1]!;
    putU16(output, outputStart + 2, 0x8000 | (message.opcode << 11) | message.copiedFlags | rcode);
    for (let at = outputStart + 4; at < outputStart + HEADER_BYTES; at++) output[at] = 0;
    this.#counters.rcode(rcode);
    return HEADER_BYTES;
  }

  #count(length: number, family: number, isTcp: boolean): void {
    const counters = this.#counters;
    counters.add(isTcp ? FixedCounter.tcpQueries : FixedCounter.udpQueries);
    if (family === FAMILY_IPV6) counters.add(FixedCounter.ipv6Queries);
    counters.addBytes(FixedCounter.queryBytes, length);
  }

  /** Counters, top names and the log: nothing here changes the answer. */
  #observe(
    rcode: number,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    bytes: number,
  ): void {
    const query = this.#query;
    const counters = this.#counters;
    counters.rcode(rcode);
    counters.addBytes(FixedCounter.answerBytes, bytes);
    if (rcode === Rcode.NOERROR && isEmpty(output, outputStart)) counters.add(FixedCounter.empty);
    if (query.message.edns.isPresent) counters.add(FixedCounter.edns);
    if (query.response.isTruncated) counters.add(FixedCounter.truncated);
    if (query.zoneIndex >= 0) counters.zone(query.zoneIndex);
    if (query.usesEcs) counters.add(FixedCounter.ecsUsed);
    if (query.hasDecision) this.#countDecision();
    const { log } = this.#options;
    // A diagnosis could not be asked again from the log: only the list of who may ask makes it one.
    if (log === undefined || query.boundLabel !== 0) return;
    this.#logCountdown -= 1;
    if (this.#logCountdown > 0) return;
    this.#logCountdown = this.#options.logEvery ?? 1;
    this.#writeLog(log, rcode, start, length, output, outputStart, bytes);
  }

  #countDecision(): void {
    const query = this.#query;
    const { selector } = query.served;
    this.#counters.target(query.targetKind, query.targetIndex);
    if (query.ede !== NO_EDE) this.#counters.add(FixedCounter.withheld);
    for (let index = 0; index < selector.chosenCount; index++)
      this.#counters.endpoint(selector.chosen[index]!);
  }

  #writeLog(
    log: QueryLogWriter,
    rcode: number,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    bytes: number,
  ): void {
    const query = this.#query;
    const { served } = query;
    const { ecs } = query.message.edns;
    const entry = this.#entry;
    entry.revision = served.revision;
    entry.sequence = served.overlay.sequence;
    entry.timeMs = this.#nowMs;
    entry.family = query.family;
    entry.isTcp = query.isTcp;
    entry.draw = query.draw;
    entry.rcode = rcode;
    entry.endpointCount = query.hasDecision
      ? Math.min(served.selector.chosenCount, LOG_ENDPOINTS_MAX)
      : 0;
    for (let index = 0; index < entry.endpointCount; index++)
      entry.endpoints[index] = served.selector.chosen[index]!;
    entry.ecsAt = ecs.isPresent ? ecs.addressStart - start : -1;
    entry.ecsFamily = ecs.family;
    entry.ecsBytes = ecs.addressBytes;
    entry.echoAt = query.echoAt < 0 ? -1 : query.echoAt - outputStart;
    entry.bitsIpv4 = query.bitsIpv4;
    entry.bitsIpv6 = query.bitsIpv6;
    const { input, source, sourceStart } = query;
    if (log.write(entry, input, start, length, output, outputStart, bytes, source, sourceStart)) {
      this.#counters.add(FixedCounter.logged);
    }
  }
}

/** Authoritative and without a record in its answer section: no referral, and nothing of the type that was asked. */
function isEmpty(output: Uint8Array, start: number): boolean {
  const answerCount = output[start + 6]! | output[start + 7]!;
  return answerCount === 0 && (output[start + 2]! & 4) !== 0;
}

function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
