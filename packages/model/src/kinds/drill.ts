// SPDX-License-Identifier: Apache-2.0

// A rehearsal: traffic leaves a target for a while, again and again, so that it is known beforehand whether what remains carries it (AWS zonal
// autoshift: practice runs).

import type * as z from "zod";
import { flag, mapOf, numberBetween, object, positiveDuration, text, textLike } from "../fields.ts";
import { changeWindows } from "./change-windows.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { prometheusSource } from "./prometheus-source.ts";
import { parseShiftLength, targetForm, targetWanted } from "./shift.ts";

const alarm = object({
  source: prometheusSource.describe("The Prometheus server that is asked."),
  query: text(8192).describe("An expression that gives one number."),
  min: numberBetween(-Number.MAX_VALUE, Number.MAX_VALUE)
    .optional()
    .describe("It is red below this."),
  max: numberBetween(-Number.MAX_VALUE, Number.MAX_VALUE)
    .optional()
    .describe("It is red above this."),
}).refine(({ min, max }) => min !== undefined || max !== undefined, { error: "min, max or both" });

/** Scheduled practice of losing a target. */
export const drillSchema = document(
  "Drill",
  namespacedMetadata,
  object({
    target: textLike(targetForm, targetWanted).describe("What traffic leaves."),
    percent: numberBetween(1, 100).default(100).describe("Share that leaves, 1 to 100 %."),
    lasts: positiveDuration()
      .refine((value) => "ms" in parseShiftLength(value), { error: "at most 72h" })
      .default("30m")
      .describe("How long a run lasts, at most 72h."),
    every: positiveDuration()
      .default("168h")
      .describe(
        "How long after a run began, or the drill was applied, the next one is due; it begins when windows and alarms allow.",
      ),
    windows: changeWindows.optional().describe("When a run may begin; at any time unless given."),
    blockingAlarms: mapOf(alarm)
      .default({})
      .describe("No run begins while one of these is red, and one that is red interrupts a run."),
    outcomeAlarms: mapOf(alarm)
      .default({})
      .describe("One of these that is red ends a run, which has failed then."),
    paused: flag().default(false).describe("Whether none begins by itself."),
  }),
);

export type DrillDocument = z.output<typeof drillSchema>;
export type DrillAlarm = DrillDocument["spec"]["outcomeAlarms"][string];
