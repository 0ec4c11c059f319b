// SPDX-License-Identifier: Apache-2.0
//
// Transaction signatures (RFC 8945): who sent a message, and that nobody changed it, by a secret that both sides have. An
// exchange is a chain: each signature covers the one before it, so that no answer fits another question.
//
//   request    HMAC(           message, all variables)
//   answer     HMAC(request's, message, all variables)
//   further    HMAC(last,      messages since, time and fudge)        of an answer of several messages (§5.3.1)

import { createHmac, timingSafeEqual } from "node:crypto";
import { ByteWriter } from "./byte-writer.ts";
import { DnsLimits, Rcode, RRClass } from "./constants.ts";
import { equalNames } from "./name.ts";
import { readTsig, writeTime, writeTsig, type TsigRecord } from "./tsig-record.ts";

/** What may sign; older ones are broken or nearly so (RFC 8945 §6). */
export const tsigAlgorithms = ["hmac-sha256", "hmac-sha384", "hmac-sha512"] as const;
export type TsigAlgorithm = (typeof tsigAlgorithms)[number];

/** A secret that both sides have. `name` is lower case, in wire form. */
export interface TsigKey {
  readonly name: Uint8Array;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
}

/** Seconds by which the clocks of both sides may differ (RFC 8945 §10). */
export const TSIG_FUDGE_SECONDS = 300;
/** A signature that is wrong; as an rcode of EDNS the number means BADVERS (RFC 8945 §3). */
export const BADSIG = 16;
/** Messages of one answer between two that are signed (RFC 8945 §5.3.1). */
const UNSIGNED_MAX = 99;
const NO_BYTES = new Uint8Array(0);

const hashes: Readonly<Record<TsigAlgorithm, { readonly hash: string; readonly bytes: number }>> = {
  "hmac-sha256": { hash: "sha256", bytes: 32 },
  "hmac-sha384": { hash: "sha384", bytes: 48 },
  "hmac-sha512": { hash: "sha512", bytes: 64 },
};
const algorithmNames: Readonly<Record<TsigAlgorithm, Uint8Array>> = {
  "hmac-sha256": oneLabel("hmac-sha256"),
  "hmac-sha384": oneLabel("hmac-sha384"),
  "hmac-sha512": oneLabel("hmac-sha512"),
};

function oneLabel(label: string): Uint8Array {
  return Uint8Array.from([label.length, ...new TextEncoder().encode(label), 0]);
}

/** Bytes that a signature adds to a message. */
export function tsigBytes({ name, algorithm }: TsigKey): number {
  const rdata = algorithmNames[algorithm].length + 16 + hashes[algorithm].bytes;
  // A clock that is wrong is told the right time in six bytes more.
  return name.length + 10 + rdata + 6;
}

/** Of the keys, the one that signed. */
export function keyOf(record: TsigRecord, keys: Iterable<TsigKey>): TsigKey | undefined {
  for (const key of keys) if (isOf(record, key)) return key;
  return undefined;
}

function isOf({ name, algorithm }: TsigRecord, key: TsigKey): boolean {
  return equalNames(name, key.name) && equalNames(algorithm, algorithmNames[key.algorithm]);
}

/**
 * One exchange, seen from either side: sign the request and verify what comes back, or verify the request and sign each message of the
 * answer. After a message that does not verify it is of no further use, but that a server may sign its answer to a wrong time.
 */
export class TsigSession {
  readonly #key: TsigKey;
  #prior: Uint8Array = NO_BYTES;
  /** 0 before the request, 1 before the answer, 2 in it. */
  #step = 0;
  /** Messages since the last signature. */
  #unsigned: Uint8Array[] = [];

  constructor(key: TsigKey) {
    this.#key = key;
  }

  /** The message with its signature appended. `error` and `other` are for a server whose client's clock is wrong. */
  sign(
    message: Uint8Array,
    timeSigned: number,
    error: number = 0,
    other: Uint8Array = NO_BYTES,
  ): Uint8Array {
    const record = {
      name: this.#key.name,
      algorithm: algorithmNames[this.#key.algorithm],
      timeSigned,
      fudge: TSIG_FUDGE_SECONDS,
      mac: NO_BYTES,
      originalId: (message[0]! << 8) | message[1]!,
      error,
      other,
    };
    const mac = this.#mac([message], record);
    this.#advance(mac);
    return withTsig(message, { ...record, mac });
  }

  /** The rcode of a message's signature: NOERROR, FORMERR, BADKEY, BADSIG, BADTIME or BADTRUNC. */
  verify(message: Uint8Array, record: TsigRecord, nowSeconds: number): number {
    const full = hashes[this.#key.algorithm].bytes;
    if (!isOf(record, this.#key)) return Rcode.BADKEY;
    if (record.mac.length > full || record.mac.length < Math.max(10, full / 2))
      return record.mac.length === 0 ? BADSIG : Rcode.FORMERR;
    const mac = this.#mac([...this.#unsigned, unsignedOf(message, record)], record);
    const expected = mac.subarray(0, record.mac.length);
    if (!timingSafeEqual(expected, record.mac)) return BADSIG;
    // What comes next covers the signature as it was sent.
    this.#advance(record.mac);
    if (Math.abs(nowSeconds - record.timeSigned) > record.fudge) return Rcode.BADTIME;
    return record.mac.length < full ? Rcode.BADTRUNC : Rcode.NOERROR;
  }

  /**
   * The same for the next message of an answer, which need not be signed if it is neither the first nor the last: `isOpen` afterwards
   * says whether a signature is still to come.
   */
  verifyNext(message: Uint8Array, nowSeconds: number): number {
    const record = readTsig(message);
    if (record === "malformed") return Rcode.FORMERR;
    if (record !== undefined) return this.verify(message, record, nowSeconds);
    if (this.#step < 2 || this.#unsigned.length >= UNSIGNED_MAX) return BADSIG;
    this.#unsigned.push(Uint8Array.from(message));
    return Rcode.NOERROR;
  }

  /** Whether the last message was not signed. */
  get isOpen(): boolean {
    return this.#unsigned.length > 0;
  }

  #advance(mac: Uint8Array): void {
    this.#prior = mac;
    this.#step = Math.min(2, this.#step + 1);
    this.#unsigned = [];
  }

  #mac(
    messages: readonly Uint8Array[],
    record: Omit<TsigRecord, "start" | "mac" | "originalId">,
  ): Uint8Array {
    const hmac = createHmac(hashes[this.#key.algorithm].hash, this.#key.secret);
    if (this.#step > 0) {
      hmac.update(Uint8Array.of(this.#prior.length >>> 8, this.#prior.length & 255));
      hmac.update(this.#prior);
    }
    for (const message of messages) hmac.update(message);
    hmac.update(this.#step < 2 ? variables(record) : timers(record));
    return hmac.digest();
  }
}

/** The message with a TSIG record that proves nothing: why the signature of the request was not taken (RFC 8945 §5.2). */
export function withTsigError(
  message: Uint8Array,
  { name, algorithm, timeSigned, fudge, originalId }: TsigRecord,
  error: number,
): Uint8Array {
  const record = { name, algorithm, timeSigned, fudge, originalId, error };
  return withTsig(message, { ...record, mac: NO_BYTES, other: NO_BYTES });
}

/** A time in 48 bits, as a server tells it to a client whose clock is wrong. */
export function tsigTime(seconds: number): Uint8Array {
  const writer = new ByteWriter(6);
  writeTime(writer, seconds);
  return writer.finish();
}

function withTsig(message: Uint8Array, record: Omit<TsigRecord, "start">): Uint8Array {
  const bytes = writeTsig(record);
  const signed = new Uint8Array(message.length + bytes.length);
  signed.set(message);
  signed.set(bytes, message.length);
  const count = ((message[10]! << 8) | message[11]!) + 1;
  signed[10] = count >>> 8;
  signed[11] = count;
  return signed;
}

/** The message as it was before it was signed. */
function unsignedOf(message: Uint8Array, { start, originalId }: TsigRecord): Uint8Array {
  // Not `slice`, which of a Buffer is the same memory.
  const bytes = Uint8Array.from(message.subarray(0, start));
  const count = ((bytes[10]! << 8) | bytes[11]!) - 1;
  bytes[0] = originalId >>> 8;
  bytes[1] = originalId;
  bytes[10] = count >>> 8;
  bytes[11] = count;
  return bytes;
}

function variables(
  record: Pick<TsigRecord, "name" | "algorithm" | "timeSigned" | "fudge" | "error" | "other">,
): Uint8Array {
  const writer = new ByteWriter(DnsLimits.messageBytesMax);
  writer.bytes(record.name);
  writer.u16(RRClass.ANY);
  writer.u32(0);
  writer.bytes(record.algorithm);
  writer.bytes(timers(record));
  writer.u16(record.error);
  writer.u16(record.other.length);
  writer.bytes(record.other);
  return writer.finish();
}

function timers({ timeSigned, fudge }: Pick<TsigRecord, "timeSigned" | "fudge">): Uint8Array {
  const writer = new ByteWriter(8);
  writeTime(writer, timeSigned);
  writer.u16(fudge);
  return writer.finish();
}
