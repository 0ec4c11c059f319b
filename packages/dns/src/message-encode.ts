// SPDX-License-Identifier: Apache-2.0
//
// Message → bytes. With compression, every suffix of a name written within the first 16 KiB is
// remembered, and a later name ends in a pointer to the longest one it shares (RFC 1035 §4.1.4).
// Only names in owner position and in rdata of the types of RFC 1035 are compressed (RFC 3597 §4).
// Suffixes are matched byte for byte, so the case of a name survives (RFC 4343 §4.1 allows either).

import { assert } from "@meridian/core";
import { ByteWriter } from "./byte-writer.ts";
import { DnsLimits, RRType } from "./constants.ts";
import type { Edns, HeaderFlags, Message, ResourceRecord } from "./message.ts";
import { isName, nameLength, rootName } from "./name.ts";
import { rdataNames } from "./rdata-layout.ts";

const POINTER_OFFSET_MAX = 0x3fff;

/** How to encode. */
export interface EncodeOptions {
  /** Compress names; default true. */
  readonly compress?: boolean;
}

/**
 * The message on the wire. Where it would be longer than 65,535 bytes, a section ends before its
 * first record that does not fit, and the message is marked TC. Owners and question names must be
 * well-formed (an assertion): decodeMessage and parseName give no others.
 */
export function encodeMessage(message: Message, options: EncodeOptions = {}): Uint8Array {
  const encoder = new Encoder(options.compress ?? true);
  return encoder.encode(message);
}

class Encoder {
  readonly #writer: ByteWriter;
  readonly #offsets: Map<string, number> | undefined;

  constructor(compress: boolean) {
    this.#writer = new ByteWriter(DnsLimits.messageBytesMax, 512);
    this.#offsets = compress ? new Map() : undefined;
  }

  encode(message: Message): Uint8Array {
    const writer = this.#writer;
    const opt = message.edns === undefined ? undefined : optRecord(message.edns);
    writer.u16(message.id);
    writer.u16(encodeFlags(message.flags) | ((message.opcode & 15) << 11) | (message.rcode & 15));
    writer.bytes(new Uint8Array(8));
    for (const question of message.question) {
      this.#name(question.name);
      writer.u16(question.type);
      writer.u16(question.class);
    }
    const additional = opt === undefined ? message.additional : [opt, ...message.additional];
    const sections = [message.answer, message.authority, additional];
    const counts = sections.map((records) => this.#records(records));
    for (const [i, count] of [message.question.length, ...counts].entries()) {
      writer.patchU16(4 + i * 2, count);
    }
    if (counts.some((count, i) => count < (sections[i]?.length ?? 0))) {
      writer.patchU16(
        2,
        encodeFlags({ ...message.flags, tc: true }) |
          ((message.opcode & 15) << 11) |
          (message.rcode & 15),
      );
    }
    return writer.finish();
  }

  /** Writes records until one does not fit; returns how many were written. */
  #records(records: readonly ResourceRecord[]): number {
    const writer = this.#writer;
    for (const [i, record] of records.entries()) {
      const start = writer.length;
      this.#record(record);
      if (writer.overflowed) {
        writer.truncate(start);
        this.#forgetOffsetsFrom(start);
        return i;
      }
    }
    return records.length;
  }

  /** No later name may point into what was taken back. */
  #forgetOffsetsFrom(start: number): void {
    for (const [suffix, offset] of this.#offsets ?? []) {
      if (offset >= start) {
        this.#offsets?.delete(suffix);
      }
    }
  }

  #record(record: ResourceRecord): void {
    const writer = this.#writer;
    this.#name(record.owner);
    writer.u16(record.type);
    writer.u16(record.class);
    writer.u32(record.ttl);
    const lengthAt = writer.length;
    writer.u16(0);
    this.#rdata(record.type, record.rdata);
    writer.patchU16(lengthAt, writer.length - lengthAt - 2);
  }

  #rdata(type: number, rdata: Uint8Array): void {
    const names = rdataNames(type);
    if (names === "none" || rdata.length <= names.prefixBytes) {
      this.#writer.bytes(rdata);
      return;
    }
    let at = names.prefixBytes;
    this.#writer.bytes(rdata.subarray(0, at));
    for (let i = 0; i < names.nameCount; i++) {
      const length = nameLength(rdata, at);
      if (length < 0) {
        break;
      }
      this.#name(rdata.subarray(at, at + length));
      at += length;
    }
    this.#writer.bytes(rdata.subarray(at));
  }

  #name(name: Uint8Array): void {
    assert(isName(name), "name is not in wire form");
    const offsets = this.#offsets;
    if (offsets === undefined) {
      this.#writer.bytes(name);
      return;
    }
    const text = String.fromCharCode(...name);
    let at = 0;
    while (at < name.length && name[at] !== 0) {
      const suffix = text.slice(at);
      const known = offsets.get(suffix);
      if (known !== undefined) {
        this.#writer.u16(0xc000 | known);
        return;
      }
      if (this.#writer.length <= POINTER_OFFSET_MAX) {
        offsets.set(suffix, this.#writer.length);
      }
      const end = at + 1 + name[at]!;
      this.#writer.bytes(name.subarray(at, end));
      at = end;
    }
    this.#writer.u8(0);
  }
}

function optRecord(edns: Edns): ResourceRecord {
  const writer = new ByteWriter(DnsLimits.rdataBytesMax);
  for (const option of edns.options) {
    writer.u16(option.code);
    writer.u16(option.data.length);
    writer.bytes(option.data);
  }
  return {
    owner: rootName,
    type: RRType.OPT,
    class: edns.udpSize,
    ttl: edns.extendedRcode * 0x1000000 + (edns.version << 16) + (edns.do ? 0x8000 : 0),
    rdata: writer.finish(),
  };
}

function encodeFlags(flags: HeaderFlags): number {
  return (
    (flags.qr ? 0x8000 : 0) |
    (flags.aa ? 0x0400 : 0) |
    (flags.tc ? 0x0200 : 0) |
    (flags.rd ? 0x0100 : 0) |
    (flags.ra ? 0x0080 : 0) |
    (flags.z ? 0x0040 : 0) |
    (flags.ad ? 0x0020 : 0) |
    (flags.cd ? 0x0010 : 0)
  );
}
