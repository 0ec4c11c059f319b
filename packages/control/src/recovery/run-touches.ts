// SPDX-License-Identifier: Apache-2.0

// What a run moves, and so what no other run may move at the same time.

import type { DocumentSet } from "../documents/document-set.ts";
import { controlsOf } from "../routing/routing-documents.ts";
import { isOver, type RecoveryRun } from "./run-state.ts";
import type { ServedTraffic } from "./served-traffic.ts";

/** What a run moves, endpoint by endpoint. */
export function touchesOf(
  { namespace, plan, steps }: Pick<RecoveryRun, "namespace" | "plan" | "steps">,
  documents: DocumentSet,
  traffic: Pick<ServedTraffic, "endpoints">,
): readonly string[] {
  const controls = controlsOf(documents).filter(
    ({ document }) => document.metadata.namespace === namespace,
  );
  const touches = new Set([`RecoveryPlan/${namespace}/${plan}`]);
  const target = (text: string): void => {
    touches.add(text);
    for (const endpoint of traffic.endpoints(text)) touches.add(endpoint);
  };
  for (const { what } of steps) {
    if (what.shift !== undefined) target(what.shift.target);
    if (what.endShift !== undefined) target(what.endShift.target);
    for (const name of Object.keys(what.controls?.states ?? {})) {
      touches.add(`RoutingControl/${namespace}/${name}`);
      const known = controls.find(({ document }) => document.metadata.name === name);
      for (const each of known?.document.spec.targets ?? []) target(each);
    }
    if (what.weights !== undefined)
      touches.add(`TrafficPolicy/${namespace}/${what.weights.policy}/${what.weights.node}`);
    if (what.kubernetes !== undefined) {
      const { namespace: inside, resource, name } = what.kubernetes;
      touches.add(`kubernetes/${inside}/${resource}/${name}`);
    }
  }
  return [...touches];
}

/** Why a run may not be under way beside others. */
export function conflictOf(run: RecoveryRun, others: readonly RecoveryRun[]): string | undefined {
  const own = new Set(run.touches);
  for (const other of others) {
    if (isOver(other) || other.id === run.id) continue;
    const both = other.touches.find((each) => own.has(each));
    if (both !== undefined)
      return `run ${other.id} of RecoveryPlan/${other.namespace}/${other.plan} is under way and moves ${both}, too`;
  }
  return undefined;
}
