// SPDX-License-Identifier: Apache-2.0

import { Rcode, RRType } from "@meridian/dns";
import type { QueryName } from "@meridian/snapshot";

const CLASS_CH = 3;
const TEXT_BYTES_MAX = 255;
const RECORD_FIXED_BYTES = 12;

/** What a server says of itself in class CHAOS; a text that is absent is refused. */
export interface ChaosTexts {
  /** For `id.server` and `hostname.bind` (RFC 4892). */
  readonly identity?: string;
  /** For `version.server` and `version.bind`. */
  readonly version?: string;
}

interface ChaosName {
  readonly wire: Uint8Array;
  readonly text: Uint8Array;
}

/** The few names of class CHAOS. */
export class ChaosAnswers {
  readonly #names: readonly ChaosName[];

  constructor(texts: ChaosTexts) {
    const { identity, version } = texts;
    this.#names = [
      ...chaosName("id.server", identity),
      ...chaosName("hostname.bind", identity),
      ...chaosName("version.server", version),
      ...chaosName("version.bind", version),
    ];
  }

  /** Index for `write`, or -1 for a name that is refused. */
  find(name: QueryName): number {
    return this.#names.findIndex(({ wire }) => {
      if (wire.length !== name.length) return false;
      return wire.every((byte, index) => name.bytes[index] === byte);
    });
  }

  /** The rcode for asking the name at `index` for `type`; a TXT is written if it has one. */
  static rcode(index: number): number {
    return index < 0 ? Rcode.REFUSED : Rcode.NOERROR;
  }

  /** Writes the TXT record at `output[at..]` and returns the bytes written; 0 where `type` is not TXT or ANY. */
  write(index: number, type: number, output: Uint8Array, at: number, end: number): number {
    const entry = this.#names[index];
    if (entry === undefined || (type !== RRType.TXT && type !== RRType.ANY)) return 0;
    const { text } = entry;
    const bytes = RECORD_FIXED_BYTES + 1 + text.length;
    if (at + bytes > end) return 0;
    const fixed = [
      0xc0,
      12,
      0,
      RRType.TXT,
      0,
      CLASS_CH,
      0,
      0,
      0,
      0,
      0,
      text.length + 1,
      text.length,
    ];
    output.set(fixed, at);
    output.set(text, at + fixed.length);
    return bytes;
  }
}

function chaosName(name: string, text: string | undefined): ChaosName[] {
  if (text === undefined) return [];
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  return [
    { wire: Uint8Array.from([...labels, 0]), text: Buffer.from(text).subarray(0, TEXT_BYTES_MAX) },
  ];
}
