// SPDX-License-Identifier: Apache-2.0

// What a worker answers to queries with DO where some zones were signed elsewhere: as `SignedAnswers`, which has those that are signed here.

import { resolve, type Chain } from "../query-resolve.ts";
import type { QueryState, ServedSnapshot } from "../query-state.ts";
import { NOT_PRESIGNED, type SignedAnswers, type ZoneOrders } from "../dnssec/signed-answers.ts";
import { PresignedSigner } from "./presigned-signer.ts";
import { PresignedZone } from "./presigned-zone.ts";

export class PresignedAnswers {
  readonly hasSigned: boolean = true;
  readonly #query: QueryState;
  readonly #online: SignedAnswers | undefined;
  readonly #signer: PresignedSigner;

  private constructor(
    query: QueryState,
    online: SignedAnswers | undefined,
    zones: readonly (PresignedZone | undefined)[],
  ) {
    this.#query = query;
    this.#online = online;
    this.#signer = new PresignedSigner(query, zones, online?.signer);
  }

  /** For a snapshot; undefined where no zone of it was signed elsewhere. */
  static of(
    query: QueryState,
    online: SignedAnswers | undefined,
    { world }: ServedSnapshot,
    orders: ZoneOrders | undefined,
  ): PresignedAnswers | undefined {
    if (!world.zones.zones.some(({ isPresigned }) => isPresigned)) return undefined;
    const zones = world.zones.zones.map((zone) =>
      online?.zones[zone.index] === undefined
        ? PresignedZone.of(zone, orders?.get(zone.index))
        : undefined,
    );
    return zones.every((zone) => zone === undefined)
      ? undefined
      : new PresignedAnswers(query, online, zones);
  }

  beginBatch(nowMs: number): void {
    this.#online?.beginBatch(nowMs);
  }

  /** As that of `SignedAnswers`. */
  answerApex(): number {
    return this.#online?.answerApex() ?? NOT_PRESIGNED;
  }

  /** Answers a query with DO. */
  resolve(chain: Chain): number {
    const query = this.#query;
    const signer = this.#signer;
    signer.begin();
    if (this.#online !== undefined) {
      const rcode = this.#online.resolve(chain, signer);
      return rcode;
    }
    query.signer = signer;
    query.response.signer = signer;
    const rcode = resolve(query, chain);
    query.signer = null;
    query.response.signer = null;
    signer.finish();
    return rcode;
  }
}
