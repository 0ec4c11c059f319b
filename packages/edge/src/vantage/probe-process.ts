// SPDX-License-Identifier: Apache-2.0

// A vantage alone: it joins as an edge does, probes, reports, and serves nothing.

import { TransitionLog } from "@meridian/health";
import { StateDir } from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";
import { CertificateRenewal } from "../link/certificate-renewal.ts";
import { readIdentity } from "../link/edge-identity.ts";
import { VantageAgent } from "./vantage-agent.ts";

export interface ProbeProcessOptions {
  readonly controls: readonly string[];
  readonly stateFolder: string;
  readonly site: string;
  readonly version: string;
  readonly logger: EdgeLogger;
}

export class ProbeProcess {
  readonly #options: ProbeProcessOptions;
  readonly #directory: StateDir;
  readonly #renewal: CertificateRenewal;
  readonly #log: TransitionLog;
  #agent: VantageAgent | undefined;
  #closing: Promise<void> | undefined;

  /** Holds the state folder from now on. Throws EDGE_NOT_JOINED, STATE_LOCKED, STATE_UNUSABLE. */
  constructor(options: ProbeProcessOptions) {
    this.#options = options;
    const { controls, stateFolder, logger } = options;
    const identity = readIdentity(stateFolder, "probe");
    this.#directory = new StateDir(stateFolder);
    this.#directory.lock();
    this.#log = new TransitionLog({
      nowMs: () => performance.now(),
      one: ({ key, verdict, reason }) =>
        logger.info("Opinion changed", { endpoint: key, verdict, reason }),
      more: (counts) => logger.info("More opinions changed", { ...counts }),
    });
    this.#renewal = new CertificateRenewal({
      controls,
      stateFolder,
      identity,
      logger,
      wallMs: () => Date.now(),
      onRenewed: () => this.#agent?.renewed(),
    });
  }

  async start(): Promise<void> {
    this.#renewal.start();
    const { controls, stateFolder, site, version, logger } = this.#options;
    this.#agent = await VantageAgent.start({
      controls,
      stateFolder,
      site,
      version,
      logger,
      identity: () => this.#renewal.identity,
      restored: () => undefined,
      onPlan: () => {},
      zoneSecrets: () => new Set(),
      onSecrets: () => {},
      onTransitions: (batch) => this.#log.add(batch),
      onSettled: () => {},
      onStore: () => {},
    });
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#renewal.close();
    await this.#agent?.close();
    this.#log.close();
    this.#directory.unlock();
  }
}
