// SPDX-License-Identifier: Apache-2.0

// The query path. It reads like the protocol: parse, begin the response, check the class, resolve, finish, limit. It is given ranges of the
// transport's buffers, writes the response where it will leave from, and allocates nothing.

import { Opcode, Rcode, tsigBytes } from "@meridian/dns";
import { FAMILY_IPV6, LookAhead, Mode, type LoadedZone } from "@meridian/snapshot";
import { FixedCounter } from "./counter-layout.ts";
import { SigningRole } from "./dnssec/signing-role.ts";
import type { WorkerCounters } from "./counters.ts";
import type { ServerCookies } from "./cookie.ts";
import {
  NOT_PRESIGNED,
  SignedAnswers,
  type SigningMessage,
  type ZoneOrders,
} from "./dnssec/signed-answers.ts";
import { OptWriter } from "./opt-writer.ts";
import { PresignedAnswers } from "./presigned/presigned-answers.ts";
import type { MessageStream, PacketHandler } from "./packet-handler.ts";
import { isRestricted } from "./query-access.ts";
import { chooseView, hasViews } from "./query-view.ts";
import { ChaosAnswers, type ChaosTexts } from "./query-chaos.ts";
import { QueryFrame } from "./query-frame.ts";
import { PASSES, QueryLimits } from "./query-limits.ts";
import type { QueryLogWriter } from "./query-log.ts";
import { QueryObserver } from "./query-observer.ts";
import { Diagnosis, NOT_DIAGNOSIS } from "./query-diagnosis.ts";
import { HEADER_BYTES, Parsed } from "./query-message.ts";
import { QueryRequests } from "./query-requests.ts";
import { Chain, isProhibited, resolve } from "./query-resolve.ts";
import { QueryState, type ServedSnapshot } from "./query-state.ts";
import type { ResponseLimiter } from "./response-limiter.ts";
import type { TopNames } from "./top-names.ts";
import type { TransferSigner } from "./transfers/transfer-messages.ts";
import type { Transfers } from "./transfers/transfers.ts";
import type { UpdateRequests } from "./updates/update-requests.ts";

/** Bytes of sections below which a batch is answered without looking ahead: what a core's own cache holds. */
const LOOK_AHEAD_BYTES_MIN = 2 * 1024 * 1024;
/** Queries below which there is nothing to do at once. */
const LOOK_AHEAD_QUERIES_MIN = 4;
const CLASS_IN = 1;
const CLASS_CH = 3;
const TYPE_OPT = 41;
/** Says in a bitmap that a name does not exist, and is nothing to ask for (RFC 9824 §3.5). */
const TYPE_NXNAME = 128;
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
  /** Makes and checks cookies; a client's COOKIE option is not looked at without it. */
  readonly cookies?: ServerCookies;
  /** Judges responses over UDP to clients without a good cookie. */
  readonly limiter?: ResponseLimiter;
  /** Wall time in milliseconds; asked once a batch. */
  readonly nowMs: () => number;
  /** Whether zones of views are shown to nobody, whoever asks. */
  readonly ignoresViews?: boolean;
  /** Zones as a whole, and the keys of who may have them; nobody may without it. */
  readonly transfers?: Transfers;
  /** Takes dynamic updates; they are not implemented without it. */
  readonly updates?: UpdateRequests;
}

export class QueryHandler implements PacketHandler {
  readonly #options: QueryHandlerOptions;
  readonly #counters: WorkerCounters;
  readonly #chaos: ChaosAnswers;
  readonly #frame: QueryFrame;
  readonly #observer: QueryObserver;
  readonly #query: QueryState;
  readonly #chain: Chain = new Chain();
  readonly #diagnosis: Diagnosis | undefined;
  /** Undefined where no zone is signed. */
  #signed: SignedAnswers | PresignedAnswers | undefined;
  /** Undefined where no zone is signed here. */
  #online: SignedAnswers | undefined;
  /** Undefined where what is served fits the caches. */
  #ahead: LookAhead | undefined;
  /** Whether it depends on the client which zones there are. */
  #hasViews: boolean;
  /** Whether some zone is not for everybody. */
  #isRestricted: boolean;
  readonly #limits: QueryLimits | undefined;
  readonly #requests: QueryRequests;
  /** Of the request in hand, once its signature was found right. */
  #signer: TransferSigner | undefined;

  constructor(served: ServedSnapshot, options: QueryHandlerOptions) {
    this.#options = options;
    this.#counters = options.counters;
    this.#chaos = new ChaosAnswers(options);
    this.#query = new QueryState(served, options.cookies);
    const { counters, cookies, limiter, diagnosis = [] } = options;
    this.#frame = new QueryFrame(this.#query, new OptWriter(this.#query, options), counters);
    this.#observer = new QueryObserver(this.#query, options);
    this.#limits =
      limiter === undefined
        ? undefined
        : new QueryLimits(this.#query, this.#frame, { counters, limiter, cookies });
    this.#requests = new QueryRequests(this.#query, this.#frame, this.#limits, options);
    this.#diagnosis = diagnosis.length === 0 ? undefined : new Diagnosis(diagnosis);
    served.selector.counts = this.#counters.reshapeFor(served.world);
    this.#hasViews = hasViews(served.world, options);
    this.#isRestricted = isRestricted(served.world);
    this.#ahead = this.#lookAheadFor(served);
    this.#follow(served.orders);
  }

  /** Serves another snapshot from the next packet on. Not between `beginBatch` and `endBatch`. */
  serve(served: ServedSnapshot): void {
    this.#query.served = served;
    this.#query.zones = served.world.zones;
    this.#hasViews = hasViews(served.world, this.#options);
    served.selector.counts = this.#counters.reshapeFor(served.world);
    this.#isRestricted = isRestricted(served.world);
    this.#ahead = this.#lookAheadFor(served);
    this.#online?.serve(served, served.orders);
    this.#follow(served.orders);
  }

  /** Signs with other material from the next packet on. Not between `beginBatch` and `endBatch`; throws where a key cannot be read. */
  sign(message: SigningMessage, role: number = SigningRole.answerer): void {
    const query = this.#query;
    const signed = new SignedAnswers(query, message, this.#counters, role);
    const { served } = query;
    const orders = message.revision === served.revision ? message.orders : served.orders;
    signed.serve(served, orders);
    this.#online = message.materials.length === 0 ? undefined : signed;
    this.#follow(orders);
  }

  /** Zones may be signed in their own data. */
  #follow(orders: ZoneOrders | undefined): void {
    const query = this.#query;
    const online = this.#online;
    this.#signed = PresignedAnswers.of(query, online, query.served, orders) ?? online;
  }

  /** Zones that are served and signed. */
  get signedZones(): readonly LoadedZone[] {
    return (this.#online?.zones ?? []).flatMap((zone) => (zone === undefined ? [] : [zone.zone]));
  }

  /** Answers as whoever sees the zone is answered; of use where views are ignored. */
  show(zone: LoadedZone): void {
    this.#query.zones = this.#query.served.world.zonesBeside(zone);
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
    const nowMs = this.#options.nowMs();
    this.#observer.nowMs = nowMs;
    if (this.#limits !== undefined) this.#limits.nowMs = nowMs;
    this.#query.nowSeconds = Math.floor(nowMs / 1000);
    this.#query.served.overlay.enter();
    this.#signed?.beginBatch(nowMs);
  }

  lookAhead(
    input: Uint8Array,
    stride: number,
    lengths: Int32Array,
    count: number,
    source: Uint8Array,
    sourceStarts: Int32Array,
    families: Int32Array,
  ): void {
    if (count < LOOK_AHEAD_QUERIES_MIN) return;
    this.#ahead?.run(input, stride, lengths, count, this.#query.served.overlay.slots);
    this.#limits?.lookAhead(source, sourceStarts, families, count);
  }

  /** Where responses are limited: all but those who have a valid cookie, and who are exempt. */
  mayLeaveOut(
    input: Uint8Array,
    start: number,
    length: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
  ): boolean {
    return this.#limits?.mayLeaveOut(input, start, length, source, sourceStart, family) ?? false;
  }

  setOverloaded(isOverloaded: boolean): void {
    if (this.#limits !== undefined) this.#limits.isOverloaded = isOverloaded;
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
    query.take(input, start, length, output, outputStart, outputMax);
    query.begin(source, sourceStart, family, isTcp);
    this.#count(length, family, isTcp);
    return this.#handle();
  }

  takeStream(): MessageStream | undefined {
    return this.#options.transfers?.takeStream();
  }

  /** The packet that the query has taken. */
  #handle(): number {
    const query = this.#query;
    const { input, start, length, outputMax } = query;
    const parsed = query.message.parse(input, start, length, query.served.name);
    if (parsed === Parsed.silent || outputMax < HEADER_BYTES) {
      this.#counters.add(FixedCounter.silent);
      return 0;
    }
    return parsed === Parsed.query ? this.#respond(parsed) : this.#handleOther(parsed);
  }

  /** What is malformed, signed, or of another opcode. */
  #handleOther(parsed: number): number {
    switch (parsed) {
      case Parsed.signed:
        return this.#handleSigned();
      case Parsed.update:
        return this.#requests.update();
      case Parsed.notImp:
        if (this.#query.message.opcode === Opcode.NOTIFY) return this.#requests.notify();
        return this.#refuse(Rcode.NOTIMP);
      case Parsed.formErr:
        return this.#refuse(Rcode.FORMERR);
      default:
        return this.#respond(parsed);
    }
  }

  #refuse(rcode: number): number {
    if (this.#limits?.passes(HEADER_BYTES) === false) return this.#limits.drop();
    return this.#frame.headerOnly(rcode);
  }

  /** RFC 8945 §5.2: what is signed rightly is answered as if it were not, and the answer is signed. */
  #handleSigned(): number {
    const query = this.#query;
    const checked = this.#requests.check();
    if (typeof checked === "number") return checked;
    const { bare, signer, signedBy, viewKey } = checked;
    const { output, outputStart } = query;
    const bytesMax = this.#frame.bytesMax() - tsigBytes(signer.key);
    query.take(bare, 0, bare.length, output, outputStart, bytesMax);
    this.#signer = signer;
    query.signedBy = signedBy;
    query.viewKey = viewKey;
    const bytes = this.#handle();
    this.#signer = undefined;
    query.signedBy = undefined;
    query.viewKey = -1;
    if (bytes === 0 || this.#options.transfers?.hasStream === true) return bytes;
    const answer = output.slice(outputStart, outputStart + bytes);
    const signed = signer.session.sign(answer, signer.nowSeconds());
    output.set(signed, outputStart);
    this.#counters.addBytes(FixedCounter.answerBytes, signed.length - bytes);
    return signed.length;
  }

  #respond(parsed: number): number {
    const bytesMax = this.#frame.bytesMax();
    if (!this.#frame.begin(bytesMax)) return this.#frame.headerOnly(Rcode.SERVFAIL);
    const rcode = parsed === Parsed.query ? this.#answer() : rcodeOf(parsed);
    const bytes = this.#frame.finish(rcode);
    if (this.#limits !== undefined && !this.#query.isTcp) {
      const replaced = this.#limits.replace(bytes, bytesMax);
      if (replaced !== PASSES) return replaced;
    }
    this.#observer.observe(rcode, bytes);
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
    if (this.#hasViews) chooseView(query, query.viewKey);
    this.#options.topNames?.note(query.served.name);
    switch (query.message.type) {
      case TYPE_OPT:
      case TYPE_NXNAME:
      case TYPE_TKEY:
      case TYPE_TSIG:
        return Rcode.FORMERR;
      case TYPE_AXFR:
      case TYPE_IXFR:
        return this.#options.transfers?.answer(query, this.#signer) ?? Rcode.REFUSED;
      case TYPE_MAILB:
      case TYPE_MAILA:
        return Rcode.NOTIMP;
      default: {
        const rcode = this.#diagnosis === undefined ? NOT_DIAGNOSIS : this.#diagnosis.answer(query);
        if (rcode !== NOT_DIAGNOSIS) return rcode;
        if (this.#isRestricted && isProhibited(query)) return Rcode.REFUSED;
        return this.#signed === undefined
          ? resolve(query, this.#chain)
          : this.#answerSigned(this.#signed);
      }
    }
  }

  /** There are signed zones; the query may ask for another one, or without DO. */
  #answerSigned(signed: SignedAnswers | PresignedAnswers): number {
    const rcode = signed.answerApex();
    if (rcode !== NOT_PRESIGNED) return rcode;
    return this.#query.message.edns.isDo && signed.hasSigned
      ? signed.resolve(this.#chain)
      : resolve(this.#query, this.#chain);
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

  #count(length: number, family: number, isTcp: boolean): void {
    const counters = this.#counters;
    counters.add(isTcp ? FixedCounter.tcpQueries : FixedCounter.udpQueries);
    if (family === FAMILY_IPV6) counters.add(FixedCounter.ipv6Queries);
    counters.addBytes(FixedCounter.queryBytes, length);
  }
}

/** Of a question that is not answered. */
function rcodeOf(parsed: number): number {
  if (parsed === Parsed.badVers) return Rcode.BADVERS;
  return parsed === Parsed.cookie ? Rcode.NOERROR : Rcode.FORMERR;
}
