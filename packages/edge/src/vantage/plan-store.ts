// SPDX-License-Identifier: Apache-2.0

// What this vantage probes, in its state folder: it goes on when it starts anew without a control.

import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import { probePlanIn, type ProbePlan } from "@meridian/health";
import type { PlanSection } from "@meridian/snapshot";
import { writeDurably } from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";

const FILE = "probes.json";
/** Largest plan that is taken. */
const BYTES_MAX = 512 * 1024 * 1024;

export class PlanStore {
  readonly #path: string;
  readonly #logger: EdgeLogger;

  constructor(stateFolder: string, logger: EdgeLogger) {
    this.#path = join(stateFolder, FILE);
    this.#logger = logger;
  }

  /** What is kept, with its name; undefined where there is none. */
  load(): { readonly name: string; readonly plan: ProbePlan } | undefined {
    try {
      const content = readFileSync(this.#path);
      const plan = planIn(content);
      return typeof plan === "string" ? undefined : { name: hash("sha256", content), plan };
    } catch {
      return undefined;
    }
  }

  /** The plan in these bytes, which is kept; the text says why they are not what was meant. */
  take({ name, bytes }: PlanSection, content: Uint8Array): ProbePlan | string {
    if (content.length !== bytes || hash("sha256", content) !== name)
      return `the plan is not the one that control named ${name}`;
    const plan = planIn(content);
    if (typeof plan === "string") return plan;
    try {
      writeDurably(this.#path, content);
    } catch (error) {
      this.#logger.error("Cannot keep the plan in the state folder", { reason: reasonOf(error) });
    }
    return plan;
  }

  /** Why a plan of so many bytes is not fetched; undefined where it is. */
  refusal({ bytes }: PlanSection): string | undefined {
    return bytes <= BYTES_MAX ? undefined : `the plan has ${bytes} bytes, expected ≤ ${BYTES_MAX}`;
  }
}

function planIn(content: Uint8Array): ProbePlan | string {
  return probePlanIn(new TextDecoder().decode(content)) ?? "the plan is malformed";
}
