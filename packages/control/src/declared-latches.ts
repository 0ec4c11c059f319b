// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import type { DeclaredLatch } from "@meridian/health";
import type { Model } from "@meridian/model";

/** The failover nodes that do not fall back by themselves, by `NAMESPACE/POLICY/NODE`. */
export function declaredLatches(model: Pick<Model, "policies">): Map<string, DeclaredLatch> {
  const latches = new Map<string, DeclaredLatch>();
  for (const [policy, { spec }] of model.policies) {
    for (const [node, { failover }] of Object.entries(spec.nodes)) {
      if (failover === undefined || failover.failback === "auto") continue;
      const holdForMs = parseDuration(failover.holdFor ?? "0s") ?? 0;
      const rule = { failback: failover.failback, holdForMs };
      latches.set(`${policy}/${node}`, { rule, declared: JSON.stringify(failover) });
    }
  }
  return latches;
}
