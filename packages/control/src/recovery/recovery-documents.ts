// SPDX-License-Identifier: Apache-2.0

// Recovery plans as the documents of a store say them, and what is refused of them when they are written.

import { parseStoreDocument, parseTarget, type RecoveryPlanDocument } from "@meridian/model";
import type { Caller } from "../access/caller.ts";
import { denied } from "../documents/change-plan.ts";
import { accessTargetOf } from "../documents/document-access.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument } from "../documents/document-text.ts";
import { RequestRefusal } from "../request-refusal.ts";
import { controlsOf } from "../routing/routing-documents.ts";
import type { Write } from "../store/store.ts";
import { stepsOfPlan, type KnownPlans } from "./run-steps.ts";

/** Documents are values: each is looked into once. */
const parsed = new WeakMap<object, RecoveryPlanDocument | undefined>();

/** Every plan. */
export function allPlans(set: DocumentSet): RecoveryPlanDocument[] {
  return [...set.ofKind("RecoveryPlan")].flatMap((stored) => {
    if (!parsed.has(stored)) {
      const result = parseStoreDocument("RecoveryPlan", plainDocument(JSON.parse(stored.text)));
      const document = "document" in result ? result.document : undefined;
      parsed.set(stored, document?.kind === "RecoveryPlan" ? document : undefined);
    }
    return parsed.get(stored) ?? [];
  });
}

/** The plans of a namespace, by name. */
export function plansOf(set: DocumentSet, namespace: string): KnownPlans {
  return new Map(
    allPlans(set)
      .filter(({ metadata }) => metadata.namespace === namespace)
      .map((plan) => [plan.metadata.name, plan]),
  );
}

/** Throws where a plan leads back to itself, names what is not there, or does what its writer may not. */
export function refuseRecovery(
  writes: readonly Write[],
  wanted: DocumentSet,
  caller: Caller,
): void {
  const touched = writes.filter(
    ({ key }) => key.kind === "RecoveryPlan" || key.kind === "RoutingControl",
  );
  for (const namespace of new Set(touched.map(({ key }) => key.namespace))) {
    const plans = plansOf(wanted, namespace);
    const panels = new Map(
      controlsOf(wanted)
        .filter(({ document }) => document.metadata.namespace === namespace)
        .map(({ document }) => [document.metadata.name, document.spec.panel]),
    );
    for (const plan of plans.values()) refusePlan(plan, plans, panels);
  }
  for (const { key, text } of touched)
    if (key.kind === "RecoveryPlan" && text !== undefined)
      refuseOthers(key.name, plansOf(wanted, key.namespace), caller);
}

function refusePlan(
  plan: RecoveryPlanDocument,
  plans: KnownPlans,
  panels: ReadonlyMap<string, string>,
): void {
  const { namespace, name } = plan.metadata;
  const shown = `RecoveryPlan/${namespace}/${name}`;
  const found = stepsOfPlan(name, plans);
  if ("problem" in found)
    throw new RequestRefusal("DOCUMENT_REFERENCED", `Cannot apply: of ${shown} ${found.problem}`);
  for (const [step, { controls }] of Object.entries(plan.spec.steps)) {
    const names = Object.keys(controls?.states ?? {});
    const field = `spec.steps.${step}.controls of ${shown}`;
    const unknown = names.find((each) => !panels.has(each));
    if (unknown !== undefined)
      throw new RequestRefusal(
        "DOCUMENT_REFERENCED",
        `Cannot apply: ${field} names what is not there, expected RoutingControl/${namespace}/${unknown}`,
      );
    if (new Set(names.map((each) => panels.get(each))).size > 1)
      throw new RequestRefusal(
        "DOCUMENT_CONFLICT",
        `Cannot apply: ${field} names controls of several panels, expected those of one`,
      );
  }
}

/** Who writes a plan has it do what he could do himself. */
function refuseOthers(name: string, plans: KnownPlans, caller: Caller): void {
  const document = plans.get(name);
  if (document === undefined) return;
  const { namespace } = document.metadata;
  const key = { kind: "RecoveryPlan", namespace, name };
  const mayRun = (plan: string): boolean =>
    caller.may("run", accessTargetOf({ ...key, name: plan }, plans.get(plan)));
  if (Object.keys(document.spec.triggers).length > 0 && !mayRun(name))
    throw denied(caller, "have triggers run", key);
  for (const { controls, shift, endShift, weights, plan } of Object.values(document.spec.steps)) {
    if (weights !== undefined && !caller.may("apply", { kind: "TrafficPolicy", namespace }))
      throw denied(
        caller,
        `change weights of TrafficPolicy/${namespace}/${weights.policy} by`,
        key,
      );
    if (plan !== undefined && !mayRun(plan.name))
      throw denied(caller, `run RecoveryPlan/${namespace}/${plan.name} by`, key);
    if (controls !== undefined && !caller.may("set", { kind: "RoutingControl", namespace }))
      throw denied(caller, "set RoutingControls by", key);
    for (const [verb, target] of [
      ["drain", shift?.target],
      ["undrain", endShift?.target],
    ] as const) {
      if (target === undefined) continue;
      const about = parseTarget(target);
      const of = about === undefined || about.kind === "site" ? "" : about.namespace;
      if (!caller.may(verb, { kind: "Shift", namespace: of }))
        throw denied(caller, `${verb} ${target} by`, key);
    }
  }
}
