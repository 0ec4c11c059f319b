// SPDX-License-Identifier: Apache-2.0

// What a vantage says of the endpoints it probes. Endpoints are named by their place in an order that both sides work out from the same
// plan, and `print` says which one it is. A table holds all of them and has as many bytes whatever they are; changes come between two
// tables. Numbers are little-endian.
//
//   u8 form (0 table, 1 changes)   u8 suspicion   u16 0   u32 sequence   f64 session   f64 sent at, ms   u64 print   u32 count
//   table    count × u8 opinion   count × u8 reason   count × u32 since, wall seconds   64 × { u8 bytes, 63 × u8 text }
//   changes  count × { u32 place   u32 since   u8 opinion   u8 reason   u8 bytes   text }

/** How sure a vantage is of itself: `frozen` and `believing` mean that everything it probes has failed. */
export const Suspicion = { trusting: 0, frozen: 1, believing: 2 } as const;
/** Different reasons in one table; the first stands for all that have found no place. */
export const REPORT_REASONS = 64;
/** Bytes of a reason; longer ones are cut. */
export const REPORT_REASON_BYTES = 63;

const HEADER_BYTES = 36;
const ENTRY_BYTES = 6;
const CHANGE_BYTES = 11;
const REASONS_BYTES: number = REPORT_REASONS * (REPORT_REASON_BYTES + 1);
const OPINIONS = 3;

/** What every report begins with. */
export interface ReportHeader {
  readonly suspicion: number;
  /** Counts the reports of a session, from 1. */
  readonly sequence: number;
  /** Of the process that reports: another one counts anew. */
  readonly session: number;
  /** On a clock of the vantage that never goes back. */
  readonly sentMs: number;
  /** Of the order that places belong to. */
  readonly print: bigint;
}

/** All that a vantage says. Opinions are 0 unknown, 1 healthy, 2 unhealthy, as verdicts of slots. */
export interface ReportTable extends ReportHeader {
  readonly form: "table";
  readonly opinions: Uint8Array;
  /** Index in `texts`. */
  readonly reasons: Uint8Array;
  readonly sinceSeconds: Uint32Array;
  readonly texts: readonly string[];
}

/** An opinion that has changed. */
export interface ReportChange {
  readonly place: number;
  readonly sinceSeconds: number;
  readonly opinion: number;
  readonly reason: number;
  readonly text: string;
}

/** What has changed since the report before. */
export interface ReportChanges extends ReportHeader {
  readonly form: "changes";
  readonly changes: readonly ReportChange[];
}

export type Report = ReportTable | ReportChanges;

/** Bytes of a table of `count` endpoints. */
export function reportTableBytes(count: number): number {
  return HEADER_BYTES + count * ENTRY_BYTES + REASONS_BYTES;
}

/** The payload of a report. */
export function encodeReport(report: Report): Uint8Array {
  return report.form === "table" ? encodeTable(report) : encodeChanges(report);
}

/** Undefined for bytes that are no report. */
export function decodeReport(payload: Uint8Array): Report | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const header: ReportHeader = {
    suspicion: view.getUint8(1),
    sequence: view.getUint32(4, true),
    session: view.getFloat64(8, true),
    sentMs: view.getFloat64(16, true),
    print: view.getBigUint64(24, true),
  };
  const count = view.getUint32(32, true);
  const isSane =
    header.suspicion <= Suspicion.believing &&
    Number.isFinite(header.session) &&
    Number.isFinite(header.sentMs);
  if (!isSane) return undefined;
  switch (view.getUint8(0)) {
    case 0:
      return decodeTable(payload, view, header, count);
    case 1:
      return decodeChanges(payload, view, header, count);
    default:
      return undefined;
  }
}

function encodeTable(table: ReportTable): Uint8Array {
  const count = table.opinions.length;
  const payload = new Uint8Array(reportTableBytes(count));
  const view = new DataView(payload.buffer);
  writeHeader(view, 0, table, count);
  payload.set(table.opinions, HEADER_BYTES);
  payload.set(table.reasons, HEADER_BYTES + count);
  const since = HEADER_BYTES + count * 2;
  for (let at = 0; at < count; at++)
    view.setUint32(since + at * 4, table.sinceSeconds[at] ?? 0, true);
  let at = since + count * 4;
  for (const text of table.texts.slice(0, REPORT_REASONS)) {
    payload[at] = encodeText(text, payload.subarray(at + 1, at + 1 + REPORT_REASON_BYTES));
    at += 1 + REPORT_REASON_BYTES;
  }
  return payload;
}

function decodeTable(
  payload: Uint8Array,
  view: DataView,
  header: ReportHeader,
  count: number,
): ReportTable | undefined {
  if (payload.length !== reportTableBytes(count)) return undefined;
  const opinions = payload.slice(HEADER_BYTES, HEADER_BYTES + count);
  const reasons = payload.slice(HEADER_BYTES + count, HEADER_BYTES + count * 2);
  const since = HEADER_BYTES + count * 2;
  const sinceSeconds = new Uint32Array(count);
  for (let at = 0; at < count; at++) {
    if ((opinions[at] ?? 0) >= OPINIONS || (reasons[at] ?? 0) >= REPORT_REASONS) return undefined;
    sinceSeconds[at] = view.getUint32(since + at * 4, true);
  }
  const texts: string[] = [];
  for (let at = since + count * 4; at < payload.length; at += 1 + REPORT_REASON_BYTES) {
    const bytes = payload[at] ?? 0;
    if (bytes > REPORT_REASON_BYTES) return undefined;
    texts.push(decodeText(payload.subarray(at + 1, at + 1 + bytes)));
  }
  return { ...header, form: "table", opinions, reasons, sinceSeconds, texts };
}

function encodeChanges(report: ReportChanges): Uint8Array {
  const { changes } = report;
  const room = HEADER_BYTES + changes.length * (CHANGE_BYTES + REPORT_REASON_BYTES);
  const payload = new Uint8Array(room);
  const view = new DataView(payload.buffer);
  writeHeader(view, 1, report, changes.length);
  let at = HEADER_BYTES;
  for (const { place, sinceSeconds, opinion, reason, text } of changes) {
    view.setUint32(at, place, true);
    view.setUint32(at + 4, sinceSeconds, true);
    view.setUint8(at + 8, opinion);
    view.setUint8(at + 9, reason);
    const start = at + CHANGE_BYTES;
    const bytes = encodeText(text, payload.subarray(start, start + REPORT_REASON_BYTES));
    view.setUint8(at + 10, bytes);
    at = start + bytes;
  }
  return payload.subarray(0, at);
}

function decodeChanges(
  payload: Uint8Array,
  view: DataView,
  header: ReportHeader,
  count: number,
): ReportChanges | undefined {
  const changes: ReportChange[] = [];
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    if (at + CHANGE_BYTES > payload.length) return undefined;
    const start = at + CHANGE_BYTES;
    const end = start + view.getUint8(at + 10);
    const change = {
      place: view.getUint32(at, true),
      sinceSeconds: view.getUint32(at + 4, true),
      opinion: view.getUint8(at + 8),
      reason: view.getUint8(at + 9),
      text: decodeText(payload.subarray(start, end)),
    };
    if (end > payload.length || change.opinion >= OPINIONS || change.reason >= REPORT_REASONS)
      return undefined;
    changes.push(change);
    at = end;
  }
  return at === payload.length ? { ...header, form: "changes", changes } : undefined;
}

function writeHeader(view: DataView, form: number, header: ReportHeader, count: number): void {
  view.setUint8(0, form);
  view.setUint8(1, header.suspicion);
  view.setUint32(4, header.sequence, true);
  view.setFloat64(8, header.session, true);
  view.setFloat64(16, header.sentMs, true);
  view.setBigUint64(24, header.print, true);
  view.setUint32(32, count, true);
}

/** Never a part of a character. */
function encodeText(text: string, into: Uint8Array): number {
  return new TextEncoder().encodeInto(text, into).written;
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
