// SPDX-License-Identifier: Apache-2.0

// Headers of probes whose values are secrets. Plans name them, on disk and on their way; the values are put in where it is probed, in
// memory alone. What is probed with a secret that is not here is not probed: it would fail for that alone.

import type { CheckSpec, ProbeTarget } from "./check.ts";
import type { ProbePlan } from "./probe-plan.ts";
import type { Probe } from "./probe.ts";

/** Values by what plans call them. */
export type Secrets = ReadonlyMap<string, string>;

/** What a header may hold (RFC 9110 §5.5): nothing that would end it. */
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]+$/;

/** The secrets that a plan names. */
export function secretsIn({ targets }: Pick<ProbePlan, "targets">): Set<string> {
  const checks = new Set(targets.map(({ check }) => check));
  return new Set([...checks].flatMap((check) => Object.values(secretHeadersOf(check))));
}

/** The plan with the values of those that are here; checks that were one object are. */
export function withSecrets(plan: ProbePlan, secrets: Secrets): ProbePlan {
  const filled = new Map<CheckSpec, CheckSpec>();
  const targets = plan.targets.map((target): ProbeTarget => {
    if (Object.keys(secretHeadersOf(target.check)).length === 0) return target;
    const check = filled.get(target.check) ?? checkWith(target.check, secrets);
    filled.set(target.check, check);
    return { ...target, check };
  });
  return filled.size === 0 ? plan : { ...plan, targets };
}

/** In place of a probe that lacks a secret; undefined where it lacks none. */
export function heldProbe(check: CheckSpec): Probe | undefined {
  const [lacking] = Object.values(secretHeadersOf(check));
  if (lacking === undefined) return undefined;
  const reason = `the secret ${lacking} is not here`;
  return { run: (done) => done({ outcome: "hold", reason }), cancel() {}, close() {} };
}

function checkWith(check: CheckSpec, secrets: Secrets): CheckSpec {
  if (check.kind !== "http" && check.kind !== "https") return check;
  const { secretHeaders = {}, ...rest } = check;
  const found = Object.entries(secretHeaders).map(([header, name]) => [header, secrets.get(name)]);
  const isWhole = found.every(([, value]) => value !== undefined && VALUE.test(value));
  if (!isWhole) return check;
  const values = Object.fromEntries(found.map(([header = "", value = ""]) => [header, value]));
  return { ...rest, headers: { ...rest.headers, ...values } };
}

function secretHeadersOf(check: CheckSpec): Readonly<Record<string, string>> {
  return check.kind === "http" || check.kind === "https" ? (check.secretHeaders ?? {}) : {};
}
