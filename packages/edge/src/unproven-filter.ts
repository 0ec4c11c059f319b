// SPDX-License-Identifier: Apache-2.0

// A program for the kernel (classic BPF) that leaves out packets before they are queued: of those that nobody vouches for, so many of 64, by
// chance. Who may have a cookie, or comes from a prefix that is never limited, is let through; a cookie that is forged is found out later.
// (Left out here a packet costs some 0.1 µs, and 1.5 µs where it is read first.)
//
//   random number ≥ level ─► in     source in an exempt prefix ─► in     OPT right behind the question has a whole cookie ─► in     else: out
//
// The kernel turns each load into some ten instructions of 8 bytes, and a socket's programs, the one that goes and the one that comes, have
// to fit into 20 kB where net.core.optmem_max is what it used to be. So it walks the name and the options, as `findWholeCookie` does.

import { parsePrefix } from "@meridian/snapshot";

/** Of so many packets, `level` are left out. */
export const FILTER_PARTS = 64;
/** With more, packets are read before they are left out. */
export const FILTER_PREFIXES_MAX = 64;

// linux/bpf_common.h, linux/filter.h
const LOAD_WORD = 0x20;
const LOAD_BYTE = 0x30;
const LOAD_WORD_FROM_X = 0x40;
const LOAD_BYTE_FROM_X = 0x50;
const SET_X = 0x01;
const MOVE_TO_X = 0x07;
const ADD = 0x04;
const ADD_X = 0x0c;
const AND = 0x54;
const SHIFT_RIGHT = 0x74;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;
const RANDOM_AT = 0xffff_f000 + 56;
/** Offset of the IP header. */
const NETWORK_AT = 0xfff0_0000;
const ALL_BYTES = 0xffff_ffff;
const INSTRUCTION_BYTES = 8;

/** Behind the headers of UDP and DNS. */
const QUESTION_AT = 8 + 12;
/** From the name's last byte, which is 0, to the OPT record and to its options. */
const OPT_AFTER = 5;
const OPTIONS_AFTER = OPT_AFTER + 11;
const TYPE_OPT = 41;
/** Names in ip6.arpa have 34. What has more labels, or more options, is read. */
const LABELS_MAX = 40;
const OPTIONS_MAX = 16;
/** Option 10 of 24 bytes (RFC 9018 §4). */
const WHOLE_COOKIE = 0x000a_0018;
const SOURCE_AT = { 4: 12, 6: 8 } as const;

type Instruction = readonly [code: number, value: number, ifTrue?: number, ifFalse?: number];

/** The program for `level` of `FILTER_PARTS`; `exempt` are at most `FILTER_PREFIXES_MAX` texts that `PrefixList` takes. */
export function unprovenFilter(level: number, exempt: readonly string[]): Uint8Array {
  const instructions: Instruction[] = [
    [LOAD_WORD, RANDOM_AT],
    [AND, FILTER_PARTS - 1],
    [JUMP_AT_LEAST, level, 0, 1],
    [RETURN, ALL_BYTES],
    ...exempt.flatMap(letPrefixIn),
  ];
  // What lies behind the end of a packet cannot be loaded: then it is left out.
  instructions.push(...findNameEnd(), ...findCookie());
  return encode(instructions);
}

/** Leaves in X where the name of the question ends, counted from where it begins. */
function findNameEnd(): readonly Instruction[] {
  const instructions: Instruction[] = [[SET_X, 0]];
  const end = 1 + LABELS_MAX * 5 + 1;
  for (let label = 0; label < LABELS_MAX; label++)
    instructions.push(
      [LOAD_BYTE_FROM_X, QUESTION_AT],
      [JUMP_EQUAL, 0, end - instructions.length - 2, 0],
      [ADD, 1],
      [ADD_X, 0],
      [MOVE_TO_X, 0],
    );
  instructions.push([RETURN, ALL_BYTES]);
  return instructions;
}

function findCookie(): readonly Instruction[] {
  const instructions: Instruction[] = [
    // The root's name, the type, and a byte of what follows.
    [LOAD_WORD_FROM_X, QUESTION_AT + OPT_AFTER],
    [SHIFT_RIGHT, 8],
    [JUMP_EQUAL, TYPE_OPT, 1, 0],
    [RETURN, 0],
  ];
  const end = instructions.length + OPTIONS_MAX * 6;
  for (let option = 0; option < OPTIONS_MAX; option++)
    instructions.push(
      [LOAD_WORD_FROM_X, QUESTION_AT + OPTIONS_AFTER],
      [JUMP_EQUAL, WHOLE_COOKIE, end - instructions.length - 2, 0],
      [AND, 0xffff],
      [ADD, 4],
      [ADD_X, 0],
      [MOVE_TO_X, 0],
    );
  instructions.push([RETURN, ALL_BYTES]);
  return instructions;
}

function letPrefixIn(text: string): readonly Instruction[] {
  const prefix = parsePrefix(text);
  if (prefix === undefined) return [];
  const { family, words, length } = prefix;
  const used = Math.ceil(length / 32);
  // The version; then load, mask and compare each word that counts; then in.
  const steps = 3 + used * 3;
  const instructions: Instruction[] = [
    [LOAD_BYTE, NETWORK_AT],
    [AND, 0xf0],
    [JUMP_EQUAL, family << 4, 0, steps - 2],
  ];
  for (let word = 0; word < used; word++) {
    const bits = Math.min(32, length - word * 32);
    const mask = (ALL_BYTES << (32 - bits)) >>> 0;
    const value = words[word] ?? 0;
    instructions.push(
      [LOAD_WORD, NETWORK_AT + SOURCE_AT[family] + word * 4],
      [AND, mask],
      [JUMP_EQUAL, (value & mask) >>> 0, 0, steps - instructions.length - 2],
    );
  }
  instructions.push([RETURN, ALL_BYTES]);
  return instructions;
}

function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, value, ifTrue = 0, ifFalse = 0]] of instructions.entries()) {
    const at = index * INSTRUCTION_BYTES;
    // In the order of the machine, which is little-endian wherever Meridian runs (snapshot-format.md).
    view.setUint16(at, code, true);
    view.setUint8(at + 2, ifTrue);
    view.setUint8(at + 3, ifFalse);
    view.setUint32(at + 4, value, true);
  }
  return bytes;
}
