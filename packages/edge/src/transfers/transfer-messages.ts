// SPDX-License-Identifier: Apache-2.0

// Records → messages of a transfer (RFC 5936 §2.2): as many to each as fit. The origin stands in every question, at a place that is
// known, so that names that end in it shrink to a pointer; so does an owner that is that of the record before.

import type { TsigKey, TsigSession } from "@meridian/dns";
import { tsigBytes } from "@meridian/dns";
import type { WalkedRecord } from "@meridian/snapshot";

const HEADER_BYTES = 12;
const FIXED_BYTES = 10;
const CLASS_IN = 1;
const POINTER = 0xc000;
/** Where pointers can lead to; a record that is larger has a message of its own. */
const MESSAGE_BYTES = 16_384;
const MESSAGE_BYTES_MAX = 65_535;

/** What a transfer answers. */
export interface TransferQuestion {
  readonly id: number;
  /** Bits of the flag word that an answer copies. */
  readonly copiedFlags: number;
  readonly origin: Uint8Array;
  readonly type: number;
}

/** How a transfer is signed. */
export interface TransferSigner {
  readonly key: TsigKey;
  readonly session: TsigSession;
  readonly nowSeconds: () => number;
}

export class TransferMessages {
  readonly #question: TransferQuestion;
  readonly #records: Iterator<WalkedRecord, undefined>;
  readonly #signer: TransferSigner | undefined;
  readonly #bytesMax: number;
  readonly #bytes = new Uint8Array(MESSAGE_BYTES_MAX);
  readonly #view = new DataView(this.#bytes.buffer);
  #at = 0;
  /** That did not fit into the message before. */
  #waiting: WalkedRecord | undefined;
  #lastOwner: Uint8Array | undefined;
  #lastOwnerAt = 0;

  constructor(
    question: TransferQuestion,
    records: Iterator<WalkedRecord, undefined>,
    signer: TransferSigner | undefined,
  ) {
    this.#question = question;
    this.#records = records;
    this.#signer = signer;
    this.#bytesMax = MESSAGE_BYTES_MAX - (signer === undefined ? 0 : tsigBytes(signer.key));
    this.#waiting = next(records);
  }

  next(): Uint8Array | undefined {
    if (this.#waiting === undefined) return undefined;
    this.#begin();
    let count = 0;
    while (this.#waiting !== undefined && this.#add(this.#waiting, count === 0)) {
      this.#waiting = next(this.#records);
      count += 1;
    }
    // A record larger than any message: the transfer ends here, and its receiver sees that its last record is missing.
    if (count === 0) {
      this.#waiting = undefined;
      return undefined;
    }
    this.#view.setUint16(6, count);
    const message = this.#bytes.slice(0, this.#at);
    const signer = this.#signer;
    return signer === undefined ? message : signer.session.sign(message, signer.nowSeconds());
  }

  #begin(): void {
    const { id, copiedFlags, origin, type } = this.#question;
    const view = this.#view;
    this.#bytes.fill(0, 0, HEADER_BYTES);
    view.setUint16(0, id);
    view.setUint16(2, 0x8400 | copiedFlags);
    view.setUint16(4, 1);
    this.#bytes.set(origin, HEADER_BYTES);
    this.#at = HEADER_BYTES + origin.length;
    view.setUint16(this.#at, type);
    view.setUint16(this.#at + 2, CLASS_IN);
    this.#at += 4;
    this.#lastOwner = undefined;
  }

  /** False where the record does not fit: nothing is left of it. */
  #add(record: WalkedRecord, isFirst: boolean): boolean {
    const start = this.#at;
    const most = isFirst ? this.#bytesMax : MESSAGE_BYTES;
    const { owner, rdata } = record;
    if (start + owner.length + FIXED_BYTES + rdata.length > most) return false;
    this.#owner(owner);
    const view = this.#view;
    view.setUint16(this.#at, record.type);
    view.setUint16(this.#at + 2, CLASS_IN);
    view.setUint32(this.#at + 4, record.ttl);
    const lengthAt = this.#at + 8;
    this.#at += FIXED_BYTES;
    this.#rdata(record);
    view.setUint16(lengthAt, this.#at - lengthAt - 2);
    return true;
  }

  #owner(owner: Uint8Array): void {
    if (owner === this.#lastOwner) {
      this.#pointer(this.#lastOwnerAt);
      return;
    }
    this.#lastOwner = owner;
    this.#lastOwnerAt = this.#at;
    const { origin } = this.#question;
    this.#copy(owner.subarray(0, owner.length - origin.length));
    this.#pointer(HEADER_BYTES);
  }

  #rdata({ rdata, cutA, cutB }: WalkedRecord): void {
    const originBytes = this.#question.origin.length;
    let from = 0;
    for (const cut of [cutA, cutB]) {
      if (cut < from) continue;
      this.#copy(rdata.subarray(from, cut));
      this.#pointer(HEADER_BYTES);
      from = cut + originBytes;
    }
    this.#copy(rdata.subarray(from));
  }

  #copy(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #pointer(to: number): void {
    this.#view.setUint16(this.#at, POINTER | to);
    this.#at += 2;
  }
}

function next(records: Iterator<WalkedRecord, undefined>): WalkedRecord | undefined {
  const result = records.next();
  return result.done === true ? undefined : result.value;
}
