// SPDX-License-Identifier: Apache-2.0

// What control and an edge tell each other. Numbers are little-endian; a decoder returns undefined for bytes that are no such message.
//
//   hello            JSON {protocol, version, epoch, revision, sequence}
//   acknowledgement  f64 epoch, f64 revision, u32 sequence, 32 bytes: hash of the manifest that is served, which may be a cut
//   manifest         the JSON text of a manifest
//   table            f64 epoch, f64 revision, u32 sequence, u32 count, count × u32 slot, in the order of that revision's slots
//   changes          f64 epoch, f64 revision, u32 sequence, u32 count, count × { u64 key, u32 value }

import { FrameKind, encodeFrame } from "./frame.ts";

/** Version of what follows; peers of another one are refused. */
export const LINK_PROTOCOL = 1;
/** Name in the certificate of every control, whatever its address is. */
export const CONTROL_NAME = "meridian-control";
/** Organizational unit in the subject of a certificate that is good for reporting alone. */
export const PROBE_UNIT = "probe";
/** Paths of the edge listener. */
export const LinkPath = {
  authority: "/edge/v1/authority",
  join: "/edge/v1/join",
  renew: "/edge/v1/renew",
  link: "/edge/v1/link",
  vantage: "/edge/v1/vantage",
  sections: "/edge/v1/sections/",
  status: "/edge/v1/status",
  copy: "/edge/v1/copy",
} as const;
/** Control sends the whole table this often. */
export const TABLE_MS = 1000;
/** Most slots of a revision that edges can be sent. */
export const LINK_SLOTS_MAX = 4_000_000;
/** A peer that says nothing for this long is taken for gone. */
export const SILENCE_MS_MAX = 5000;

const VERSION_LENGTH_MAX = 100;
const HEADER_BYTES = 24;
const COUNT_AT = 20;
const CHANGE_BYTES = 12;
const HASH_AT = 20;
const ACKNOWLEDGEMENT_BYTES = 52;

/** A state of what is served. Sequences are of the control that an edge follows: of one control, equal positions are equal answers. */
export interface Position {
  readonly epoch: number;
  readonly revision: number;
  readonly sequence: number;
}

/** What an edge serves. */
export interface Acknowledgement extends Position {
  /** Of its manifest, 64 hex digits; zeros where it has none. */
  readonly hash: string;
}

/** First message of an edge. */
export interface Hello extends Position {
  readonly protocol: number;
  /** Of the software. */
  readonly version: string;
}

/** Every slot of a revision. Those of pool epochs are each edge's own. */
export interface SlotTable extends Position {
  readonly slots: Uint32Array;
}

/** What one change set changed. */
export interface SlotChanges extends Position {
  readonly changes: readonly { readonly key: bigint; readonly value: number }[];
}

export function encodeHello(hello: Hello): Uint8Array {
  const { protocol, version, epoch, revision, sequence } = hello;
  const text = JSON.stringify({ protocol, version, epoch, revision, sequence });
  return encodeFrame({ kind: FrameKind.hello, payload: new TextEncoder().encode(text) });
}

export function decodeHello(payload: Uint8Array): Hello | undefined {
  const raw = parsed(payload);
  if (typeof raw !== "object" || raw === null) return undefined;
  const member = (name: string): unknown => Reflect.get(raw, name);
  const [protocol, version] = [member("protocol"), member("version")];
  const [epoch, revision, sequence] = [member("epoch"), member("revision"), member("sequence")];
  if (!isCount(protocol) || !isCount(epoch) || !isCount(revision) || !isCount(sequence))
    return undefined;
  if (typeof version !== "string" || version.length > VERSION_LENGTH_MAX) return undefined;
  return { protocol, version, epoch, revision, sequence };
}

export function encodeAcknowledgement({ hash, ...position }: Acknowledgement): Uint8Array {
  const payload = new Uint8Array(ACKNOWLEDGEMENT_BYTES);
  writePosition(new DataView(payload.buffer), position);
  payload.set(Buffer.from(hash, "hex").subarray(0, ACKNOWLEDGEMENT_BYTES - HASH_AT), HASH_AT);
  return encodeFrame({ kind: FrameKind.acknowledgement, payload });
}

export function decodeAcknowledgement(payload: Uint8Array): Acknowledgement | undefined {
  if (payload.length !== ACKNOWLEDGEMENT_BYTES) return undefined;
  const position = readPosition(viewOf(payload));
  if (position === undefined) return undefined;
  return { ...position, hash: Buffer.from(payload.subarray(HASH_AT)).toString("hex") };
}

export function encodeManifestMessage(text: string): Uint8Array {
  return encodeFrame({ kind: FrameKind.manifest, payload: new TextEncoder().encode(text) });
}

export function decodeManifestText(payload: Uint8Array): string {
  return new TextDecoder().decode(payload);
}

export function encodeTable({ slots, ...position }: SlotTable): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + slots.length * 4);
  const view = new DataView(payload.buffer);
  writePosition(view, position);
  view.setUint32(COUNT_AT, slots.length, true);
  for (let at = 0; at < slots.length; at++)
    view.setUint32(HEADER_BYTES + at * 4, slots[at] ?? 0, true);
  return encodeFrame({ kind: FrameKind.table, payload });
}

export function decodeTable(payload: Uint8Array): SlotTable | undefined {
  const count = countedEntries(payload, 4);
  if (count === undefined) return undefined;
  const view = viewOf(payload);
  const position = readPosition(view);
  if (position === undefined) return undefined;
  const slots = new Uint32Array(count);
  for (let at = 0; at < count; at++) slots[at] = view.getUint32(HEADER_BYTES + at * 4, true);
  return { ...position, slots };
}

export function encodeChanges({ changes, ...position }: SlotChanges): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + changes.length * CHANGE_BYTES);
  const view = new DataView(payload.buffer);
  writePosition(view, position);
  view.setUint32(COUNT_AT, changes.length, true);
  let at = HEADER_BYTES;
  for (const { key, value } of changes) {
    view.setBigUint64(at, key, true);
    view.setUint32(at + 8, value, true);
    at += CHANGE_BYTES;
  }
  return encodeFrame({ kind: FrameKind.changes, payload });
}

export function decodeChanges(payload: Uint8Array): SlotChanges | undefined {
  const count = countedEntries(payload, CHANGE_BYTES);
  if (count === undefined) return undefined;
  const view = viewOf(payload);
  const position = readPosition(view);
  if (position === undefined) return undefined;
  const changes = Array.from({ length: count }, (_, index) => {
    const at = HEADER_BYTES + index * CHANGE_BYTES;
    return { key: view.getBigUint64(at, true), value: view.getUint32(at + 8, true) };
  });
  return { ...position, changes };
}

function writePosition(view: DataView, { epoch, revision, sequence }: Position): void {
  view.setFloat64(0, epoch, true);
  view.setFloat64(8, revision, true);
  view.setUint32(16, sequence, true);
}

function readPosition(view: DataView): Position | undefined {
  const [epoch, revision] = [view.getFloat64(0, true), view.getFloat64(8, true)];
  return isCount(epoch) && isCount(revision)
    ? { epoch, revision, sequence: view.getUint32(16, true) }
    : undefined;
}

/** The stated number of entries, where exactly that many follow. */
function countedEntries(payload: Uint8Array, entryBytes: number): number | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const count = viewOf(payload).getUint32(COUNT_AT, true);
  return payload.length === HEADER_BYTES + count * entryBytes ? count : undefined;
}

function viewOf(payload: Uint8Array): DataView {
  return new DataView(payload.buffer, payload.byteOffset, payload.length);
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined;
  }
}

function isCount(raw: unknown): raw is number {
  return typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0;
}
