// SPDX-License-Identifier: Apache-2.0

// A vantage as a part of a process: it probes what controls say, and reports to all of them. What they say of the plan is the same where
// they serve the same revision; each has live vantages of its own, as each counts itself.

import { Pcg32, reasonOf, systemClock } from "@meridian/core";
import {
  Vantage,
  findIcmpSender,
  secretsIn,
  withSecrets,
  type ProbePlan,
  type Transition,
  type Verdict,
} from "@meridian/health";
import type { PlanSection, VantagePlan } from "@meridian/snapshot";
import type { EdgeLogger } from "../edge-logger.ts";
import type { EdgeIdentity } from "../link/edge-identity.ts";
import type { FetchSection } from "../link/edge-replica.ts";
import { PlanStore } from "./plan-store.ts";
import { ReportLink } from "./report-link.ts";
import { SecretStore } from "./secret-store.ts";

export interface VantageAgentOptions {
  readonly controls: readonly string[];
  readonly stateFolder: string;
  readonly identity: () => EdgeIdentity;
  readonly site: string;
  readonly version: string;
  readonly logger: EdgeLogger;
  /** Verdict to begin with for what is new. */
  readonly restored: (key: string) => Verdict | undefined;
  readonly onPlan: (plan: ProbePlan) => void;
  /** Secrets that zones name, which are kept with those of probes. */
  readonly zoneSecrets: () => ReadonlySet<string>;
  /** Those that are here, when they are others than before. */
  readonly onSecrets: (secrets: ReadonlyMap<string, string>) => void;
  readonly onTransitions: (batch: readonly Transition[]) => void;
  /** The control at this URL counts what this vantage says, and has heard enough to judge. */
  readonly onSettled: (url: string) => void;
  /** The control at this URL says whether it knows what its store holds. */
  readonly onStore: (url: string, isCurrent: boolean) => void;
}

export class VantageAgent {
  readonly vantage: Vantage;
  readonly #options: VantageAgentOptions;
  readonly #store: PlanStore;
  readonly #secrets: SecretStore;
  #plan: ProbePlan | undefined;
  readonly #links: readonly ReportLink[];
  #planName = "";
  /** Fetched now. */
  #fetching = "";
  /** What comes after it: the last one that was heard of meanwhile. */
  #next: { readonly section: PlanSection; readonly fetch: FetchSection } | undefined;
  /** By control: whether this vantage was in its list. */
  readonly #listed = new Set<string>();
  #isClosed = false;

  private constructor(
    options: VantageAgentOptions,
    icmp: Awaited<ReturnType<typeof findIcmpSender>>,
  ) {
    const { controls, identity, version, site, logger, stateFolder } = options;
    this.#options = options;
    this.#store = new PlanStore(stateFolder, logger);
    this.#secrets = new SecretStore(stateFolder, identity, logger);
    this.#links = controls.map(
      (url) =>
        new ReportLink({
          url,
          identity,
          version,
          site,
          logger,
          onOpen: () => this.vantage.tick(),
          onSecrets: (sealed, shown) => this.#takeSecrets(sealed, shown),
          onPlan: (message, fetch) => this.#hear(url, message, fetch),
        }),
    );
    this.vantage = new Vantage({
      name: identity().edge,
      site,
      clock: systemClock,
      random: new Pcg32((Math.random() * 2 ** 32) >>> 0),
      ...(icmp.available ? { icmpSender: icmp.sender } : {}),
      onReport: (payload) => {
        for (const link of this.#links) link.report(payload);
      },
      onTransitions: options.onTransitions,
    });
  }

  /** Probes what was kept, and dials. */
  static async start(options: VantageAgentOptions): Promise<VantageAgent> {
    const agent = new VantageAgent(options, await findIcmpSender());
    agent.#secrets.load();
    options.onSecrets(agent.#secrets.values);
    const kept = agent.#store.load();
    if (kept !== undefined) agent.#adopt(kept.name, kept.plan);
    agent.vantage.start();
    for (const link of agent.#links) link.start();
    return agent;
  }

  /** The certificate is another one: what is kept is sealed to it. */
  renewed(): void {
    this.#secrets.reseal();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of this.#links) link.close();
    await this.vantage.close();
  }

  #hear(url: string, { plan, isSettled, isCurrent, live }: VantagePlan, fetch: FetchSection): void {
    const name = this.#options.identity().edge;
    this.#options.onStore(url, isCurrent);
    if (live !== undefined) {
      this.vantage.setLive(url, live);
      if (live.some((each) => each.name === name)) this.#listed.add(url);
      else this.#listed.delete(url);
    }
    if (isSettled && this.#listed.has(url)) this.#options.onSettled(url);
    if (plan !== undefined && plan.name !== this.#planName) this.#fetch(plan, fetch);
  }

  /** One at a time: where plans change faster than they are fetched, each that was fetched is taken, as there would never be one otherwise. */
  #fetch(section: PlanSection, fetch: FetchSection): void {
    if (this.#fetching !== "") {
      this.#next = this.#fetching === section.name ? undefined : { section, fetch };
      return;
    }
    this.#fetching = section.name;
    this.#fetchPlan(section, fetch)
      .catch((error: unknown) => {
        if (this.#isClosed) return;
        this.#options.logger.error("Cannot take the plan of what is probed", {
          reason: reasonOf(error),
        });
      })
      .finally(() => {
        // What failed is tried again when control speaks next.
        this.#fetching = "";
        const next = this.#next;
        this.#next = undefined;
        if (next !== undefined && next.section.name !== this.#planName && !this.#isClosed)
          this.#fetch(next.section, next.fetch);
      });
  }

  async #fetchPlan(section: PlanSection, fetch: FetchSection): Promise<void> {
    const refusal = this.#store.refusal(section);
    if (refusal !== undefined) throw new Error(refusal);
    const content = await fetch(section.name, section.bytes);
    if (this.#isClosed) return;
    // A copy: what is decoded may not be shared.
    const plan = this.#store.take(section, new Uint8Array(content).slice());
    if (typeof plan === "string") throw new Error(plan);
    this.#adopt(section.name, plan);
  }

  #adopt(name: string, plan: ProbePlan): void {
    this.#planName = name;
    this.#plan = plan;
    this.#secrets.keepOnly(secretsIn(plan).union(this.#options.zoneSecrets()));
    this.#aim();
    this.#options.onPlan(plan);
    this.#options.logger.info("Probing", { targets: this.vantage.targets.size });
  }

  #aim(): void {
    if (this.#plan !== undefined)
      this.vantage.setPlan(withSecrets(this.#plan, this.#secrets.values), this.#options.restored);
  }

  #takeSecrets(sealed: Uint8Array, shown: EdgeIdentity): void {
    const isNew = this.#secrets.take(shown, sealed);
    if (isNew === undefined)
      this.#options.logger.error("Refused secrets that are not sealed to this edge", {});
    if (isNew !== true) return;
    this.#aim();
    this.#options.onSecrets(this.#secrets.values);
  }
}
