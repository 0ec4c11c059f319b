// SPDX-License-Identifier: Apache-2.0
import type { Model, Pool, SiteDocument } from "@meridian/model";

/** The part of a model that the running system looks at all the time. Plain data: it travels between threads. */
export interface ServedParts {
  readonly sites: Model["sites"];
  readonly pools: ReadonlyMap<string, Pool>;
  readonly policies: Model["policies"];
  readonly checks: Model["checks"];
  readonly dataSets: Model["dataSets"];
  /** How many documents there are in all. */
  readonly documentCount: number;
}

/**
 * The documents behind what is served, without records and zones: those may be a million, so they stay in the compiler's thread, which
 * is asked for what is shown of them.
 */
export class ServedModel implements ServedParts {
  readonly sites: Model["sites"];
  readonly pools: ReadonlyMap<string, Pool>;
  readonly policies: Model["policies"];
  readonly checks: Model["checks"];
  readonly dataSets: Model["dataSets"];
  readonly documentCount: number;

  constructor(parts: ServedParts) {
    this.sites = parts.sites;
    this.pools = parts.pools;
    this.policies = parts.policies;
    this.checks = parts.checks;
    this.dataSets = parts.dataSets;
    this.documentCount = parts.documentCount;
  }

  /** The HealthCheck `NAMESPACE/NAME`. */
  check(namespace: string, name: string): ReturnType<Model["check"]> {
    return this.checks.get(`${namespace}/${name}`);
  }

  /** A site and those it is part of, from itself outwards (the model has refused cycles). */
  siteChain(name: string): SiteDocument[] {
    const chain: SiteDocument[] = [];
    for (let at = this.sites.get(name); at !== undefined;) {
      chain.push(at);
      at = at.spec.parent === undefined ? undefined : this.sites.get(at.spec.parent);
    }
    return chain;
  }
}

export function servedParts(model: Model): ServedParts {
  const { sites, pools, policies, checks, dataSets, documentCount } = model;
  return { sites, pools, policies, checks, dataSets, documentCount };
}
