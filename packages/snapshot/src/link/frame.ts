// SPDX-License-Identifier: Apache-2.0

// How messages follow one another on the stream between control and an edge (docs/internals/edge-protocol.md):
//
//   u32 bytes of the payload, little-endian   u8 kind   payload
//
// The limit of a kind is looked at before anything of its payload is kept, so that nobody can make a peer hold more than that.

/** What a message is. Below 16: from an edge to control; from 16: the other way. */
export const FrameKind = {
  hello: 1,
  acknowledgement: 2,
  reports: 3,
  status: 4,
  counts: 5,
  lease: 6,
  traffic: 7,
  notified: 8,
  disk: 9,
  manifest: 16,
  table: 17,
  changes: 18,
  plan: 19,
  stage: 20,
  secrets: 21,
  signing: 23,
  section: 22,
  carried: 24,
  grant: 25,
  controls: 26,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** Bytes before a payload. */
export const FRAME_HEADER_BYTES = 5;

const MEBIBYTE = 1024 * 1024;

/** Largest payload of each kind. */
export const FRAME_BYTES_MAX: Readonly<Record<FrameKind, number>> = {
  [FrameKind.hello]: 4096,
  [FrameKind.acknowledgement]: 64,
  [FrameKind.reports]: 16 * MEBIBYTE,
  [FrameKind.status]: 4096,
  [FrameKind.counts]: 64,
  [FrameKind.lease]: 64,
  [FrameKind.traffic]: 64 * 1024,
  [FrameKind.notified]: 1024,
  [FrameKind.disk]: 16 * 1024,
  [FrameKind.manifest]: 64 * MEBIBYTE,
  [FrameKind.table]: 16 * MEBIBYTE,
  [FrameKind.changes]: 64 * MEBIBYTE,
  [FrameKind.plan]: MEBIBYTE,
  [FrameKind.stage]: 4096,
  [FrameKind.secrets]: MEBIBYTE,
  [FrameKind.signing]: 64 * MEBIBYTE,
  [FrameKind.section]: 2 * MEBIBYTE,
  [FrameKind.carried]: 64 * 1024,
  [FrameKind.grant]: 64,
  [FrameKind.controls]: 4 * MEBIBYTE,
};

/** One message as it travels. */
export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Uint8Array;
}

/** The bytes of a message. Throws a RangeError where its payload is larger than its kind may be. */
export function encodeFrame({ kind, payload }: Frame): Uint8Array {
  if (payload.length > FRAME_BYTES_MAX[kind])
    throw new RangeError(
      `Cannot send a message of kind ${kind}: it has ${payload.length} bytes, expected at most ${FRAME_BYTES_MAX[kind]}`,
    );
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint8(4, kind);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** Takes a stream apart. After an error it takes nothing more. */
export class FrameDecoder {
  readonly #accepted: ReadonlySet<number>;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Bytes that the next step needs. */
  #needed = FRAME_HEADER_BYTES;
  #kind: FrameKind | undefined;
  #error: string | undefined;

  /** `accepted` are the kinds that the other side may send. */
  constructor(accepted: readonly FrameKind[]) {
    this.#accepted = new Set(accepted);
  }

  /** Whole messages that end in `chunk`; the text says what is wrong with the stream. */
  push(chunk: Uint8Array): Frame[] | string {
    if (this.#error !== undefined) return this.#error;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const frames: Frame[] = [];
    while (this.#bytes >= this.#needed) {
      const taken = this.#take(this.#needed);
      const kind = this.#kind;
      if (kind === undefined) {
        this.#error = this.#begin(taken);
        if (this.#error !== undefined) return this.#end(this.#error);
      } else {
        frames.push({ kind, payload: taken });
        this.#kind = undefined;
        this.#needed = FRAME_HEADER_BYTES;
      }
    }
    return frames;
  }

  #begin(header: Uint8Array): string | undefined {
    const length = new DataView(header.buffer, header.byteOffset).getUint32(0, true);
    const code = header[4] ?? 0;
    const kind = Object.values(FrameKind).find((known) => known === code);
    if (kind === undefined || !this.#accepted.has(code))
      return `Message is of kind ${code}, expected one of ${[...this.#accepted].join(", ")}`;
    if (length > FRAME_BYTES_MAX[kind])
      return `Message of kind ${kind} has ${length} bytes, expected at most ${FRAME_BYTES_MAX[kind]}`;
    this.#kind = kind;
    this.#needed = length;
    return undefined;
  }

  #end(error: string): string {
    this.#chunks = [];
    this.#bytes = 0;
    return error;
  }

  /** The next `count` bytes, in a buffer of their own. */
  #take(count: number): Uint8Array {
    const all = new Uint8Array(count);
    let at = 0;
    while (at < count) {
      const [first = new Uint8Array(0)] = this.#chunks;
      const part = first.subarray(0, count - at);
      all.set(part, at);
      at += part.length;
      if (part.length < first.length) this.#chunks[0] = first.subarray(part.length);
      else this.#chunks.shift();
    }
    this.#bytes -= count;
    return all;
  }
}
