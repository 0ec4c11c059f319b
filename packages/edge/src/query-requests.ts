// SPDX-License-Identifier: Apache-2.0

// Messages that are no ordinary queries: NOTIFY, dynamic updates, and whatever is signed. They are rare and may allocate.

import { Rcode, keyOf, readTsig, type TsigKey } from "@meridian/dns";
import type { WorkerCounters } from "./counters.ts";
import type { QueryFrame } from "./query-frame.ts";
import type { QueryLimits } from "./query-limits.ts";
import type { QueryState } from "./query-state.ts";
import { chooseView } from "./query-view.ts";
import { checkSignature } from "./transfers/check-signature.ts";
import type { TransferSigner } from "./transfers/transfer-messages.ts";
import type { Transfers } from "./transfers/transfers.ts";
import type { UpdateRequests } from "./updates/update-requests.ts";

/** Who takes such messages; what is not there is not implemented. */
export interface RequestOptions {
  readonly counters: WorkerCounters;
  readonly transfers?: Transfers;
  readonly updates?: UpdateRequests;
  readonly nowMs: () => number;
  readonly ignoresViews?: boolean;
}

/** A key of a view, and where it is among the keys of all. */
interface ViewKey {
  readonly key: TsigKey;
  readonly index: number;
}

/** A request whose signature was found right. */
export interface SignedRequest {
  /** The request as it was before it was signed. */
  readonly bare: Uint8Array;
  readonly signer: TransferSigner;
  /** What a zone calls the key, if it is one of its own. */
  readonly signedBy: QueryState["signedBy"];
  /** Index of the key among those of views, −1 where it is none of them. */
  readonly viewKey: number;
}

export class QueryRequests {
  readonly #query: QueryState;
  readonly #frame: QueryFrame;
  readonly #limits: QueryLimits | undefined;
  readonly #options: RequestOptions;

  constructor(
    query: QueryState,
    frame: QueryFrame,
    limits: QueryLimits | undefined,
    options: RequestOptions,
  ) {
    this.#query = query;
    this.#frame = frame;
    this.#limits = limits;
    this.#options = options;
  }

  /** Answers NOTIFY. */
  notify(): number {
    const { transfers } = this.#options;
    if (transfers === undefined) return this.#frame.headerOnly(Rcode.NOTIMP);
    const packet = this.#packet();
    this.#showPublic();
    return this.#send(transfers.notified(this.#query, packet, this.#nowSeconds()));
  }

  /** Answers a dynamic update; what is taken is answered later. */
  update(): number {
    const { updates } = this.#options;
    if (updates === undefined) return this.#frame.headerOnly(Rcode.NOTIMP);
    const packet = this.#packet();
    const { transfers, ignoresViews = false } = this.#options;
    const { views } = this.#query.served.world;
    if (views === undefined || ignoresViews || transfers === undefined) {
      this.#showPublic();
      return this.#send(updates.take(this.#query, packet));
    }
    return this.#send(updates.take(this.#query, packet, this.#chooseView(packet)?.key));
  }

  /** Looks at a signature (RFC 8945 §5.2): what was signed, or the bytes of the answer to one that is wrong. */
  check(): SignedRequest | number {
    const { message, served } = this.#query;
    const { transfers } = this.#options;
    const packet = this.#packet();
    const named = this.#chooseView(packet);
    const zone = this.#query.zones.find(served.name, 0);
    const ofZone = zone === undefined ? [] : (transfers?.keysOf(zone) ?? []);
    const keys = named === undefined ? ofZone : [...ofZone, named.key];
    const questionBytes = message.questionEnd - message.start;
    const checked = checkSignature(packet, questionBytes, keys, this.#nowSeconds());
    if (checked.kind === "malformed") return this.#frame.headerOnly(Rcode.FORMERR);
    if (checked.kind === "refused") {
      transfers?.refused(this.#query, checked.reason);
      return this.#send(checked.answer);
    }
    const { signer, bare } = checked;
    return {
      bare,
      signer: { ...signer, nowSeconds: () => this.#nowSeconds() },
      ...this.#identify(signer.key, named),
    };
  }

  /**
   * Who signed. A zone may have a key of a view among its own, to name it in its rules; one that is only called alike says nothing of who
   * asks, as the view by which the zone was found is another's.
   */
  #identify(key: TsigKey, named: ViewKey | undefined): Pick<SignedRequest, "signedBy" | "viewKey"> {
    const isSame = named !== undefined && Buffer.compare(named.key.secret, key.secret) === 0;
    if (named !== undefined && !isSame) return { signedBy: undefined, viewKey: -1 };
    const { transfers } = this.#options;
    return { signedBy: (zone) => transfers?.keyName(zone, key), viewKey: named?.index ?? -1 };
  }

  /** Zones of views are not secondary: such requests are for the others, and an answer must not tell of those. */
  #showPublic(): void {
    this.#query.zones = this.#query.served.world.zones;
  }

  /** Shows the query the zones of its client's view, taken to be who it says by the name of its key; returns that key if it is a view's. */
  #chooseView(packet: Uint8Array): ViewKey | undefined {
    const { transfers, ignoresViews = false } = this.#options;
    const { views } = this.#query.served.world;
    if (views === undefined || ignoresViews) return undefined;
    const record = readTsig(packet);
    const keys = transfers?.viewKeys(views) ?? [];
    const isSigned = record !== undefined && record !== "malformed";
    const key = isSigned
      ? keyOf(
          record,
          keys.filter((each) => each !== undefined),
        )
      : undefined;
    const index = key === undefined ? -1 : keys.indexOf(key);
    chooseView(this.#query, index);
    return key === undefined ? undefined : { key, index };
  }

  /** Sends what was made elsewhere, as far as limits let it pass; silence for nothing. */
  #send(answer: Uint8Array | undefined): number {
    const { output, outputStart, outputMax } = this.#query;
    if (answer === undefined || answer.length > outputMax) return 0;
    if (this.#limits?.passes(answer.length) === false) return this.#limits.drop();
    output.set(answer, outputStart);
    this.#options.counters.rcode((answer[3] ?? 0) & 0xf);
    return answer.length;
  }

  /** A copy of its own, also of a Buffer. */
  #packet(): Uint8Array {
    const { input, start, length } = this.#query;
    return Uint8Array.from(input.subarray(start, start + length));
  }

  #nowSeconds(): number {
    return Math.floor(this.#options.nowMs() / 1000);
  }
}
