// SPDX-License-Identifier: Apache-2.0
import type { Metric } from "@meridian/snapshot/surface";
import type { HandOvers } from "./hand-overs.ts";

/** What is told of fenced hand-overs. */
export const handOverMetrics: readonly Metric<{
  readonly options: { readonly handOvers: Pick<HandOvers, "figures"> };
}>[] = [
  {
    name: "meridian_handovers_running",
    type: "gauge",
    help: "Fenced hand-overs of control panels that wait for edges.",
    labels: [],
    read: ({ options }) => [[[], options.handOvers.figures.running]],
  },
  {
    name: "meridian_handovers_total",
    type: "counter",
    help: "Fenced hand-overs that this control has ended.",
    labels: [],
    read: ({ options }) => [[[], options.handOvers.figures.done]],
  },
  {
    name: "meridian_handover_seconds_total",
    type: "counter",
    help: "How long the fenced hand-overs took that this control has ended, together.",
    labels: [],
    read: ({ options }) => [[[], options.handOvers.figures.seconds]],
  },
  {
    name: "meridian_handover_confirmed_age_seconds",
    type: "gauge",
    help: "Seconds since this control last looked at the store for its edges: from 10 on they answer nothing that a fenced panel governs; NaN where none is fenced.",
    labels: [],
    read: ({ options }) => [[[], (options.handOvers.figures.confirmedAgeMs ?? NaN) / 1000]],
  },
];
