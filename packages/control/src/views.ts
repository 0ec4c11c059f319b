// SPDX-License-Identifier: Apache-2.0

// What `get` and the API show, as plain values: one builder a kind, all of them from the model, the world and the newest overlay.

import type { EndpointState, Witness } from "@meridian/health";
import {
  failoverBudget,
  indexKey,
  type Member,
  type Model,
  type Pool,
  type RecordDocument,
} from "@meridian/model";
import type { World } from "@meridian/snapshot";
import { key64, parseDuration } from "@meridian/core";
import type { Embedded } from "./embedded.ts";
import {
  pageOf,
  slotState,
  type EdgeFigures,
  type Page,
  type PageRequest,
} from "@meridian/snapshot/surface";

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

/** Endpoints with their verdicts and what operators did to them. */
export async function endpointViews(
  embedded: Embedded,
  figures: EdgeFigures,
  request: PageRequest,
): Promise<Page<EndpointView>> {
  const members = [...(embedded.model?.pools.values() ?? [])].flatMap((pool) =>
    Array.from(pool.members.values(), (member) => ({ pool, member })),
  );
  const page = pageOf(
    members,
    request,
    ({ member }) => member.key,
    (each) => each,
  );
  const states = await embedded.verdicts.states(page.items.map(({ member }) => member.key));
  const stateOf = new Map(states.map((state) => [state.key, state]));
  const { world } = embedded;
  if (world === undefined) return { items: [] };
  return {
    ...page,
    items: page.items.map(({ pool, member }) =>
      endpointView(embedded, world, pool, member, figures, stateOf.get(member.key)),
    ),
  };
}

function endpointView(
  embedded: Embedded,
  world: World,
  pool: Pool,
  member: Member,
  figures: EdgeFigures,
  state?: EndpointState,
): EndpointView {
  const index = world.pools.endpointIndexOf(key64(member.key));
  const slot = slotState(index < 0 ? 0 : embedded.overlay.read(index));
  const { metadata, spec } = pool.document;
  const isChecked = spec.healthCheck !== undefined;
  const problem = embedded.loadProblem(indexKey(metadata.namespace, metadata.name));
  const loadProblem = problem === undefined ? [] : [`no load: ${problem}`];
  return {
    endpoint: member.key,
    address:
      member.spec.port === undefined
        ? member.spec.address
        : `${member.spec.address}:${member.spec.port}`,
    site: member.spec.site ?? "",
    ...slot,
    verdict: isChecked ? slot.verdict : "unchecked",
    reason: [
      state?.reason ?? (isChecked ? "not probed yet" : "no health check"),
      ...loadProblem,
    ].join("; "),
    sinceMs: state?.sinceMs,
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

export function poolViews(
  embedded: Embedded,
  figures: EdgeFigures,
  request: PageRequest,
): Page<PoolView> {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return { items: [] };
  return pageOf(
    model.pools,
    request,
    ([name]) => name,
    ([name, pool]) => {
      const members = Array.from(pool.members.values(), (member) =>
        endpointView(embedded, world, pool, member, figures),
      );
      return {
        pool: name,
        members: members.length,
        healthy: members.filter(isUp).length,
        drained: members.filter(({ admin }) => admin !== "active").length,
        healthCheck: pool.document.spec.healthCheck ?? "",
        answers: members.reduce((sum, { answers }) => sum + answers, 0),
      };
    },
  );
}

function isUp({ verdict }: EndpointView): boolean {
  return verdict === "healthy" || verdict === "unchecked";
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
export function siteViews(
  embedded: Embedded,
  figures: EdgeFigures,
  request: PageRequest,
): Page<SiteView> {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return { items: [] };
  const tallies = new Map<string, SiteTally>();
  for (const pool of model.pools.values()) {
    for (const member of pool.members.values()) {
      const view = endpointView(embedded, world, pool, member, figures);
      if (view.site === "") continue;
      for (const { metadata } of model.siteChain(view.site)) count(tallies, metadata.name, view);
    }
  }
  return pageOf(
    model.sites,
    request,
    ([name]) => name,
    ([name, document]) => ({
      site: name,
      parent: document.spec.parent ?? "",
      ...(tallies.get(name) ?? emptyTally()),
    }),
  );
}

interface SiteTally {
  endpoints: number;
  healthy: number;
  drained: number;
  answers: number;
}

function emptyTally(): SiteTally {
  return { endpoints: 0, healthy: 0, drained: 0, answers: 0 };
}

function count(tallies: Map<string, SiteTally>, site: string, endpoint: EndpointView): void {
  const tally = tallies.get(site) ?? emptyTally();
  tally.endpoints += 1;
  tally.healthy += isUp(endpoint) ? 1 : 0;
  tally.drained += endpoint.admin === "active" ? 0 : 1;
  tally.answers += endpoint.answers;
  tallies.set(site, tally);
}

export interface RecordView {
  readonly name: string;
  readonly types: string;
  readonly target: string;
  readonly ttl: string;
  /** Milliseconds from an endpoint's death to the last client that was told otherwise. */
  readonly failoverBudgetMs: number | undefined;
  readonly objectiveMs: number | undefined;
  /** Of the zone that it lies in. */
  readonly view?: string;
}

export function recordViews(
  model: Model,
  request: PageRequest,
  records: Iterable<RecordDocument> = model.records,
): Page<RecordView> {
  return pageOf(
    records,
    request,
    ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
    (record) => {
      const { spec, metadata } = record;
      return {
        name: spec.name.replace(/\.$/, ""),
        types: spec.types.join(","),
        target:
          spec.policy === undefined
            ? `pool/${indexKey(metadata.namespace, spec.pool ?? "")}`
            : `policy/${indexKey(metadata.namespace, spec.policy)}`,
        ttl: `${spec.ttl.min}..${spec.ttl.max}`,
        failoverBudgetMs: failoverBudget(model, record)?.totalMs,
        objectiveMs:
          spec.objective === undefined ? undefined : parseDuration(spec.objective.recoveryTime),
        ...(spec.view === undefined ? {} : { view: spec.view }),
      };
    },
  );
}

export interface PolicyView {
  readonly policy: string;
  readonly root: string;
  readonly nodes: number;
  readonly queries: number;
}

export function policyViews(
  embedded: Embedded,
  figures: EdgeFigures,
  request: PageRequest,
): Page<PolicyView> {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return { items: [] };
  return pageOf(
    model.policies,
    request,
    ([name]) => name,
    ([name, { spec }]) => {
      const index = world.policies.policyIndexOf(key64(`policy/${name}`));
      return {
        policy: name,
        root: spec.root,
        nodes: Object.keys(spec.nodes).length,
        queries: index < 0 ? 0 : (figures.policies[index] ?? 0),
      };
    },
  );
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
  /** What each vantage says, where several judge: why, since when, and whether it counts. */
  readonly vantages?: readonly Witness[];
}

/** What probes say of every target. */
export async function healthViews(
  { verdicts }: Embedded,
  request: PageRequest,
): Promise<Page<HealthView>> {
  const keys = verdicts.targets.keys();
  const page = pageOf(
    [...keys],
    request,
    (key) => key,
    (key) => key,
  );
  const states = await verdicts.states(page.items);
  return { ...page, items: states.map(healthView) };
}

function healthView(state: EndpointState): HealthView {
  return {
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
    ...(state.witnesses === undefined ? {} : { vantages: state.witnesses }),
  };
}
