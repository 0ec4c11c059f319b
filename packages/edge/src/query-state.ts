// SPDX-License-Identifier: Apache-2.0

import {
  Client,
  DRAW_BITS_IPV4,
  DRAW_BITS_IPV6,
  FAMILY_IPV4,
  NameLookup,
  type OverlayReader,
  QueryName,
  Selector,
  type World,
} from "@meridian/snapshot";
import { QueryMessage } from "./query-message.ts";
import { ResponseWriter } from "./response-writer.ts";

/** What a worker answers from: a snapshot, the overlay that belongs to it, and the selector over both. */
export class ServedSnapshot {
  readonly revision: number;
  readonly world: World;
  readonly overlay: OverlayReader;
  readonly selector: Selector;
  /** The name being resolved, and one more for glue and flattening. */
  readonly name: QueryName;
  readonly otherName: QueryName;

  constructor(revision: number, world: World, overlay: OverlayReader) {
    this.revision = revision;
    this.world = world;
    this.overlay = overlay;
    this.selector = new Selector(world);
    this.name = new QueryName(world.zones.seed);
    this.otherName = new QueryName(world.zones.seed);
  }
}

/** No extended error. */
export const NO_EDE = -1;

/** One query on its way through the stages. One is made per worker; `begin` makes it new. */
export class QueryState {
  readonly message: QueryMessage = new QueryMessage();
  readonly response: ResponseWriter = new ResponseWriter();
  readonly lookup: NameLookup = new NameLookup();
  readonly otherLookup: NameLookup = new NameLookup();
  readonly client: Client = new Client();
  served: ServedSnapshot;
  /** The packet, and where the client's address lies. Valid during `handle` only. */
  input: Uint8Array = new Uint8Array(0);
  /** `input`, to be read four bytes at a time. */
  inputView: DataView = new DataView(this.input.buffer);
  source: Uint8Array = new Uint8Array(0);
  sourceStart: number = 0;
  family: number = 4;
  isTcp: boolean = false;
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

  constructor(served: ServedSnapshot) {
    this.served = served;
  }

  begin(
    input: Uint8Array,
    source: Uint8Array,
    sourceStart: number,
    family: number,
    isTcp: boolean,
  ): void {
    // A transport has one buffer for all packets of its life, or of a connection's.
    if (this.input !== input) {
      this.input = input;
      this.inputView = new DataView(input.buffer, input.byteOffset, input.byteLength);
    }
    this.source = source;
    this.sourceStart = sourceStart;
    this.family = family;
    this.isTcp = isTcp;
    this.boundLabel = 0;
    this.isAuthoritative = false;
    this.ede = NO_EDE;
    this.usesEcs = false;
    this.scope = 0;
    this.zoneIndex = -1;
    this.hasDecision = false;
    this.draw = 0;
    this.bitsIpv4 = 0;
    this.bitsIpv6 = 0;
    this.echoAt = -1;
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
