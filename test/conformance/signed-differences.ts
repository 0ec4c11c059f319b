// SPDX-License-Identifier: Apache-2.0

// Signed answers without what two servers cannot have in common: keys, signatures made with them, and serials that signing raises.

import { readRrsig, RRType, type Message, type ResourceRecord } from "@meridian/dns";

const SERIAL_BYTES_BEFORE_END = 20;
/** Of RRSIG rdata: type, algorithm, labels and TTL, then times and key tag (RFC 4034 §3.1). */
const RRSIG_COVERS_BYTES = 8;
const RRSIG_MADE_BYTES = 10;

/** The message with RRSIGs without times, key and signature, with keys empty and serials 0. */
export function withoutKeys(message: Message): Message {
  const { answer, authority, additional } = message;
  return {
    ...message,
    answer: answer.map(bare),
    authority: authority.map(bare),
    additional: additional.map(bare),
  };
}

function bare(record: ResourceRecord): ResourceRecord {
  const { type, rdata } = record;
  if (type === RRType.DNSKEY) return { ...record, rdata: Uint8Array.of(1, 1, 3, 13) };
  if (type === RRType.SOA) {
    const at = rdata.length - SERIAL_BYTES_BEFORE_END;
    return {
      ...record,
      rdata: rdata.map((byte, index) => (index >= at && index < at + 4 ? 0 : byte)),
    };
  }
  const fields = type === RRType.RRSIG ? readRrsig(rdata) : undefined;
  if (fields === undefined) return record;
  const covers = rdata.subarray(0, RRSIG_COVERS_BYTES);
  const made = new Uint8Array(RRSIG_MADE_BYTES);
  return { ...record, rdata: Uint8Array.of(...covers, ...made, ...fields.signer, 0) };
}

/** Whether a record of the authority section proves that something is not there, or signs such a proof. */
export function isOfProof({ type, rdata }: ResourceRecord): boolean {
  const covered = type === RRType.RRSIG ? readRrsig(rdata)?.typeCovered : type;
  return covered === RRType.NSEC || covered === RRType.NSEC3;
}
