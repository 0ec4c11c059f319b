// SPDX-License-Identifier: Apache-2.0

// What is kept of a drill, as the store has it.

import * as z from "zod";
import type { DrillRecord } from "./drill-step.ts";

const text = z.string();
const ms = z.number();
const who = z.object({ by: text, atMs: ms });
const run = z.object({
  id: text,
  by: text,
  startedAtMs: ms,
  endedAtMs: ms.exactOptional(),
  outcome: z.enum(["succeeded", "failed", "interrupted", "capacity check failed"]).exactOptional(),
  reason: text.exactOptional(),
});
const record: z.ZodType<DrillRecord> = z.object({
  uid: text,
  sinceMs: ms,
  current: run.extend({ stage: z.enum(["begun", "shifted", "ending"]) }).exactOptional(),
  wanted: who.exactOptional(),
  canceled: z.object({ by: text, reason: text }).exactOptional(),
  waits: text.exactOptional(),
  past: z.array(run),
});

/** Reads a record; undefined for something else, such as one of a later version: then a drill begins anew, and a shift of it expires. */
export function parseDrillRecord(json: string): DrillRecord | undefined {
  const result = record.safeParse(JSON.parse(json));
  return result.success ? result.data : undefined;
}
