// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Pcg32 } from "@meridian/core";
import { loadModel, type Model } from "@meridian/model";

/** A whole number from 0 to `limit` − 1. */
export function below(random: Pcg32, limit: number): number {
  return Math.floor((random.next32() / 2 ** 32) * limit);
}

export function oneOf<Item>(random: Pcg32, items: readonly Item[]): Item {
  const item = items[below(random, items.length)];
  assert.ok(item !== undefined, "there is something to choose from");
  return item;
}

/** Sites that members are in: two below one region, one elsewhere. */
export const sites = ["eu-1", "eu-2", "us"] as const;

/** What a model is made of, so that the next one can differ a little. */
export interface ModelDraft {
  /** Site of each member, by pool and member name. */
  readonly pools: ReadonlyMap<string, ReadonlyMap<string, (typeof sites)[number]>>;
  readonly failback: "auto" | "hold" | "manual";
  readonly kind: "weighted" | "roundRobin" | "capacity" | "sticky";
}

export function firstDraft(random: Pcg32): ModelDraft {
  return {
    pools: new Map(["a", "b", "c"].map((name) => [name, randomMembers(random)])),
    failback: oneOf(random, ["auto", "hold", "manual"]),
    kind: oneOf(random, ["weighted", "roundRobin", "capacity", "sticky"]),
  };
}

/** A reload: one pool has other members, and now and then there is one pool more, which moves every index behind it. */
export function nextDraft(random: Pcg32, draft: ModelDraft): ModelDraft {
  const pools = new Map(draft.pools);
  pools.set(oneOf(random, [...pools.keys()]), randomMembers(random));
  if (below(random, 3) === 0) pools.set(`a${below(random, 4)}`, randomMembers(random));
  return { ...draft, pools };
}

function randomMembers(random: Pcg32): ReadonlyMap<string, (typeof sites)[number]> {
  const count = 1 + below(random, 4);
  return new Map(Array.from({ length: count }, (_, at) => [`m${at}`, oneOf(random, sites)]));
}

/** `failover [KIND [a, b, …], c]`: the root opens, as a root does. */
export function modelOf(draft: ModelDraft): Model {
  const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
  const parents = { "eu-1": "eu", "eu-2": "eu", us: undefined };
  const pools = [...draft.pools].map(([name, members], pool) => {
    const list = [...members].map(
      ([member, site], at) => `${member}: {address: 192.0.2.${pool * 8 + at + 1}, site: ${site}}`,
    );
    return `${header} Pool\nmetadata: {name: ${name}}\nspec: {healthCheck: tcp, members: {${list.join(", ")}}}\n`;
  });
  const first = [...draft.pools.keys()].filter((name) => name !== "c");
  const weight = draft.kind === "roundRobin" ? "" : ", weight: 2";
  const branches = first.map((name) => `{pool: ${name}${weight}}`).join(", ");
  const hold = draft.failback === "hold" ? ", holdFor: 3s" : "";
  const text = [
    `${header} Site\nmetadata: {name: eu}\nspec: {}\n`,
    ...sites.map((site) => {
      const parent = parents[site] === undefined ? "" : `parent: ${parents[site]}`;
      return `${header} Site\nmetadata: {name: ${site}}\nspec: {${parent}}\n`;
    }),
    `${header} HealthCheck\nmetadata: {name: tcp}\nspec: {tcp: {port: 80}}\n`,
    ...pools,
    `${header} TrafficPolicy
metadata: {name: p}
spec:
  root: f
  nodes:
    f: {failover: {failback: ${draft.failback}${hold}, tiers: [{branches: [{node: n}]}, {branches: [{pool: c}]}]}}
    n: {${draft.kind}: {branches: [${branches}]}}
`,
  ].join("---\n");
  const { model, problems } = loadModel([{ path: "model.yaml", bytes: Buffer.from(text) }], {
    now: 0,
  });
  assert.ok(model !== undefined, problems.map(({ message }) => message).join("\n"));
  return model;
}
