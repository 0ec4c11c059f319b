// SPDX-License-Identifier: Apache-2.0

// Who may ask a zone. It travels in the zone's section as text, and is read when the section is loaded; a zone that anybody may ask has none.

import { PrefixList } from "../location/prefix-list.ts";
import type { Section } from "../section.ts";
import { isRule, type TransferRule } from "./transfer-settings.ts";
import { ZoneTableId } from "./zone-format.ts";

interface AccessRule {
  /** Undefined is everyone. */
  readonly clients: PrefixList | undefined;
  readonly key: string | undefined;
}

/** The rules of one zone: whoever fits one may ask. */
export class QueryAccess {
  readonly #rules: readonly AccessRule[];

  /** Throws a TypeError where a text is no prefix. */
  constructor(rules: readonly TransferRule[]) {
    this.#rules = rules.map(({ clients, key }) => ({
      clients: clients === undefined ? undefined : new PrefixList(clients),
      key,
    }));
  }

  /** Whether a client may ask: its address, 4 or 16 bytes at `source[start]`, and the name of the key that it signed with, if any. */
  allows(source: Uint8Array, start: number, family: number, key: string | undefined): boolean {
    for (const rule of this.#rules) {
      if (rule.key !== undefined && rule.key !== key) continue;
      if (rule.clients === undefined || rule.clients.contains(source, start, family)) return true;
    }
    return false;
  }
}

/** Rules as a zone section holds them. */
export function encodeQueryAccess(rules: readonly TransferRule[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rules));
}

/** The rules in a zone section; undefined where anybody may ask, and none that anybody fits where they are not understood. */
export function readQueryAccess(section: Section): QueryAccess | undefined {
  const bytes = queryAccessBytes(section);
  if (bytes === undefined) return undefined;
  try {
    const raw: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return new QueryAccess(Array.isArray(raw) && raw.every(isRule) ? raw : []);
  } catch {
    return new QueryAccess([]);
  }
}

/** A copy of the rules' bytes in a zone section. */
export function queryAccessBytes(section: Section): Uint8Array | undefined {
  const { offset, count } = section.table(ZoneTableId.queryAccess);
  return count === 0 ? undefined : Uint8Array.from(section.bytes.subarray(offset, offset + count));
}
