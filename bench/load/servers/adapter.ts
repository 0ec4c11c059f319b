// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import type { AnswerMode } from "../data/answers.ts";
import type { ServicePlan } from "../data/plan.ts";
import type { Net } from "../data/regions.ts";

/** What kind of work a scenario asks of a server; each adapter says which it can do. */
export type Workload = "weighted" | "geo" | "failover" | "static" | "mixed";

/** How often endpoints are probed, and after how many equal results their state changes. */
export interface CheckPlan {
  readonly port: number;
  readonly intervalSeconds: number;
  readonly threshold: number;
  /** Nothing is probed, and every endpoint is healthy. */
  readonly isDisabled?: boolean;
}

/** Everything that an adapter needs to write a server's configuration and start it. */
export interface Serving {
  readonly workload: Workload;
  readonly plan: ServicePlan;
  readonly nets: readonly Net[];
  readonly check: CheckPlan;
  /** A folder for this server alone, empty at first. */
  readonly folder: string;
  /** Where it answers DNS on 127.0.0.1. */
  readonly port: number;
  /** A port for whatever else it serves. */
  readonly controlPort: number;
  /** How Meridian's zones are signed, if they are. */
  readonly dnssec?: "nsec" | "compact";
  /** Cores as taskset takes them. */
  readonly cores: string;
}

/** One rival. Each runs as an ordinary process from its own folder. */
export interface ServerAdapter {
  /** Short and unique: the key in results. */
  readonly name: string;
  /** How tables call it in a workload. */
  label(workload: Workload): string;
  /** What its answers are checked against; undefined where it does not answer at all. */
  readonly answers: (workload: Workload) => AnswerMode | undefined;
  /** Its version, or undefined where the program is missing. */
  version(): Promise<string | undefined>;
  serves(workload: Workload): boolean;
  /** Shortest interval between two checks of an endpoint that it can be given, in seconds; left out where it checks none. */
  readonly checkSecondsLeast?: number;
  /** Writes every file that `start` needs. Not counted as load time. */
  configure(serving: Serving): void;
  start(serving: Serving): ChildProcess;
  /** Whether the server itself says that it is ready; left out where only its answers tell. */
  ready?(serving: Serving): Promise<boolean>;
  /** Starts it from what it kept on disk alone, without what it is configured from; left out where it keeps nothing. */
  startStored?(serving: Serving): ChildProcess;
  /** Bytes of the newest snapshot that it keeps on disk; undefined before there is one. */
  snapshotBytes?(serving: Serving): number | undefined;
  /** When it had compiled what it was configured from, wall milliseconds; undefined before. */
  compiledAt?(serving: Serving): number | undefined;
  /**
   * Replaces the process that answers by a new one, its sockets handed over; left out where it cannot. Gives the new process, which
   * the old one ends for; undefined where the server starts that itself and it answers by now.
   */
  replace?(serving: Serving): Promise<ChildProcess | undefined>;
  /** Ends processes that are no children of the benchmark. */
  stop?(serving: Serving): Promise<void>;
  /** Rewrites what differs from the plan that runs and makes the server take it; left out where it cannot. */
  reload?(serving: Serving): Promise<void>;
}
