// SPDX-License-Identifier: Apache-2.0
//
// Records as a master file that every name server reads: one line each, names whole, TTL and class stated, the SOA first (RFC 1035 §5).

import { RRType } from "./constants.ts";
import { formatRecord } from "./message-format.ts";
import { compareNames } from "./name.ts";
import type { ZoneRecord } from "./zone-record.ts";

/** The records in the order of a transfer: the SOA, then by owner in canonical order (RFC 4034 §6.1), type and data. */
export function inMasterOrder<Each extends ZoneRecord>(records: Iterable<Each>): Each[] {
  return [...records].toSorted(
    (a, b) =>
      Number(b.type === RRType.SOA) - Number(a.type === RRType.SOA) ||
      compareNames(a.owner, b.owner) ||
      a.type - b.type ||
      Buffer.compare(a.rdata, b.rdata),
  );
}

/** A whole master file. */
export function formatMasterFile(records: Iterable<ZoneRecord>): string {
  return inMasterOrder(records)
    .map((record) => `${formatRecord({ ...record, class: 1 })}\n`)
    .join("");
}
