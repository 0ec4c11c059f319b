// SPDX-License-Identifier: Apache-2.0

// Whether a moment lies within windows of time, as clocks of their time zone show it.

import { weekDays, type ChangeWindows } from "@meridian/model";

type Window = ChangeWindows["allowed"][number];

/** Why nothing may be done at `nowMs`, in words; undefined where it may. */
export function closedBy(windows: ChangeWindows, nowMs: number): string | undefined {
  const now = clockOf(windows.timeZone, nowMs);
  const { allowed, blocked, blockedDates, timeZone } = windows;
  const nowText = `now it is ${now.day} ${now.date} ${timeOf(now.minute)} ${timeZone}`;
  if (blockedDates.includes(now.date)) return `${now.date} is blocked; ${nowText}`;
  const inside = blocked.find((each) => isWithin(each, now));
  if (inside !== undefined) return `${textOf(inside)} is blocked; ${nowText}`;
  if (allowed.length === 0 || allowed.some((each) => isWithin(each, now))) return undefined;
  return `only ${allowed.map(textOf).join(" or ")} is allowed; ${nowText}`;
}

/** What a clock on a wall shows. */
interface WallClock {
  readonly day: (typeof weekDays)[number];
  readonly date: string;
  /** Of the day. */
  readonly minute: number;
}

function clockOf(timeZone: string, nowMs: number): WallClock {
  const parts = new Intl.DateTimeFormat("en-US", {
    ...{ timeZone, weekday: "short", year: "numeric", month: "2-digit", day: "2-digit" },
    ...{ hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  }).formatToParts(nowMs);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? "";
  const short = part("weekday").toLowerCase();
  return {
    day: weekDays.find((each) => each === short) ?? "mon",
    date: `${part("year")}-${part("month")}-${part("day")}`,
    minute: Number(part("hour")) * 60 + Number(part("minute")),
  };
}

/** A window belongs to the day on which it begins, and may end on the next one. */
function isWithin({ days, from, to }: Window, { day, minute }: WallClock): boolean {
  const [begins, ends] = [minuteOf(from), minuteOf(to)];
  const before = weekDays[(weekDays.indexOf(day) + weekDays.length - 1) % weekDays.length] ?? day;
  if (begins < ends) return days.includes(day) && minute >= begins && minute < ends;
  return (days.includes(day) && minute >= begins) || (days.includes(before) && minute < ends);
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

function timeOf(minute: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

function textOf({ days, from, to }: Window): string {
  return `${days.length === weekDays.length ? "every day" : days.join(" ")} ${from} to ${to}`;
}
