// SPDX-License-Identifier: Apache-2.0

// What /metrics shows, from one table: docs/reference/metrics.md is written from it too. Values are read when they are asked for;
// nothing is counted here. Names of records are not among the labels: there may be a million of them, and strangers choose them.

import { formatName } from "@meridian/dns";
import type { VerdictFigures } from "@meridian/health";
import { Gauge, Registry, Counter } from "prom-client";
import type { ApiOptions } from "./api.ts";
import type { World } from "@meridian/snapshot";
import type { EdgeFigures } from "./edge-figures.ts";
import type { EdgeView } from "./edges/edge-hub.ts";
import { branchesOf } from "./policy-counts.ts";

/** One time series: its labels, in the order of the metric's label names, and its value. */
type Sample = readonly [labels: readonly string[], value: number];

interface Reading {
  readonly options: ApiOptions;
  readonly figures: EdgeFigures;
  readonly health: VerdictFigures;
}

/** A metric as it is documented and read. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly labels: readonly string[];
}

interface Metric extends MetricDefinition {
  readonly read: (reading: Reading) => readonly Sample[];
}

const metrics: readonly Metric[] = [
  {
    name: "meridian_build_info",
    type: "gauge",
    help: "Always 1; the labels say what runs.",
    labels: ["version", "transport"],
    read: ({ options, figures }) => [[[options.version, figures.transport], 1]],
  },
  {
    name: "meridian_ready",
    type: "gauge",
    help: "Whether answers come from a snapshot that a first round of probes or a stored overlay vouches for.",
    labels: [],
    read: ({ options }) => [[[], Number(options.embedded.isReady)]],
  },
  {
    name: "meridian_snapshot_revision",
    type: "gauge",
    help: "Revision that is served.",
    labels: [],
    read: ({ options }) => [[[], options.embedded.revision]],
  },
  {
    name: "meridian_snapshot_served_since_timestamp_seconds",
    type: "gauge",
    help: "Unix time at which the served revision was compiled or restored.",
    labels: [],
    read: ({ options }) => [[[], options.embedded.servedSinceMs / 1000]],
  },
  {
    name: "meridian_overlay_sequence",
    type: "gauge",
    help: "Sequence of the newest change set of the overlay.",
    labels: [],
    read: ({ options }) => [[[], options.embedded.sequence]],
  },
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
    help: "Whether every edge that was heard of in the last 3 s serves the newest revision.",
    labels: [],
    read: ({ options }) => {
      const edges = options.gateway?.();
      const isLive = edges?.publication(options.embedded.revision).state !== "pending";
      return [[[], Number(isLive)]];
    },
  },
  {
    name: "meridian_edges",
    type: "gauge",
    help: "Edges that have joined, by whether they serve the newest revision; silent ones were not heard of for 3 s.",
    labels: ["state"],
    read: ({ options }) => {
      const views = options.gateway?.()?.views() ?? [];
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
    name: "meridian_dns_queries_total",
    type: "counter",
    help: "Queries by transport.",
    labels: ["transport"],
    read: ({ figures }) => [
      [["udp"], figures.totals["udp_queries"] ?? 0],
      [["tcp"], figures.totals["tcp_queries"] ?? 0],
    ],
  },
  total("meridian_dns_ipv6_queries_total", "Queries over IPv6.", "ipv6_queries"),
  total("meridian_dns_silent_total", "Packets that got no answer.", "silent"),
  total("meridian_dns_truncated_total", "Answers cut to fit, with TC set.", "truncated"),
  total("meridian_dns_edns_total", "Queries with EDNS.", "edns"),
  total("meridian_dns_ecs_used_total", "Answers decided by a client subnet.", "ecs_used"),
  total("meridian_dns_withheld_total", "Answers that a policy withheld.", "withheld"),
  total("meridian_dns_query_bytes_total", "Bytes of queries.", "query_bytes"),
  total("meridian_dns_answer_bytes_total", "Bytes of answers.", "answer_bytes"),
  total("meridian_query_log_lines_total", "Queries written to the query log.", "logged"),
  total("meridian_query_log_dropped_total", "Queries that the log had no room for.", "log_dropped"),
  {
    name: "meridian_dns_responses_total",
    type: "counter",
    help: "Responses by rcode.",
    labels: ["rcode"],
    read: ({ figures }) => Object.entries(figures.rcodes).map(([rcode, count]) => [[rcode], count]),
  },
  {
    name: "meridian_zone_queries_total",
    type: "counter",
    help: "Queries by zone.",
    labels: ["zone"],
    read: ({ options: { embedded }, figures }) =>
      (embedded.world?.zones.zones ?? []).map(({ origin, index }) => [
        [formatName(origin)],
        figures.zones[index] ?? 0,
      ]),
  },
  {
    name: "meridian_policy_queries_total",
    type: "counter",
    help: "Queries that a policy decided.",
    labels: ["policy"],
    read: ({ options: { embedded }, figures }) =>
      count(embedded.world?.policies.policyCount).map((index) => [
        [embedded.world?.policies.policyName(index) ?? ""],
        figures.policies[index] ?? 0,
      ]),
  },
  {
    name: "meridian_node_answers_total",
    type: "counter",
    help: "Answers that a node of a policy found.",
    labels: ["policy", "node"],
    read: ({ options: { embedded }, figures }) =>
      count(embedded.world?.policies.nodeCount).map((node) => [
        nodeLabels(embedded.world, node),
        figures.nodes[node] ?? 0,
      ]),
  },
  {
    name: "meridian_branch_answers_total",
    type: "counter",
    help: "Answers that came through a branch of a node; a fallback is the last one.",
    labels: ["policy", "node", "branch"],
    read: ({ options: { embedded }, figures }) =>
      count(embedded.world?.policies.nodeCount).flatMap((node) =>
        (embedded.world === undefined ? [] : branchesOf(embedded.world, node)).map(
          (branch, place): Sample => [
            [...nodeLabels(embedded.world, node), String(place)],
            figures.branches[branch] ?? 0,
          ],
        ),
      ),
  },
  {
    name: "meridian_pool_queries_total",
    type: "counter",
    help: "Queries for names that are bound to a pool without a policy.",
    labels: ["pool"],
    read: ({ options: { embedded }, figures }) =>
      count(embedded.world?.pools.poolCount).map((index) => [
        [embedded.world?.pools.poolName(index) ?? ""],
        figures.pools[index] ?? 0,
      ]),
  },
  {
    name: "meridian_endpoint_answers_total",
    type: "counter",
    help: "Answers that name an endpoint.",
    labels: ["endpoint"],
    read: ({ options: { embedded }, figures }) =>
      count(embedded.world?.pools.endpointCount).map((index) => [
        [embedded.world?.endpointName(index) ?? ""],
        figures.endpoints[index] ?? 0,
      ]),
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
    read: ({ health: { counters } }) => [
      [["started"], counters.probesStarted],
      [["passed"], counters.probesPassed],
      [["failed"], counters.probesFailed],
      [["held"], counters.probesHeld],
      [["timed_out"], counters.probesTimedOut],
      [["delayed"], counters.probesDelayed],
      [["queued"], counters.probesQueued],
    ],
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
  {
    name: "meridian_edge_worker_restarts_total",
    type: "counter",
    help: "Times that a worker was replaced.",
    labels: ["worker", "role"],
    read: ({ figures }) =>
      figures.workers.map(({ index, role, restarts }) => [[String(index), role], restarts]),
  },
  {
    name: "meridian_edge_worker_up",
    type: "gauge",
    help: "Whether a worker is running.",
    labels: ["worker", "role"],
    read: ({ figures }) =>
      figures.workers.map(({ index, role, state }) => [
        [String(index), role],
        Number(state === "running"),
      ]),
  },
  total(
    "meridian_edge_kernel_drops_total",
    "Packets that the kernel dropped because a socket's queue was full.",
    "kernel_drops",
  ),
  total("meridian_edge_turns_total", "Batches of packets taken from the kernel.", "turns"),
  total("meridian_edge_tcp_connections_total", "TCP connections accepted.", "connections_accepted"),
  total(
    "meridian_edge_tcp_refused_total",
    "TCP connections refused by a limit.",
    "connections_refused",
  ),
];

const topNameMetric: MetricDefinition = {
  name: "meridian_top_name_queries",
  type: "gauge",
  help: "Estimated queries of the most asked names since the start; only with `/metrics?top=K`.",
  labels: ["name"],
};

/** Every metric there is, for the reference. */
export const metricDefinitions: readonly MetricDefinition[] = [...metrics, topNameMetric];

/** Policy and name of a node. */
function nodeLabels(world: World | undefined, node: number): readonly string[] {
  if (world === undefined) return [];
  const { policies } = world;
  return [policies.policyName(policies.policyOf(node)), policies.nodeName(node)];
}

/** Renders the metrics of one process in Prometheus text form. */
export class Metrics {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** Reads everything now; with `topNames` above 0 the most asked names as well. */
  async text(topNames: number = 0): Promise<string> {
    const registry = new Registry();
    const health = await this.#options.embedded.verdicts.figures();
    const reading = { options: this.#options, figures: this.#options.edge.figures(), health };
    for (const metric of metrics) add(registry, metric, metric.read(reading));
    if (topNames > 0) {
      const names = this.#options.edge.topNames(topNames);
      add(
        registry,
        topNameMetric,
        names.map(({ name, queries }) => [[name], queries]),
      );
    }
    return registry.metrics();
  }
}

function add(registry: Registry, metric: MetricDefinition, samples: readonly Sample[]): void {
  const configuration = {
    name: metric.name,
    help: metric.help,
    labelNames: [...metric.labels],
    registers: [registry],
  };
  if (metric.type === "counter") {
    const counter = new Counter(configuration);
    for (const [labels, value] of samples) counter.labels(...labels).inc(value);
    return;
  }
  const gauge = new Gauge(configuration);
  for (const [labels, value] of samples) gauge.labels(...labels).set(value);
}

/** One sample for each edge that the value is known of. */
function edgeSamples(valueOf: (edge: EdgeView) => number | undefined): Metric["read"] {
  return ({ options }) =>
    (options.gateway?.()?.views() ?? []).flatMap((edge): Sample[] => {
      const value = valueOf(edge);
      return value === undefined ? [] : [[[edge.name], value]];
    });
}

/** A metric that is one of the edge's totals as it stands. */
function total(name: string, help: string, key: string): Metric {
  return {
    name,
    type: "counter",
    help,
    labels: [],
    read: ({ figures }) => [[[], figures.totals[key] ?? 0]],
  };
}

function count(length: number | undefined): number[] {
  return Array.from({ length: length ?? 0 }, (_, index) => index);
}
