// SPDX-License-Identifier: Apache-2.0

import {
  Client,
  DRAW_BITS_IPV4,
  DRAW_BITS_IPV6,
  FAMILY_IPV4,
  type LoadedZone,
  NameLookup,
  type OverlayReader,
  QueryName,
  Selector,
  type World,
  type ZoneTable,
} from "@meridian/snapshot";
import type { ServerCookies } from "./cookie.ts";
import type { ZoneOrders } from "./dnssec/signed-answers.ts";
import { QueryMessage } from "./query-message.ts";
import { ResponseWriter, type SetSigner } from "./response-writer.ts";

/** What a worker answers from: a snapshot, the overlay that belongs to it, and the selector over both. */
export class ServedSnapshot {
  readonly revision: number;
  readonly world: World;
  readonly overlay: OverlayReader;
  readonly selector: Selector;
  /** Of signed zones, whose names were put in order. */
  readonly orders: ZoneOrders | undefined;
  /** The name being resolved, and one more for glue and flattening. */
  readonly name: QueryName;
  readonly otherName: QueryName;

  /** `before` is what was served before, and is not any more. */
  constructor(
    revision: number,
    world: World,
    overlay: OverlayReader,
    orders?: ZoneOrders,
    before?: ServedSnapshot,
  ) {
    this.revision = revision;
    this.world = world;
    this.overlay = overlay;
    this.orders = orders;
    this.selector = new Selector(world, before?.selector);
    this.name = new QueryName(world.zones.seed);
    this.otherName = new QueryName(world.zones.seed);
  }
}

/** What is known of the cookie that a client sent; `bad` also where it sent none. */
export const CookieState = { unknown: 0, bad: 1, good: 2 } as const;

/** No extended error. */
export const NO_EDE = -1;

/** What an answer with signatures asks for while it is written. */
export interface QuerySigner extends SetSigner {
  /** TTL that signatures of a decided set cover, whatever is left of it now; −1 elsewhere. */
  originalTtl: number;
  /** Whether it signs whatever is answered from the zone that was entered, or has only what is in its data. */
  readonly signsAnything: boolean;
  /** Whether a chain of aliases may go on in this zone: what it may have to prove there fits beside what it has to prove so far. */
  mayFollow(zone: LoadedZone): boolean;
  /** A name of the chain is resolved in this zone. */
  enter(zone: LoadedZone): void;
  /** Answers for types that signing brings; −1 for all else. */
  answerOwn(rcode: number): number;
  /** Proof that something is not there, behind the SOA. Returns the rcode of the answer. */
  deny(rcode: number, ttl: number): number;
  /** DS records of the delegation found, or proof that it has none. */
  delegate(): void;
  /** What is left to prove when all else is written. */
  finish(): void;
}

/** One query on its way through the stages. One is made per worker; `begin` makes it new. */
export class QueryState {
  readonly message: QueryMessage = new QueryMessage();
  readonly response: ResponseWriter = new ResponseWriter();
  readonly lookup: NameLookup = new NameLookup();
  readonly otherLookup: NameLookup = new NameLookup();
  readonly client: Client = new Client();
  served: ServedSnapshot;
  /** The zones that the client sees: those of its view. */
  zones: ZoneTable;
  /** Index of the view that the client sees, −1 for none. */
  view: number = -1;
  /** Index of the key of a view that signed the query in hand, −1 where none did. */
  viewKey: number = -1;
  /** The packet, where the answer goes, and where the client's address lies. Valid during `handle` only. */
  input: Uint8Array = new Uint8Array(0);
  /** `input`, to be read four bytes at a time. */
  inputView: DataView = new DataView(this.input.buffer);
  start: number = 0;
  length: number = 0;
  output: Uint8Array = new Uint8Array(0);
  outputStart: number = 0;
  outputMax: number = 0;
  source: Uint8Array = new Uint8Array(0);
  sourceStart: number = 0;
  family: number = 4;
  isTcp: boolean = false;
  /** What a zone calls the key that signed the query in hand, if the key is one of its own; undefined where none did. */
  signedBy: ((zone: LoadedZone) => string | undefined) | undefined = undefined;
  /** Wall time in seconds, moved once a batch. */
  nowSeconds: number = 0;

  /** Label of the name asked from which on the bound name begins: 0 but where a diagnosis is asked for. */
  boundLabel: number = 0;
  isAuthoritative: boolean = false;
  ede: number = NO_EDE;
  /** Whether a decision used the client subnet, and for which prefix the answer holds. */
  usesEcs: boolean = false;
  scope: number = 0;
  /** Facts for counters and the log: the first zone, and the last decision. */
  zoneIndex: number = -1;
  hasDecision: boolean = false;
  targetKind: number = 0;
  targetIndex: number = 0;
  draw: number = 0;
  /** How much of an IPv4 and of an IPv6 address the decisions looked at, and where the client subnet lies in the response (-1: nowhere). */
  bitsIpv4: number = 0;
  bitsIpv6: number = 0;
  echoAt: number = -1;
  /** Where the cookie's data lies in the response (-1: nowhere), and what is known of the client's: a `CookieState`. */
  cookieAt: number = -1;
  cookieState: number = CookieState.unknown;
  /** Set while a signed answer is written. */
  signer: QuerySigner | null = null;

  readonly #cookies: ServerCookies | undefined;

  /** Without `cookies` none is good. */
  constructor(served: ServedSnapshot, cookies?: ServerCookies) {
    this.served = served;
    this.zones = served.world.zones;
    this.#cookies = cookies;
  }

  /** The packet to be answered, and how much may be written from `output[outputStart]` on. */
  take(
    input: Uint8Array,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    outputMax: number,
  ): void {
    // A transport has one buffer for all packets of its life, or of a connection's.
    if (this.input !== input) {
      this.input = input;
      this.inputView = new DataView(input.buffer, input.byteOffset, input.byteLength);
    }
    this.start = start;
    this.length = length;
    this.output = output;
    this.outputStart = outputStart;
    this.outputMax = outputMax;
  }

  /** Who sent it; nothing else is known of it. */
  begin(source: Uint8Array, sourceStart: number, family: number, isTcp: boolean): void {
    this.source = source;
    this.sourceStart = sourceStart;
    this.family = family;
    this.isTcp = isTcp;
    this.boundLabel = 0;
    this.isAuthoritative = false;
    this.ede = NO_EDE;
    this.usesEcs = false;
    this.scope = 0;
    this.view = -1;
    this.zoneIndex = -1;
    this.hasDecision = false;
    this.draw = 0;
    this.bitsIpv4 = 0;
    this.bitsIpv6 = 0;
    this.echoAt = -1;
    this.cookieAt = -1;
    this.cookieState = CookieState.unknown;
  }

  /** Whether the client sent a good cookie, which proves its address; looked at once a query. */
  checkCookie(): boolean {
    if (this.cookieState === CookieState.unknown) {
      const { cookieStart, cookieBytes } = this.message.edns;
      const isGood =
        cookieBytes > 0 &&
        this.#cookies?.check(
          this.input,
          cookieStart,
          cookieBytes,
          this.source,
          this.sourceStart,
          this.family,
          this.nowSeconds,
        ) === true;
      this.cookieState = isGood ? CookieState.good : CookieState.bad;
    }
    return this.cookieState === CookieState.good;
  }

  /** Notes how much of the client's address a decision looked at: `scope` bits for the policy, and what every draw looks at. */
  noteClientBits(scope: number): void {
    const { family, prefixLength } = this.client;
    if (family === FAMILY_IPV4)
      this.bitsIpv4 = Math.max(
        this.bitsIpv4,
        Math.min(prefixLength, Math.max(scope, DRAW_BITS_IPV4)),
      );
    else
      this.bitsIpv6 = Math.max(
        this.bitsIpv6,
        Math.min(prefixLength, Math.max(scope, DRAW_BITS_IPV6)),
      );
  }
}
