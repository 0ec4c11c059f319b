// SPDX-License-Identifier: Apache-2.0

// A plan as it is kept on disk, and as vantages fetch it.

import { isPackedTargets, packTargets, unpackTargets } from "./packed-plan.ts";
import type { ProbePlan } from "./probe-plan.ts";

export function probePlanText({ targets, rules, latches = [] }: ProbePlan): string {
  return `${JSON.stringify({ targets: packTargets(targets), rules, latches })}\n`;
}

/** The plan in a text that `probePlanText` made; undefined for any other. */
export function probePlanIn(text: string): ProbePlan | undefined {
  const raw = parsed(text);
  const [targets, rules, latches] = ["targets", "rules", "latches"].map((name): unknown =>
    typeof raw === "object" && raw !== null ? Reflect.get(raw, name) : undefined,
  );
  if (!isPackedTargets(targets) || !Array.isArray(rules) || !Array.isArray(latches))
    return undefined;
  return { targets: unpackTargets(targets), rules, latches };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
