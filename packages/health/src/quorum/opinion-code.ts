// SPDX-License-Identifier: Apache-2.0
import { Verdict as VerdictCode } from "@meridian/snapshot";
import type { Verdict } from "../check.ts";

const WORDS: readonly Verdict[] = ["unknown", "healthy", "unhealthy"];

export function opinionCode(verdict: Verdict): number {
  return VerdictCode[verdict];
}

export function opinionWord(code: number): Verdict {
  return WORDS[code] ?? "unknown";
}
