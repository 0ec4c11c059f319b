// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { recoveryStepSchema } from "@meridian/model";
import { doStep, outsideWork, stepKey, type StepContext } from "../recovery/outside-steps.ts";
import type { Outcome } from "../recovery/run-advance.ts";
import type { RecoveryRun, RunStep } from "../recovery/run-state.ts";
import { ServedTraffic } from "../recovery/served-traffic.ts";
import { Secrets } from "../secrets/secrets.ts";

/** Does steps as a run of plan `default/p` would. */
export interface StepScene {
  readonly folder: string;
  readonly does: (step: RunStep, signal?: AbortSignal) => Promise<Outcome>;
}

/** Secrets of its namespace are in `FOLDER/default`. */
export function stepScene(t: TestContext): StepScene {
  const folder = mkdtempSync(join(tmpdir(), "meridian-steps-"));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "default"));
  const nothing = { model: undefined, world: undefined };
  const served = {
    ...nothing,
    get overlay(): never {
      throw new TypeError("Nothing is served");
    },
  };
  const work = outsideWork(new ServedTraffic(served), new Secrets(folder, {}), Date.now);
  const does: StepScene["does"] = (step, signal = AbortSignal.timeout(60_000)) => {
    const run = runOf(step);
    const context: StepContext = { run, step, key: stepKey(run, step), signal, report: () => {} };
    return doStep(work, context);
  };
  return { folder, does };
}

function runOf(step: RunStep): RecoveryRun {
  return {
    ...{ id: "0000000a", namespace: "default", plan: "p", mode: "graceful", state: "running" },
    ...{ isRollingBack: false, actor: "t", reason: "t", createdAtMs: 0, sinceMs: 0 },
    ...{ detectedAtMs: 0, isMeasured: false, names: [], touches: [], steps: [step], events: [] },
  };
}

/** A step that is running. */
export function stepOf(what: object, more: Partial<RunStep> = {}): RunStep {
  const fresh = { name: "s", after: [], state: "running", tries: 0, detail: "", memo: {} } as const;
  return { ...fresh, what: recoveryStepSchema.parse(what), ...more };
}
