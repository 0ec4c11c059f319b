// SPDX-License-Identifier: Apache-2.0

// What /metrics of a control shows, from one table: docs/reference/metrics.md is written from it too. Values are read when they are asked
// for; nothing is counted here.

import { probesByOutcome, type VerdictFigures } from "@meridian/health";
import {
  metricsText,
  servedMetrics,
  topNameMetric,
  type Metric,
  type MetricDefinition,
  type Sample,
  type ServedReading,
} from "@meridian/snapshot/surface";
import type { ApiOptions } from "./api.ts";
import { keyMetrics } from "./dnssec/key-metrics.ts";
import { rolloutMetrics } from "./rollouts/rollout-metrics.ts";
import { handOverMetrics } from "./routing/hand-over-metrics.ts";
import { secondaryMetrics } from "./secondary/secondary-metrics.ts";
import { expiries } from "./expiries.ts";
import type { EdgeView } from "./edges/edge-hub.ts";
import type { PublicationView } from "./edges/publication-state.ts";

interface Reading extends ServedReading {
  readonly options: ApiOptions;
  readonly health: VerdictFigures;
  /** Of all controls of the store. */
  readonly edges: readonly EdgeView[];
  readonly publication: PublicationView | undefined;
}

const metrics: readonly Metric<Reading>[] = [
  ...servedMetrics,
  {
    name: "meridian_control_leads",
    type: "gauge",
    help: "Whether this control leads those of its store; 1 for one that shares none.",
    labels: [],
    read: ({ options }) => [[[], Number(options.replica?.().leadership.isLeader ?? true)]],
  },
  {
    name: "meridian_control_differs",
    type: "gauge",
    help: "Whether this control publishes nothing, as it compiled something else of the documents than the leader.",
    labels: [],
    read: ({ options }) => [[[], Number(options.replica?.().agreement.standing === "differs")]],
  },
  {
    name: "meridian_publication_live",
    type: "gauge",
    help: "Whether every edge that was heard of in the last 3 s serves the newest revision; of all controls of a store.",
    labels: [],
    read: ({ publication }) => {
      return [[[], Number(publication?.state !== "pending")]];
    },
  },
  {
    name: "meridian_edges",
    type: "gauge",
    help: "Edges that have joined, by whether they serve the newest revision; silent ones were not heard of for 3 s; of all controls of a store.",
    labels: ["state"],
    read: ({ edges: views }) => {
      return (["serving", "behind", "silent"] as const).map((state) => [
        [state],
        views.filter(({ standing }) => standing === state).length,
      ]);
    },
  },
  {
    name: "meridian_edge_revision",
    type: "gauge",
    help: "Revision that an edge says it serves.",
    labels: ["edge"],
    read: edgeSamples(({ revision }) => revision),
  },
  {
    name: "meridian_edge_stale_seconds",
    type: "gauge",
    help: "Seconds since an edge last said that it serves the newest revision.",
    labels: ["edge"],
    read: edgeSamples(({ staleMs }) => (staleMs === undefined ? undefined : staleMs / 1000)),
  },
  {
    name: "meridian_edge_queries_per_second",
    type: "gauge",
    help: "Queries that an edge was asked lately, as it says.",
    labels: ["edge"],
    read: edgeSamples(({ answers }) => answers?.queriesPerSecond),
  },
  {
    name: "meridian_edge_servfail_ratio",
    type: "gauge",
    help: "Share of the queries that an edge answered with SERVFAIL lately, as it says.",
    labels: ["edge"],
    read: edgeSamples(({ answers }) => answers?.servfailShare),
  },
  {
    name: "meridian_edge_empty_ratio",
    type: "gauge",
    help: "Share of the queries that an edge answered without a record lately, as it says.",
    labels: ["edge"],
    read: edgeSamples(({ answers }) => answers?.emptyShare),
  },
  {
    name: "meridian_edge_last_word_timestamp_seconds",
    type: "gauge",
    help: "Unix time at which an edge was last heard of.",
    labels: ["edge"],
    read: edgeSamples(({ lastWordMs }) =>
      lastWordMs === undefined ? undefined : lastWordMs / 1000,
    ),
  },
  {
    name: "meridian_file_problems",
    type: "gauge",
    help: "Problems of the files as they are now; with errors an older revision is served.",
    labels: ["severity"],
    read: ({ options: { embedded } }) => {
      const errors = embedded.problems.filter(({ severity }) => severity === "error").length;
      return [
        [["error"], errors + embedded.fileErrors.length],
        [["warning"], embedded.problems.length - errors],
      ];
    },
  },
  {
    name: "meridian_shifts",
    type: "gauge",
    help: "Shifts that are running.",
    labels: [],
    read: ({ options }) => [[[], options.embedded.shifts().length]],
  },
  ...keyMetrics,
  ...secondaryMetrics,
  ...rolloutMetrics,
  ...handOverMetrics,
  {
    name: "meridian_published_answers_total",
    type: "counter",
    help: "Updates by which other primaries were told what is decided of a name, by what came of them.",
    labels: ["outcome"],
    read: ({ options }) =>
      Object.entries(options.publisher?.counts ?? {}).map(([outcome, count]): Sample => [
        [outcome],
        count,
      ]),
  },
  {
    name: "meridian_dynamic_updates_total",
    type: "counter",
    help: "Dynamic updates that edges handed on, by how they were answered.",
    labels: ["rcode"],
    read: ({ options }) =>
      [...(options.updates?.counts ?? [])].map(([rcode, count]): Sample => [[rcode], count]),
  },
  {
    name: "meridian_expires_seconds",
    type: "gauge",
    help: "Seconds until a token, the API's certificate or the authority of edges expires; below 0 since it did.",
    labels: ["subject"],
    read: ({ options }) =>
      expiries(options.documents.documents, {
        api: options.tls?.certificate,
        authority: options.gateway?.()?.authorityCertificate,
      }).map(({ subject, atMs }) => [[subject], Math.floor((atMs - Date.now()) / 1000)]),
  },
  {
    name: "meridian_alerts",
    type: "gauge",
    help: "What holds now and may be notified, by event.",
    labels: ["event"],
    read: ({ options }) => [...options.notifier.counts()].map(([event, value]) => [[event], value]),
  },
  {
    name: "meridian_notification_deliveries_total",
    type: "counter",
    help: "Messages of a Notification, by what came of them.",
    labels: ["notification", "outcome"],
    read: ({ options }) =>
      options.notifier.views().flatMap(({ name, sent, failed }): Sample[] => [
        [[name, "sent"], sent],
        [[name, "failed"], failed],
      ]),
  },
  {
    name: "meridian_notification_failing",
    type: "gauge",
    help: "Whether the last message of a Notification was not taken.",
    labels: ["notification"],
    read: ({ options }) =>
      options.notifier.views().map(({ name, state }) => [[name], Number(state === "failing")]),
  },
  {
    name: "meridian_endpoint_healthy",
    type: "gauge",
    help: "Verdict of a checked endpoint: 1 healthy, 0 unhealthy, NaN unknown.",
    labels: ["endpoint", "check"],
    read: ({ options: { embedded } }) =>
      [...embedded.verdicts.verdicts()].map(({ key, checkName, verdict }) => [
        [key, checkName],
        verdict === "unknown" ? NaN : Number(verdict === "healthy"),
      ]),
  },
  {
    name: "meridian_vantage_live",
    type: "gauge",
    help: "Whether what a vantage says counts: 1, or 0 where it is silent, or everything that it probes has failed.",
    labels: ["vantage", "site"],
    read: ({ health: { vantages } }) =>
      vantages.map(({ name, site, state }) => [[name, site], Number(state === "live")]),
  },
  {
    name: "meridian_vantage_opinions",
    type: "gauge",
    help: "Endpoints that a vantage says to be healthy or unhealthy.",
    labels: ["vantage", "opinion"],
    read: ({ health: { vantages } }) =>
      vantages.flatMap(({ name, healthyCount, unhealthyCount }): Sample[] => [
        [[name, "healthy"], healthyCount],
        [[name, "unhealthy"], unhealthyCount],
      ]),
  },
  {
    name: "meridian_vantage_reports_total",
    type: "counter",
    help: "Reports of another vantage that were taken.",
    labels: ["vantage"],
    read: ({ health: { vantages } }) =>
      vantages.flatMap(({ name, reports, isOwn }): Sample[] => (isOwn ? [] : [[[name], reports]])),
  },
  {
    name: "meridian_health_transitions_total",
    type: "counter",
    help: "Verdicts that changed, by what they became.",
    labels: ["verdict"],
    read: ({ options }) =>
      Object.entries(options.transitions.counts).map(([verdict, value]) => [[verdict], value]),
  },
  {
    name: "meridian_health_probes_total",
    type: "counter",
    help: "Probes by what came of them; late ones count under delayed or queued as well.",
    labels: ["outcome"],
    read: ({ health: { counters } }) =>
      probesByOutcome(counters).map(([outcome, value]) => [[outcome], value]),
  },
  {
    name: "meridian_health_freezes_total",
    type: "counter",
    help: "Times that all verdicts were held because everything failed at once.",
    labels: [],
    read: ({ health }) => [[[], health.counters.freezes]],
  },
  {
    name: "meridian_health_targets",
    type: "gauge",
    help: "Endpoints that are checked.",
    labels: [],
    read: ({ health }) => [[[], health.targetCount]],
  },
  {
    name: "meridian_health_restarts_total",
    type: "counter",
    help: "Times that the verdict thread was started anew; its other counters begin at 0 then.",
    labels: [],
    read: ({ options }) => [[[], options.embedded.verdicts.restarts]],
  },
];

/** Every metric there is, for the reference. */
export const metricDefinitions: readonly MetricDefinition[] = [...metrics, topNameMetric];

/** Renders the metrics of one process in Prometheus text form. */
export class Metrics {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** Reads everything now; with `topNames` above 0 the most asked names as well. */
  async text(topNames: number = 0): Promise<string> {
    const options = this.#options;
    const { embedded, edge, version } = options;
    const health = await embedded.verdicts.figures();
    const gateway = options.gateway?.();
    const edges = (await gateway?.allViews()) ?? [];
    const publication = await gateway?.publicationOfAll(embedded.revision);
    const { isReady, revision, sequence, servedSinceMs, world } = embedded;
    const served = { version, isReady, revision, sequence, servedSinceMs, world };
    const text = metricsText(metrics, {
      ...served,
      ...{ figures: edge.figures(), options, health, edges, publication },
    });
    return topNames > 0 ? text + metricsText([topNameMetric], edge.topNames(topNames)) : text;
  }
}

/** One sample for each edge that the value is known of. */
function edgeSamples(valueOf: (edge: EdgeView) => number | undefined): Metric<Reading>["read"] {
  return ({ options }) =>
    (options.gateway?.()?.views() ?? []).flatMap((edge): Sample[] => {
      const value = valueOf(edge);
      return value === undefined ? [] : [[[edge.name], value]];
    });
}
