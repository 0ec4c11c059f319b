// SPDX-License-Identifier: Apache-2.0

// When something may be done: weekly windows in a time zone, and days on which nothing is.

import type * as z from "zod";
import { list, object, oneOf, text, textLike } from "../fields.ts";

/** As `Intl` abbreviates them in English, in lower case. */
export const weekDays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

const WINDOWS_MAX = 32;
const DATES_MAX = 64;

const weeklyWindow = object({
  days: list(oneOf(weekDays), 1, weekDays.length)
    .default([...weekDays])
    .describe("Days on which it begins."),
  from: textLike(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, "a time of day such as 09:00")
    .default("00:00")
    .describe("When it begins."),
  to: textLike(/^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$/, "a time of day such as 17:30, or 24:00")
    .default("24:00")
    .describe("When it ends; on the next day where that is not after `from`."),
});

/** The fields of a spec that bound when something may be done. */
export const changeWindows: z.ZodObject<
  {
    timeZone: z.ZodDefault<z.ZodString>;
    allowed: z.ZodDefault<z.ZodArray<typeof weeklyWindow>>;
    blocked: z.ZodDefault<z.ZodArray<typeof weeklyWindow>>;
    blockedDates: z.ZodDefault<z.ZodArray<z.ZodString>>;
  },
  z.core.$strict
> = object({
  timeZone: text(64)
    .refine(isTimeZone, { error: "a time zone such as UTC or Europe/Berlin" })
    .default("UTC")
    .describe("Of all times of day and dates here."),
  allowed: list(weeklyWindow, 0, WINDOWS_MAX)
    .default([])
    .describe("Only within one of these; at any time where there are none."),
  blocked: list(weeklyWindow, 0, WINDOWS_MAX)
    .default([])
    .describe("Not within any of these, also where that is allowed above."),
  blockedDates: list(
    textLike(/^[0-9]{4}-[01][0-9]-[0-3][0-9]$/, "a date such as 2026-12-24"),
    0,
    DATES_MAX,
  )
    .default([])
    .describe("Not on these days."),
});

export type ChangeWindows = z.output<typeof changeWindows>;

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
