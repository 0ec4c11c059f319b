// SPDX-License-Identifier: Apache-2.0

// What clients do about a shift, in words: the same for `get shifts`, `describe` and `drain --wait`.

import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "./api-client.ts";
import type { RunningShift } from "./api-requests.ts";
import { CommandError, ExitCode } from "./exit-code.ts";
import { print } from "./output.ts";
import { Progress } from "./progress.ts";

const LOOK_MS = 1000;

/** In one line, as in `draining, no answer names it since 10:00:02Z, caches are empty from 10:00:32Z at the earliest`. */
export function progressText({ progress, percent }: RunningShift): string {
  if (progress === undefined) return "no edge has said what it answers";
  const { state, share, answers, lastAnswerMs, emptyAtMs, reported, silentEdges } = progress;
  if (state === "announced") return state;
  const parts: string[] = [state];
  if (share !== undefined) parts.push(`${(share * 100).toFixed(1)} % of answers name it`);
  else if (answers === 0) parts.push("nobody asks");
  if (percent >= 100 && lastAnswerMs !== undefined) parts.push(`last at ${timeText(lastAnswerMs)}`);
  if (emptyAtMs !== undefined && (state === "answered" || state === "draining"))
    parts.push(`caches have nothing of before from ${timeText(emptyAtMs)} at the earliest`);
  if (reported !== undefined) parts.push(reportedText(reported));
  if (silentEdges > 0) parts.push(`${silentEdges} edges are not heard of`);
  return parts.join(", ");
}

function reportedText({
  endpoints,
  load,
  traffic,
}: NonNullable<NonNullable<RunningShift["progress"]>["reported"]>): string {
  const share = `${(load * 100).toFixed(1)} % of capacity`;
  const amount = traffic === undefined ? share : `${Number(traffic.toPrecision(4))}, ${share}`;
  return `${endpoints} endpoints report ${amount}`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19) + "Z";
}

/** Shows how clients follow shifts until all have; throws where one ends before. */
export async function followDrains(
  api: ApiClient,
  ids: readonly string[],
  isJson: boolean,
): Promise<readonly RunningShift[]> {
  const line = new Progress();
  const told = new Map<string, string>();
  try {
    for (;;) {
      const all = await api.list("/v1/shifts");
      const shifts = ids.flatMap((id) => all.find((shift) => shift.id === id) ?? []);
      const gone = ids.length - shifts.length;
      const ended = shifts.some(({ progress }) => progress?.state === "returning");
      if (gone > 0 || ended)
        throw new CommandError(ExitCode.failed, "A shift ended before clients had followed it");
      for (const shift of shifts) {
        const state = shift.progress?.state;
        if (state === undefined || told.get(shift.id) === state) continue;
        told.set(shift.id, state);
        line.close();
        if (!isJson) print(`${shift.target}: ${progressText(shift)}`);
      }
      if (shifts.every(({ progress }) => progress?.state === "drained")) return shifts;
      line.show(shifts.map((shift) => `${shift.target}: ${progressText(shift)}`).join("; "));
      await sleep(LOOK_MS);
    }
  } finally {
    line.close();
  }
}
