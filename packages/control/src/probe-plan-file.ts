// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProbePlan } from "@meridian/health";
import { writeDurably } from "@meridian/snapshot/disk";

const PROBES_FILE = "probes.json";

/** Keeps what is probed in the state folder, so that a start with broken files goes on judging. */
export function writeProbePlan(stateFolder: string, plan: ProbePlan): void {
  writeDurably(join(stateFolder, PROBES_FILE), `${JSON.stringify(plan)}\n`);
}

export function readProbePlan(stateFolder: string): ProbePlan | undefined {
  try {
    const raw: unknown = JSON.parse(readFileSync(join(stateFolder, PROBES_FILE), "utf8"));
    return isProbePlan(raw) ? raw : undefined;
  } catch {
    return undefined;
  }
}

function isProbePlan(raw: unknown): raw is ProbePlan {
  return (
    typeof raw === "object" &&
    raw !== null &&
    "targets" in raw &&
    Array.isArray(raw.targets) &&
    "rules" in raw &&
    Array.isArray(raw.rules)
  );
}
