// SPDX-License-Identifier: Apache-2.0

// What /metrics of an edge shows: what any process that answers shows, and how it stands with the controls.

import { emptyCounters, probesByOutcome, type HealthRunner } from "@meridian/health";
import {
  metricsText,
  servedMetrics,
  topNameMetric,
  type EdgeFiguresSource,
  type Metric,
  type MetricDefinition,
  type ServedReading,
} from "@meridian/snapshot/surface";
import type { LinkState, LocalEdge } from "./local-edge.ts";

interface Reading extends ServedReading {
  readonly link: LinkState;
  readonly epoch: number;
  readonly health: Pick<HealthRunner, "targetCount" | "counters"> | undefined;
}

const linkMetrics: readonly Metric<Reading>[] = [
  {
    name: "meridian_link_connected",
    type: "gauge",
    help: "Whether this edge is connected to a control.",
    labels: [],
    read: ({ link }) => [[[], Number(link.control !== undefined)]],
  },
  {
    name: "meridian_link_isolated",
    type: "gauge",
    help: "Whether this edge has heard no control for 5 s, and judges by itself or holds its verdicts.",
    labels: [],
    read: ({ link }) => [[[], Number(link.isIsolated)]],
  },
  {
    name: "meridian_link_last_word_age_seconds",
    type: "gauge",
    help: "Seconds since this edge last heard a control; NaN before the first word.",
    labels: [],
    read: ({ link: { lastWordAgeMs } }) => [[[], seconds(lastWordAgeMs)]],
  },
  {
    name: "meridian_link_stale_seconds",
    type: "gauge",
    help: "Seconds since a control last said that what this edge serves is the newest; NaN where none ever did.",
    labels: [],
    read: ({ link: { staleMs } }) => [[[], seconds(staleMs)]],
  },
  {
    name: "meridian_link_disk_refused_seconds",
    type: "gauge",
    help: "Seconds since the disk of this edge has refused something that is to be kept; 0 where it takes everything.",
    labels: [],
    read: ({ link: { disk } }) => [[[], (disk?.forMs ?? 0) / 1000]],
  },
  {
    name: "meridian_link_lease_seconds",
    type: "gauge",
    help: "Seconds for which this edge may still answer what panels with fenced hand-over govern; 0 where it does not.",
    labels: [],
    read: ({ link: { leaseMs } }) => [[[], leaseMs / 1000]],
  },
  {
    name: "meridian_link_fenced_endpoints",
    type: "gauge",
    help: "Endpoints that panels with fenced hand-over govern: without a lease this edge answers none of them.",
    labels: [],
    read: ({ link: { fencedEndpoints } }) => [[[], fencedEndpoints]],
  },
  {
    name: "meridian_link_epoch",
    type: "gauge",
    help: "Epoch of the revision that this edge serves.",
    labels: [],
    read: ({ epoch }) => [[[], epoch]],
  },
  {
    name: "meridian_link_probe_targets",
    type: "gauge",
    help: "Endpoints that this edge probes for the controls.",
    labels: [],
    read: ({ health }) => [[[], health?.targetCount ?? 0]],
  },
  {
    name: "meridian_link_probes_total",
    type: "counter",
    help: "Probes of this edge by what came of them; late ones count under delayed or queued as well.",
    labels: ["outcome"],
    read: ({ health }) =>
      probesByOutcome(health?.counters ?? emptyCounters()).map(([outcome, value]) => [
        [outcome],
        value,
      ]),
  },
];

const metrics: readonly Metric<Reading>[] = [...servedMetrics, ...linkMetrics];

/** Those of an edge that no other process has, for the reference. */
export const linkMetricDefinitions: readonly MetricDefinition[] = linkMetrics;

/** With `topNames` above 0 the most asked names as well. */
export function localMetrics(
  edge: LocalEdge,
  figures: EdgeFiguresSource,
  topNames: number = 0,
): string {
  const { version, position, served, link, health } = edge;
  const { epoch, revision, sequence } = position;
  const text = metricsText(metrics, {
    version,
    epoch,
    revision,
    sequence,
    isReady: served !== undefined,
    servedSinceMs: served?.sinceMs ?? 0,
    world: served?.world,
    figures: figures.figures(),
    link,
    health,
  });
  return topNames > 0 ? text + metricsText([topNameMetric], figures.topNames(topNames)) : text;
}

function seconds(ms: number | undefined): number {
  return ms === undefined ? NaN : ms / 1000;
}
