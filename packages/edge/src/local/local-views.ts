// SPDX-License-Identifier: Apache-2.0

// What `get` shows of an edge, in the shape in which control shows it. An edge holds no documents: names, sites and addresses come from
// the snapshot, verdicts from the overlay, reasons from its own probes.

import { formatIpv4, formatIpv6, formatName } from "@meridian/dns";
import type { EndpointState, Transition } from "@meridian/health";
import type { World } from "@meridian/snapshot";
import {
  pageOf,
  slotState,
  type EdgeFigures,
  type Page,
  type PageRequest,
  type SlotState,
} from "@meridian/snapshot/surface";
import type { LocalEdge, ServedEdge } from "./local-edge.ts";

interface EndpointView extends SlotState {
  readonly endpoint: string;
  readonly address: string;
  readonly site: string;
  readonly reason: string;
  readonly sinceMs: number | undefined;
  readonly answers: number;
}

type Views = (
  edge: LocalEdge,
  served: ServedEdge,
  figures: EdgeFigures,
  request: PageRequest,
) => Page<object>;

/** By the last part of their path. */
export const localViews: Readonly<Record<string, Views>> = {
  endpoints: (edge, { world, slots }, figures, request) =>
    pageOf(
      indices(world.pools.endpointCount),
      request,
      (index) => world.endpointName(index),
      (index) => endpointView(edge, world, slots, figures, index),
    ),
  pools: (edge, { world, slots }, figures, request) =>
    pageOf(
      indices(world.pools.poolCount),
      request,
      (pool) => world.pools.poolName(pool),
      (pool) => {
        const start = world.pools.memberStart(pool);
        const members = indices(world.pools.memberCount(pool)).map((member) =>
          endpointView(edge, world, slots, figures, start + member),
        );
        return { pool: world.pools.poolName(pool), members: members.length, ...tallyOf(members) };
      },
    ),
  sites: (edge, { world, slots }, figures, request) => {
    const bySite = Map.groupBy(
      indices(world.pools.endpointCount).map((index) =>
        endpointView(edge, world, slots, figures, index),
      ),
      ({ site }) => site,
    );
    return pageOf(
      [...bySite].filter(([site]) => site !== "").toSorted(([a], [b]) => (a < b ? -1 : 1)),
      request,
      ([site]) => site,
      ([site, endpoints]) => ({ site, endpoints: endpoints.length, ...tallyOf(endpoints) }),
    );
  },
  policies: (_edge, { world: { policies } }, figures, request) =>
    pageOf(
      indices(policies.policyCount),
      request,
      (policy) => policies.policyName(policy),
      (policy) => ({
        policy: policies.policyName(policy),
        root: policies.nodeName(policies.rootOf(policy)),
        nodes: indices(policies.nodeCount).filter((node) => policies.policyOf(node) === policy)
          .length,
        queries: figures.policies[policy] ?? 0,
      }),
    ),
  latches: (_edge, { world, slots }, _figures, request) => {
    const { policies } = world;
    return pageOf(
      world.failoverNodes(),
      request,
      ({ node }) => String(node),
      ({ node, slot }) => ({
        name: `${policies.policyName(policies.policyOf(node))}/${policies.nodeName(node)}`,
        tier: Math.max(1, slots[slot] ?? 0),
      }),
    );
  },
};

/** What this edge's own probes say. */
export function localHealth({ health }: LocalEdge, request: PageRequest): Page<object> {
  return pageOf(
    health?.states() ?? [],
    request,
    ({ key }) => key,
    (state) => ({
      endpoint: state.key,
      check: state.checkName,
      kind: state.kind,
      verdict: state.opinion,
      reason: state.lastReason,
      sinceMs: state.sinceMs,
      lastReason: state.lastReason,
      lastProbeMs: state.lastProbeMs,
      lastDurationMs: state.lastDurationMs,
      condition: state.condition === "none" ? "" : `${state.condition}: ${state.conditionReason}`,
    }),
  );
}

/** Why an endpoint has its verdict, as far as an edge knows: control does not tell, so it is what this edge saw. */
export function localCause(last: Transition | undefined): string | undefined {
  if (last === undefined) return undefined;
  const since = new Date(last.atMs).toISOString().replace(/\.\d+Z$/, "Z");
  return `seen from here since ${since}: ${last.reason}`;
}

function endpointView(
  { health }: LocalEdge,
  world: World,
  slots: Uint32Array,
  figures: EdgeFigures,
  index: number,
): EndpointView {
  const endpoint = world.endpointName(index);
  const state = health?.state(endpoint);
  const slot = slotState(slots[index] ?? 0);
  return {
    endpoint,
    address: addressOf(world, index),
    site: world.pools.siteOf(index),
    ...slot,
    reason: reasonOf(state),
    sinceMs: state?.sinceMs,
    answers: figures.endpoints[index] ?? 0,
  };
}

function reasonOf(state: EndpointState | undefined): string {
  if (state === undefined) return "not probed from here";
  return `seen from here: ${state.opinion}: ${state.lastReason}`;
}

function addressOf({ pools }: World, endpoint: number): string {
  const port = pools.portOf(endpoint);
  const hostName = pools.hostNameOf(endpoint);
  const [ipv4, ipv6] = [new Uint8Array(4), new Uint8Array(16)];
  if (pools.hasIpv4(endpoint)) pools.copyIpv4(endpoint, ipv4, 0);
  if (pools.hasIpv6(endpoint)) pools.copyIpv6(endpoint, ipv6, 0);
  const address =
    hostName >= 0
      ? formatName(pools.bytes, hostName).replace(/\.$/, "")
      : pools.hasIpv4(endpoint)
        ? formatIpv4(ipv4)
        : formatIpv6(ipv6);
  return port === 0 ? address : `${address}:${port}`;
}

function tallyOf(endpoints: readonly EndpointView[]): object {
  return {
    healthy: endpoints.filter(({ verdict }) => verdict === "healthy").length,
    drained: endpoints.filter(({ admin }) => admin !== "active").length,
    answers: endpoints.reduce((sum, { answers }) => sum + answers, 0),
  };
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
