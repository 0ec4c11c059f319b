// SPDX-License-Identifier: Apache-2.0

import {
  BADSIG,
  Rcode,
  TsigSession,
  keyOf,
  readTsig,
  tsigTime,
  withTsigError,
  type TsigKey,
} from "@meridian/dns";

const HEADER_BYTES = 12;
const ADDITIONAL_COUNT_AT = 10;

/** What a signed request is. */
export type CheckedRequest =
  | { readonly kind: "malformed" }
  /** `answer` says why (RFC 8945 §5.2). */
  | { readonly kind: "refused"; readonly answer: Uint8Array; readonly reason: string }
  | {
      readonly kind: "good";
      readonly signer: { readonly key: TsigKey; readonly session: TsigSession };
      /** The request as it was before it was signed. */
      readonly bare: Uint8Array;
    };

const reasons: Readonly<Record<number, string>> = {
  [BADSIG]: "BADSIG",
  [Rcode.BADKEY]: "BADKEY",
  [Rcode.BADTIME]: "BADTIME",
  [Rcode.BADTRUNC]: "BADTRUNC",
};

/** Checks the signature of a request whose question ends at `questionEnd`, by the keys of the zone that it is about. */
export function checkSignature(
  packet: Uint8Array,
  questionEnd: number,
  keys: readonly TsigKey[],
  nowSeconds: number,
): CheckedRequest {
  const record = readTsig(packet);
  if (record === undefined || record === "malformed") return { kind: "malformed" };
  const key = keyOf(record, keys);
  if (key === undefined) {
    const answer = withTsigError(refusal(packet, questionEnd), record, Rcode.BADKEY);
    return { kind: "refused", answer, reason: "BADKEY" };
  }
  const session = new TsigSession(key);
  const rcode = session.verify(packet, record, nowSeconds);
  if (rcode === Rcode.FORMERR) return { kind: "malformed" };
  if (rcode === Rcode.NOERROR) {
    const bare = packet.slice(0, record.start);
    const view = new DataView(bare.buffer);
    view.setUint16(ADDITIONAL_COUNT_AT, view.getUint16(ADDITIONAL_COUNT_AT) - 1);
    return { kind: "good", signer: { key, session }, bare };
  }
  const bare = refusal(packet, questionEnd);
  const reason = reasons[rcode] ?? String(rcode);
  if (rcode === BADSIG)
    return { kind: "refused", answer: withTsigError(bare, record, rcode), reason };
  const other = rcode === Rcode.BADTIME ? tsigTime(nowSeconds) : new Uint8Array(0);
  const answer = session.sign(bare, record.timeSigned, rcode, other);
  return { kind: "refused", answer, reason };
}

/** The question again, with rcode NOTAUTH. */
function refusal(packet: Uint8Array, questionEnd: number): Uint8Array {
  const answer = packet.slice(0, questionEnd);
  const view = new DataView(answer.buffer);
  view.setUint16(2, 0x8000 | (view.getUint16(2) & 0x7910) | Rcode.NOTAUTH);
  answer.fill(0, 6, HEADER_BYTES);
  return answer;
}
