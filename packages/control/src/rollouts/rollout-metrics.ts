// SPDX-License-Identifier: Apache-2.0
import type { Metric } from "@meridian/snapshot/surface";
import type { RolloutKeeper } from "./rollout-keeper.ts";
import { viewOf } from "./rollout-routes.ts";

/** What is told of rollouts, of everything that has them. */
export const rolloutMetrics: readonly Metric<{
  readonly options: { readonly rollouts: RolloutKeeper };
}>[] = [
  {
    name: "meridian_rollout_weight",
    type: "gauge",
    help: "Percent that the canary of a rollout's current wave has, by phase; rollouts that were never started are left out.",
    labels: ["rollout", "phase"],
    read: ({ options }) =>
      options.rollouts
        .all()
        .map((known) => viewOf(known))
        .filter(({ phase }) => phase !== "idle")
        .map(({ name, phase, weight }) => [[name, phase], weight]),
  },
  {
    name: "meridian_rollout_failures",
    type: "gauge",
    help: "Measurements of a rollout's analysis that were bad, in its current step; of a watched one since it began.",
    labels: ["rollout", "analysis"],
    read: ({ options }) =>
      options.rollouts
        .all()
        .map((known) => viewOf(known))
        .flatMap(({ name, analyses }) =>
          analyses.map((each) => [[name, each.name], each.failures]),
        ),
  },
];
