// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isPackedTargets, packTargets, unpackTargets, type ProbePlan } from "@meridian/health";
import { writeDurably } from "@meridian/snapshot/disk";

const PROBES_FILE = "probes.json";

/** Keeps what is probed in the state folder, so that a start with broken files goes on judging. */
export function writeProbePlan(stateFolder: string, text: string): void {
  writeDurably(join(stateFolder, PROBES_FILE), text);
}

/** What is kept of a plan. */
export function probePlanText({ targets, rules }: ProbePlan): string {
  return `${JSON.stringify({ targets: packTargets(targets), rules })}\n`;
}

export function readProbePlan(stateFolder: string): ProbePlan | undefined {
  try {
    const raw: unknown = JSON.parse(readFileSync(join(stateFolder, PROBES_FILE), "utf8"));
    return probePlanOf(raw);
  } catch {
    return undefined;
  }
}

function probePlanOf(raw: unknown): ProbePlan | undefined {
  if (typeof raw !== "object" || raw === null || !("targets" in raw) || !("rules" in raw))
    return undefined;
  const { targets, rules } = raw;
  if (!isPackedTargets(targets) || !Array.isArray(rules)) return undefined;
  return { targets: unpackTargets(targets), rules };
}
