// SPDX-License-Identifier: Apache-2.0

// What control and an edge tell each other. Numbers are little-endian; a decoder returns undefined for bytes that are no such message.
//
//   hello            JSON {protocol, version, epoch, revision, sequence, takesSections, takesLeases, dns}
//   acknowledgement  f64 epoch, f64 revision, u32 sequence, 32 bytes: hash of the manifest that is served, which may be a cut, and, of an edge that
//                    control has said it takes it of, u32 ms
//   manifest         the JSON text of a manifest
//   table            f64 epoch, f64 revision, u32 sequence, u32 count, count × u32 slot, in the order of that revision's slots
//   changes          f64 epoch, f64 revision, u32 sequence, u32 count, count × { u64 key, u32 value }
//   carried          f64 epoch, f64 revision, u32 sequence, u32 count, f64 revision before, u32 sequence before, u32 0, count × { u64 key, u32 value }
//   notified         the origin of a secondary zone of which a primary says that it has changed: lower case, no last dot
//   section          32 bytes: its name, 32 bytes: name of the section that it is made of (zeros: of none), the delta (section-delta.ts)

import { FrameKind, encodeFrame } from "./frame.ts";

/** Version of what follows; peers of another one are refused. */
export const LINK_PROTOCOL = 1;
/** With which control says, when it takes an edge, what it takes besides: an earlier one would end the stream. */
export const TAKES_HEADER = "meridian-takes";
export const TAKES_TRAFFIC = "traffic";
/** It takes acknowledgements that say for how long their edge has answered so. */
export const TAKES_UNMOVED = "unmoved";
/** It wants to be told what the disk of its edge does not take. */
export const TAKES_DISK = "disk";
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
  update: "/edge/v1/update",
  /** In front of the name of a view: the update is of the zone that it has. */
  updateInView: "/edge/v1/update-in-view/",
} as const;
/** Control sends the whole table this often. */
export const TABLE_MS = 1000;
/** Most slots of a revision that edges can be sent. */
export const LINK_SLOTS_MAX = 4_000_000;
/** A peer that says nothing for this long is taken for gone. */
export const SILENCE_MS_MAX = 5000;

const VERSION_LENGTH_MAX = 100;
/** Addresses of an edge that are told, and how long one may be. */
const DNS_MAX = 32;
const ADDRESS_LENGTH_MAX = 64;
const HEADER_BYTES = 24;
const COUNT_AT = 20;
const CHANGE_BYTES = 12;
/** Of what is carried over: the revision before, its last sequence, and a word that is not used. */
const FROM_BYTES = 16;
/** Most slots that are said to differ from what is carried over: of more, the table says it. */
export const CARRIED_CHANGES_MAX = 1000;
const HASH_AT = 20;
const UNMOVED_AT = 52;
const ACKNOWLEDGEMENT_BYTES = 56;
/** Without what only `TAKES_UNMOVED` allows. */
const SHORT_ACKNOWLEDGEMENT_BYTES = UNMOVED_AT;
/** For as long as the edge has answered. */
const ALWAYS = 0xffff_ffff;
const NAME_BYTES = 32;
const NO_NAME = "0".repeat(64);

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
  /**
   * For how many milliseconds it has answered with the administrative states, dials and given weights that it answers with now; Infinity where
   * it never has with others. Of an edge that does not say so, 0: since just now, as far as is known.
   */
  readonly unmovedMs: number;
}

/** First message of an edge. */
export interface Hello extends Position {
  readonly protocol: number;
  /** Of the software. */
  readonly version: string;
  /** Sections may be sent to it that it has not asked for. */
  readonly takesSections: boolean;
  /** What makes them may shift rows; see `isShifted`. */
  readonly takesShifts: boolean;
  /** It takes leases of what fenced panels govern, and is told of routing controls. */
  readonly takesLeases: boolean;
  /** Where it answers DNS, as `ADDRESS:PORT`; an address may stand for all of its host. */
  readonly dns: readonly string[];
}

/** A section that a revision brings, sent ahead of the manifest. */
export interface SentSection {
  /** The SHA-256 of its bytes, 64 hex digits. */
  readonly name: string;
  /** The section that it is made of; undefined for none. */
  readonly base: string | undefined;
  /** See `applySectionDelta`. */
  readonly delta: Uint8Array;
}

/** Every slot of a revision. Those of pool epochs are each edge's own. */
export interface SlotTable extends Position {
  readonly slots: Uint32Array;
}

/** Slots that begin as those of the revision before, by key, and as the snapshot has them where that has none. */
export interface CarriedSlots extends Position {
  /** What they are carried over from, of the same epoch: who has no more and no less of that can do it. */
  readonly from: { readonly revision: number; readonly sequence: number };
  /** Those that are not as that gives them. */
  readonly changes: readonly { readonly key: bigint; readonly value: number }[];
}

/** What one change set changed. */
export interface SlotChanges extends Position {
  readonly changes: readonly { readonly key: bigint; readonly value: number }[];
}

export function encodeHello(hello: Hello): Uint8Array {
  const { protocol, version, epoch, revision, sequence } = hello;
  const { takesSections, takesShifts, takesLeases } = hello;
  const text = JSON.stringify({
    ...{ protocol, version, epoch, revision, sequence },
    ...{ takesSections, takesShifts, takesLeases },
    dns: hello.dns.slice(0, DNS_MAX),
  });
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
  const takesSections = member("takesSections") === true;
  return {
    protocol,
    version,
    epoch,
    revision,
    sequence,
    takesSections,
    takesShifts: member("takesShifts") === true,
    takesLeases: member("takesLeases") === true,
    dns: addresses(member("dns")),
  };
}

/** What is not as it should be is left out: nothing but what is shown depends on it. */
function addresses(value: unknown): string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value.slice(0, DNS_MAX) : [];
  return all.flatMap((each) =>
    typeof each === "string" && each.length <= ADDRESS_LENGTH_MAX ? each : [],
  );
}

/** What control takes besides, by the header with which it takes an edge; `offered` is as `headers[TAKES_HEADER]`. */
export function isTaken(offered: string | readonly string[] | undefined, what: string): boolean {
  const text = typeof offered === "string" ? offered : (offered?.join(",") ?? "");
  return text.split(",").some((each) => each.trim() === what);
}

/** `takesUnmoved`: where control has said that it takes that. */
export function encodeAcknowledgement(served: Acknowledgement, takesUnmoved: boolean): Uint8Array {
  const { hash, unmovedMs, ...position } = served;
  const payload = new Uint8Array(
    takesUnmoved ? ACKNOWLEDGEMENT_BYTES : SHORT_ACKNOWLEDGEMENT_BYTES,
  );
  writePosition(new DataView(payload.buffer), position);
  payload.set(Buffer.from(hash, "hex").subarray(0, UNMOVED_AT - HASH_AT), HASH_AT);
  const ms = unmovedMs === Infinity ? ALWAYS : Math.min(Math.max(0, unmovedMs), ALWAYS - 1);
  if (takesUnmoved) viewOf(payload).setUint32(UNMOVED_AT, ms, true);
  return encodeFrame({ kind: FrameKind.acknowledgement, payload });
}

export function decodeAcknowledgement(payload: Uint8Array): Acknowledgement | undefined {
  const isShort = payload.length === SHORT_ACKNOWLEDGEMENT_BYTES;
  if (!isShort && payload.length !== ACKNOWLEDGEMENT_BYTES) return undefined;
  const position = readPosition(viewOf(payload));
  if (position === undefined) return undefined;
  const ms = isShort ? 0 : viewOf(payload).getUint32(UNMOVED_AT, true);
  return {
    ...position,
    hash: Buffer.from(payload.subarray(HASH_AT, UNMOVED_AT)).toString("hex"),
    unmovedMs: ms === ALWAYS ? Infinity : ms,
  };
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
  // As they lie in memory (little-endian hosts only, as Node's all are).
  payload.set(new Uint8Array(slots.buffer, slots.byteOffset, slots.byteLength), HEADER_BYTES);
  return encodeFrame({ kind: FrameKind.table, payload });
}

export function decodeTable(payload: Uint8Array): SlotTable | undefined {
  const count = countedEntries(payload, 4);
  if (count === undefined) return undefined;
  const view = viewOf(payload);
  const position = readPosition(view);
  if (position === undefined) return undefined;
  const slots = new Uint32Array(count);
  new Uint8Array(slots.buffer).set(payload.subarray(HEADER_BYTES));
  return { ...position, slots };
}

export function encodeChanges(set: SlotChanges): Uint8Array {
  return encodeFrame({ kind: FrameKind.changes, payload: withChanges(set, HEADER_BYTES) });
}

/** As `encodeChanges`, of keys and values in columns. */
export function encodeChangeColumns(
  position: Position,
  keys: BigUint64Array,
  values: Uint32Array,
): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + keys.length * CHANGE_BYTES);
  const view = viewOf(payload);
  writePosition(view, position);
  view.setUint32(COUNT_AT, keys.length, true);
  // By halves, as a bigint for each would be garbage.
  const halves = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2);
  for (let index = 0; index < keys.length; index++) {
    const at = HEADER_BYTES + index * CHANGE_BYTES;
    view.setUint32(at, halves[index * 2] ?? 0, true);
    view.setUint32(at + 4, halves[index * 2 + 1] ?? 0, true);
    view.setUint32(at + 8, values[index] ?? 0, true);
  }
  return encodeFrame({ kind: FrameKind.changes, payload });
}

export function decodeChanges(payload: Uint8Array): SlotChanges | undefined {
  const count = countedEntries(payload, CHANGE_BYTES);
  if (count === undefined) return undefined;
  const position = readPosition(viewOf(payload));
  return position && { ...position, changes: changesAt(payload, HEADER_BYTES, count) };
}

export function encodeCarried({ from, ...set }: CarriedSlots): Uint8Array {
  const payload = withChanges(set, HEADER_BYTES + FROM_BYTES);
  const view = viewOf(payload);
  view.setFloat64(HEADER_BYTES, from.revision, true);
  view.setUint32(HEADER_BYTES + 8, from.sequence, true);
  return encodeFrame({ kind: FrameKind.carried, payload });
}

export function decodeCarried(payload: Uint8Array): CarriedSlots | undefined {
  const count = countedEntries(payload, CHANGE_BYTES, FROM_BYTES);
  if (count === undefined || count > CARRIED_CHANGES_MAX) return undefined;
  const view = viewOf(payload);
  const position = readPosition(view);
  const revision = view.getFloat64(HEADER_BYTES, true);
  if (position === undefined || !isCount(revision)) return undefined;
  const from = { revision, sequence: view.getUint32(HEADER_BYTES + 8, true) };
  return { ...position, from, changes: changesAt(payload, HEADER_BYTES + FROM_BYTES, count) };
}

/** A payload with changes from `at` on. */
function withChanges({ changes, ...position }: SlotChanges, at: number): Uint8Array {
  const payload = new Uint8Array(at + changes.length * CHANGE_BYTES);
  const view = viewOf(payload);
  writePosition(view, position);
  view.setUint32(COUNT_AT, changes.length, true);
  for (const [index, { key, value }] of changes.entries()) {
    view.setBigUint64(at + index * CHANGE_BYTES, key, true);
    view.setUint32(at + index * CHANGE_BYTES + 8, value, true);
  }
  return payload;
}

function changesAt(payload: Uint8Array, start: number, count: number): SlotChanges["changes"] {
  const view = viewOf(payload);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * CHANGE_BYTES;
    return { key: view.getBigUint64(at, true), value: view.getUint32(at + 8, true) };
  });
}

export function encodeSentSection({ name, base, delta }: SentSection): Uint8Array {
  const payload = new Uint8Array(2 * NAME_BYTES + delta.length);
  payload.set(Buffer.from(name, "hex"));
  if (base !== undefined) payload.set(Buffer.from(base, "hex"), NAME_BYTES);
  payload.set(delta, 2 * NAME_BYTES);
  return encodeFrame({ kind: FrameKind.section, payload });
}

export function decodeSentSection(payload: Uint8Array): SentSection | undefined {
  if (payload.length < 2 * NAME_BYTES) return undefined;
  const nameAt = (at: number): string =>
    Buffer.from(payload.subarray(at, at + NAME_BYTES)).toString("hex");
  const base = nameAt(NAME_BYTES);
  return {
    name: nameAt(0),
    base: base === NO_NAME ? undefined : base,
    delta: payload.subarray(2 * NAME_BYTES),
  };
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
function countedEntries(
  payload: Uint8Array,
  entryBytes: number,
  fixedBytes: number = 0,
): number | undefined {
  const start = HEADER_BYTES + fixedBytes;
  if (payload.length < start) return undefined;
  const count = viewOf(payload).getUint32(COUNT_AT, true);
  return payload.length === start + count * entryBytes ? count : undefined;
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

/** Says that a primary has sent NOTIFY for a secondary zone. */
export function encodeNotified(zone: string): Uint8Array {
  return encodeFrame({ kind: FrameKind.notified, payload: new TextEncoder().encode(zone) });
}

/** The origin of the zone; undefined for no text of printable ASCII. */
export function decodeNotified(payload: Uint8Array): string | undefined {
  const isText = payload.length > 0 && payload.every((byte) => byte > 0x20 && byte < 0x7f);
  return isText ? new TextDecoder().decode(payload) : undefined;
}
