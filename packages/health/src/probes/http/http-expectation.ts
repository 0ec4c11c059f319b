// SPDX-License-Identifier: Apache-2.0

import type { HttpFields, StatusRange } from "../../check.ts";
import { partsOf, readJsonLoad } from "../../load/json-load.ts";
import { orcaHeaderName, readOrcaLoad } from "../../load/orca.ts";
import type { LoadReading, ProbeResult } from "../../probe.ts";

// What an answer must be like, the same for HTTP/1.1 and HTTP/2: built once for each check, asked once for each answer.

/** An answer as far as a probe looks at it. */
export interface HttpAnswer {
  readonly status: number;
  /** Value of the load header, or "". */
  readonly loadHeader: string;
  /** Start of the body. */
  readonly body: Uint8Array;
}

/** Judges answers for one check. */
export class HttpExpectation {
  /** Whether the body must be read. */
  readonly wantsBody: boolean;
  /** Lower-case name of the load header, or "". */
  readonly loadHeaderName: string;
  /** Whether more of the body could only confirm an answer that passes. */
  readonly isContentWithStart: boolean;
  readonly #fields: HttpFields;
  readonly #rangesText: string;
  readonly #needle: Buffer | undefined;
  /** What the last answer of each kind was found to be, as nearly all say the same. */
  #refused: { readonly status: number; readonly result: ProbeResult } | undefined;
  #passed: { readonly status: number; readonly result: ProbeResult } | undefined;

  constructor(fields: HttpFields) {
    this.#fields = fields;
    this.#rangesText = fields.statusRanges.map(rangeText).join(",");
    this.#needle = fields.bodyContains === undefined ? undefined : Buffer.from(fields.bodyContains);
    this.wantsBody = this.#needle !== undefined || fields.load?.kind === "json";
    this.isContentWithStart =
      this.#needle !== undefined && fields.load?.kind !== "json" && !fields.keepAlive;
    this.loadHeaderName = fields.load?.kind === "orca" ? orcaHeaderName : "";
  }

  /** The verdict on one answer. */
  judge(answer: HttpAnswer): ProbeResult {
    if (!this.accepts(answer.status)) return this.#refuse(answer.status);
    if (this.#needle !== undefined && !contains(answer.body, this.#needle)) {
      const reason = `HTTP status ${answer.status}, body lacks the wanted text`;
      return { outcome: "fail", reason };
    }
    const load = this.#load(answer);
    const passed = this.#pass(answer.status);
    return load === undefined ? passed : { ...passed, load };
  }

  #refuse(status: number): ProbeResult {
    if (this.#refused?.status !== status) {
      const reason = `HTTP status ${status}, wanted ${this.#rangesText}`;
      this.#refused = { status, result: { outcome: "fail", reason } };
    }
    return this.#refused.result;
  }

  #pass(status: number): ProbeResult {
    if (this.#passed?.status !== status) {
      const reason = `HTTP status ${status}`;
      this.#passed = { status, result: { outcome: "pass", reason } };
    }
    return this.#passed.result;
  }

  /** Whether `status` is among the wanted. */
  accepts(status: number): boolean {
    for (const range of this.#fields.statusRanges) {
      if (status >= range.from && status <= range.to) return true;
    }
    return false;
  }

  #load(answer: HttpAnswer): LoadReading | undefined {
    const source = this.#fields.load;
    if (source === undefined) return undefined;
    if (source.kind === "orca") {
      const load = readOrcaLoad(answer.loadHeader, source.metric);
      return load === undefined ? undefined : { load: load / (source.full ?? 1), source: "orca" };
    }
    const load = readJsonLoad(answer.body, partsOf(source), source.full ?? 1);
    return load === undefined ? undefined : { load, source: "json" };
  }
}

function contains(body: Uint8Array, needle: Buffer): boolean {
  return Buffer.from(body.buffer, body.byteOffset, body.length).includes(needle);
}

function rangeText(range: StatusRange): string {
  return range.from === range.to ? String(range.from) : `${range.from}-${range.to}`;
}
