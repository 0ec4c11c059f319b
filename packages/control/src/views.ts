// SPDX-License-Identifier: Apache-2.0

// What `get` and the API show, as plain values: one builder a kind, all of them from the model, the world and the newest overlay.

import type { EdgeFigures } from "./edge-figures.ts";
import { failoverBudget, type Member, type Model, type Pool } from "@meridian/model";
import { Admin, CAPACITY_SHIFT, CHANGE_SHIFT, DIAL_SHIFT, type World } from "@meridian/snapshot";
import { key64, parseDuration } from "@meridian/core";
import type { Embedded } from "./embedded.ts";

export interface EndpointView {
  readonly endpoint: string;
  readonly address: string;
  readonly site: string;
  readonly verdict: string;
  readonly reason: string;
  readonly sinceMs: number | undefined;
  readonly admin: string;
  readonly dial: number;
  readonly capacityFactor: number;
  /** Least seconds until the verdict could change. */
  readonly changeSeconds: number;
  readonly answers: number;
}

const verdictNames = ["unknown", "healthy", "unhealthy", "unknown"] as const;
const adminNames = Object.fromEntries(Object.entries(Admin).map(([name, value]) => [value, name]));

/** Every endpoint with its verdict and what operators did to it. */
export function endpointViews(embedded: Embedded, figures: EdgeFigures): EndpointView[] {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return [];
  return [...model.pools.values()].flatMap((pool) =>
    [...pool.members.values()].map((member) =>
      endpointView(embedded, world, pool, member, figures),
    ),
  );
}

function endpointView(
  embedded: Embedded,
  world: World,
  pool: Pool,
  member: Member,
  figures: EdgeFigures,
): EndpointView {
  const index = world.pools.endpointIndexOf(key64(member.key));
  const slot = index < 0 ? 0 : embedded.overlay.read(index);
  const state = embedded.health.runner.state(member.key);
  const isChecked = pool.document.spec.healthCheck !== undefined;
  return {
    endpoint: member.key,
    address:
      member.spec.port === undefined
        ? member.spec.address
        : `${member.spec.address}:${member.spec.port}`,
    site: member.spec.site ?? "",
    verdict: isChecked ? (verdictNames[slot & 3] ?? "unknown") : "unchecked",
    reason: state?.reason ?? (isChecked ? "not probed yet" : "no health check"),
    sinceMs: state?.sinceMs,
    admin: adminNames[(slot >>> 2) & 7] ?? "active",
    dial: ((slot >>> DIAL_SHIFT) & 0x3ff) / 10,
    capacityFactor: ((slot >>> CAPACITY_SHIFT) & 0x3ff) / 1000,
    changeSeconds: 2 ** ((slot >>> CHANGE_SHIFT) & 31),
    answers: index < 0 ? 0 : (figures.endpoints[index] ?? 0),
  };
}

export interface PoolView {
  readonly pool: string;
  readonly members: number;
  readonly healthy: number;
  readonly drained: number;
  readonly healthCheck: string;
  readonly answers: number;
}

export function poolViews(embedded: Embedded, figures: EdgeFigures): PoolView[] {
  const endpoints = endpointViews(embedded, figures);
  const byPool = Map.groupBy(endpoints, ({ endpoint }) =>
    endpoint.split("/").slice(1, 3).join("/"),
  );
  return [...(embedded.model?.pools ?? [])].map(([name, pool]) => {
    const members = byPool.get(name) ?? [];
    return {
      pool: name,
      members: members.length,
      healthy: members.filter(({ verdict }) => verdict === "healthy" || verdict === "unchecked")
        .length,
      drained: members.filter(({ admin }) => admin !== "active").length,
      healthCheck: pool.document.spec.healthCheck ?? "",
      answers: members.reduce((sum, { answers }) => sum + answers, 0),
    };
  });
}

export interface SiteView {
  readonly site: string;
  readonly parent: string;
  readonly endpoints: number;
  readonly healthy: number;
  readonly drained: number;
  readonly answers: number;
}

/** Sites with what lies in them and in the sites below. */
export function siteViews(embedded: Embedded, figures: EdgeFigures): SiteView[] {
  const { model } = embedded;
  if (model === undefined) return [];
  const endpoints = endpointViews(embedded, figures);
  return [...model.sites].map(([name, document]) => {
    const inside = endpoints.filter(
      ({ site }) =>
        site !== "" && model.siteChain(site).some(({ metadata }) => metadata.name === name),
    );
    return {
      site: name,
      parent: document.spec.parent ?? "",
      endpoints: inside.length,
      healthy: inside.filter(({ verdict }) => verdict === "healthy" || verdict === "unchecked")
        .length,
      drained: inside.filter(({ admin }) => admin !== "active").length,
      answers: inside.reduce((sum, { answers }) => sum + answers, 0),
    };
  });
}

export interface RecordView {
  readonly name: string;
  readonly types: string;
  readonly target: string;
  readonly ttl: string;
  /** Milliseconds from an endpoint's death to the last client that was told otherwise. */
  readonly failoverBudgetMs: number | undefined;
  readonly objectiveMs: number | undefined;
}

export function recordViews(model: Model): RecordView[] {
  return [...model.records.values()].map((record) => {
    const { spec, metadata } = record;
    return {
      name: spec.name.replace(/\.$/, ""),
      types: spec.types.join(","),
      target:
        spec.policy === undefined
          ? `pool/${metadata.namespace}/${spec.pool ?? ""}`
          : `policy/${metadata.namespace}/${spec.policy}`,
      ttl: `${spec.ttl.min}..${spec.ttl.max}`,
      failoverBudgetMs: failoverBudget(model, record)?.totalMs,
      objectiveMs:
        spec.objective === undefined ? undefined : parseDuration(spec.objective.recoveryTime),
    };
  });
}

export interface PolicyView {
  readonly policy: string;
  readonly root: string;
  readonly nodes: number;
  readonly queries: number;
}

export function policyViews(embedded: Embedded, figures: EdgeFigures): PolicyView[] {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return [];
  return [...model.policies].map(([name, { spec }]) => {
    const index = world.policies.policyIndexOf(key64(`policy/${name}`));
    return {
      policy: name,
      root: spec.root,
      nodes: Object.keys(spec.nodes).length,
      queries: index < 0 ? 0 : (figures.policies[index] ?? 0),
    };
  });
}

export interface HealthView {
  readonly endpoint: string;
  readonly check: string;
  readonly kind: string;
  readonly verdict: string;
  readonly reason: string;
  readonly sinceMs: number;
  readonly lastReason: string;
  readonly lastProbeMs: number | undefined;
  readonly lastDurationMs: number | undefined;
  readonly condition: string;
}

export function healthViews(embedded: Embedded): HealthView[] {
  return [...embedded.health.runner.states()].map((state) => ({
    endpoint: state.key,
    check: state.checkName,
    kind: state.kind,
    verdict: state.verdict,
    reason: state.reason,
    sinceMs: state.sinceMs,
    lastReason: state.lastReason,
    lastProbeMs: state.lastProbeMs,
    lastDurationMs: state.lastDurationMs,
    condition: state.condition === "none" ? "" : `${state.condition}: ${state.conditionReason}`,
  }));
}
