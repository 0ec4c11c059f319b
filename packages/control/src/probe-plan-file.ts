// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { probePlanIn, type ProbePlan } from "@meridian/health";
import { writeDurably } from "@meridian/snapshot/disk";

const PROBES_FILE = "probes.json";

/** Keeps what is probed in the state folder, so that a start with broken files goes on judging. */
export function writeProbePlan(stateFolder: string, text: string): void {
  writeDurably(probePlanPath(stateFolder), text);
}

/** Where it is kept; vantages are sent the same file. */
export function probePlanPath(stateFolder: string): string {
  return join(stateFolder, PROBES_FILE);
}

export function readProbePlan(stateFolder: string): ProbePlan | undefined {
  try {
    return probePlanIn(readFileSync(probePlanPath(stateFolder), "utf8"));
  } catch {
    return undefined;
  }
}
