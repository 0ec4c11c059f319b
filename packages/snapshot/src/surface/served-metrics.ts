// SPDX-License-Identifier: Apache-2.0

// What any process that answers or publishes shows: what is served, and what its workers counted. Names of records are not among the
// labels: there may be a million of them, and strangers choose them.

import type { World } from "../index.ts";
import type { EdgeFigures } from "./edge-figures.ts";
import type { Metric, Sample } from "./metric.ts";
import { branchesOf } from "./policy-counts.ts";

/** What these metrics are read from. */
export interface ServedReading {
  readonly version: string;
  readonly isReady: boolean;
  readonly revision: number;
  readonly sequence: number;
  /** Wall time at which the served revision was compiled, taken or restored. */
  readonly servedSinceMs: number;
  readonly world: World | undefined;
  readonly figures: EdgeFigures;
}

export const servedMetrics: readonly Metric<ServedReading>[] = [
  {
    name: "meridian_build_info",
    type: "gauge",
    help: "Always 1; the labels say what runs.",
    labels: ["version", "transport"],
    read: ({ version, figures }) => [[[version, figures.transport], 1]],
  },
  {
    name: "meridian_ready",
    type: "gauge",
    help: "Whether answers come from a snapshot that a first round of probes or a stored overlay vouches for.",
    labels: [],
    read: ({ isReady }) => [[[], Number(isReady)]],
  },
  {
    name: "meridian_snapshot_revision",
    type: "gauge",
    help: "Revision that is served.",
    labels: [],
    read: ({ revision }) => [[[], revision]],
  },
  {
    name: "meridian_snapshot_served_since_timestamp_seconds",
    type: "gauge",
    help: "Unix time at which the served revision was compiled or restored.",
    labels: [],
    read: ({ servedSinceMs }) => [[[], servedSinceMs / 1000]],
  },
  {
    name: "meridian_overlay_sequence",
    type: "gauge",
    help: "Sequence of the newest change set of the overlay.",
    labels: [],
    read: ({ sequence }) => [[[], sequence]],
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
  total(
    "meridian_dns_empty_total",
    "Authoritative answers without a record for a name that is there; a policy that withholds counts too.",
    "empty",
  ),
  total("meridian_dns_withheld_total", "Answers that a policy withheld.", "withheld"),
  total(
    "meridian_dns_cookies_total",
    "Queries with a cookie that was made here for that client.",
    "cookie_good",
  ),
  {
    name: "meridian_dns_limited_total",
    type: "counter",
    help: "Responses to client prefixes past their rate: cut short with TC or BADCOOKIE, or dropped. Under overload: queries left out, as nobody vouches for their senders.",
    labels: ["action"],
    read: ({ figures }) => [
      [["truncated"], figures.totals["limit_truncated"] ?? 0],
      [["dropped"], figures.totals["limit_dropped"] ?? 0],
      [["overload"], figures.totals["left_out"] ?? 0],
    ],
  },
  {
    name: "meridian_dns_signatures_total",
    type: "counter",
    help: "Signatures of answers with DO: there already, made while the client waited, or refused for want of time.",
    labels: ["state"],
    read: ({ figures }) => [
      [["ready"], figures.totals["signature_hits"] ?? 0],
      [["made"], figures.totals["signatures_made"] ?? 0],
      [["refused"], figures.totals["signatures_refused"] ?? 0],
    ],
  },
  {
    name: "meridian_dns_notify_total",
    type: "counter",
    help: "NOTIFY: messages sent to secondaries, each time; serials that these acknowledged, or refused and did not answer; messages of primaries that were taken.",
    labels: ["state"],
    read: ({ figures }) => [
      [["sent"], figures.totals["notify_sent"] ?? 0],
      [["acknowledged"], figures.totals["notify_acknowledged"] ?? 0],
      [["failed"], figures.totals["notify_failed"] ?? 0],
      [["received"], figures.totals["notify_received"] ?? 0],
    ],
  },
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
    read: ({ world, figures }) =>
      (world?.zones.zones ?? []).map(({ name, index }) => [[name], figures.zones[index] ?? 0]),
  },
  {
    name: "meridian_policy_queries_total",
    type: "counter",
    help: "Queries that a policy decided.",
    labels: ["policy"],
    read: ({ world, figures }) =>
      count(world?.policies.policyCount).map((index) => [
        [world?.policies.policyName(index) ?? ""],
        figures.policies[index] ?? 0,
      ]),
  },
  {
    name: "meridian_node_answers_total",
    type: "counter",
    help: "Answers that a node of a policy found.",
    labels: ["policy", "node"],
    read: ({ world, figures }) =>
      count(world?.policies.nodeCount).map((node) => [
        nodeLabels(world, node),
        figures.nodes[node] ?? 0,
      ]),
  },
  {
    name: "meridian_branch_answers_total",
    type: "counter",
    help: "Answers that came through a branch of a node; a fallback is the last one.",
    labels: ["policy", "node", "branch"],
    read: ({ world, figures }) =>
      count(world?.policies.nodeCount).flatMap((node) =>
        (world === undefined ? [] : branchesOf(world, node)).map((branch, place): Sample => [
          [...nodeLabels(world, node), String(place)],
          figures.branches[branch] ?? 0,
        ]),
      ),
  },
  {
    name: "meridian_pool_queries_total",
    type: "counter",
    help: "Queries for names that are bound to a pool without a policy.",
    labels: ["pool"],
    read: ({ world, figures }) =>
      count(world?.pools.poolCount).map((index) => [
        [world?.pools.poolName(index) ?? ""],
        figures.pools[index] ?? 0,
      ]),
  },
  {
    name: "meridian_endpoint_answers_total",
    type: "counter",
    help: "Answers that name an endpoint.",
    labels: ["endpoint"],
    read: ({ world, figures }) =>
      count(world?.pools.endpointCount).map((index) => [
        [world?.endpointName(index) ?? ""],
        figures.endpoints[index] ?? 0,
      ]),
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
    "Packets that the kernel dropped because a socket's queue was full or, under overload, since nobody vouches for their senders.",
    "kernel_drops",
  ),
  total("meridian_edge_turns_total", "Batches of packets taken from the kernel.", "turns"),
  total("meridian_edge_tcp_connections_total", "TCP connections accepted.", "connections_accepted"),
  total(
    "meridian_edge_tcp_refused_total",
    "TCP connections refused by a limit.",
    "connections_refused",
  ),
  {
    name: "meridian_edge_tls_handshakes_total",
    type: "counter",
    help: "TLS handshakes for encrypted DNS, by how they ended.",
    labels: ["result"],
    read: ({ figures }) => [
      [["completed"], figures.totals["handshakes"] ?? 0],
      [["failed"], figures.totals["handshakes_failed"] ?? 0],
    ],
  },
  {
    name: "meridian_edge_doh_requests_total",
    type: "counter",
    help: "Requests of DNS over HTTPS: queries that were answered, and what was none.",
    labels: ["result"],
    read: ({ figures }) => [
      [["answered"], figures.totals["doh_queries"] ?? 0],
      [["refused"], figures.totals["doh_refused"] ?? 0],
    ],
  },
];

/** The most asked names; only with `/metrics?top=K`. */
export const topNameMetric: Metric<readonly { readonly name: string; readonly queries: number }[]> =
  {
    name: "meridian_top_name_queries",
    type: "gauge",
    help: "Estimated queries of the most asked names since the start; only with `/metrics?top=K`.",
    labels: ["name"],
    read: (names) => names.map(({ name, queries }) => [[name], queries]),
  };

/** Policy and name of a node. */
function nodeLabels(world: World | undefined, node: number): readonly string[] {
  if (world === undefined) return [];
  const { policies } = world;
  return [policies.policyName(policies.policyOf(node)), policies.nodeName(node)];
}

/** A metric that is one of the edge's totals as it stands. */
function total(name: string, help: string, key: string): Metric<ServedReading> {
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
