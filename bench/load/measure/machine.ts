// SPDX-License-Identifier: Apache-2.0
import { cpus, loadavg, release, totalmem, version } from "node:os";
import { outputOf } from "./program.ts";

/** Where a run was made. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly dnsperf: string;
  /** Processes that wanted to run in the last 15 minutes, on average: about 2 is the benchmark itself, more is others. */
  readonly loadAverage?: number;
}

/** Describes this machine. */
export async function describeMachine(): Promise<Machine> {
  const models = cpus();
  return {
    cpu: models[0]?.model.trim() ?? "unknown",
    cores: models.length,
    memoryBytes: totalmem(),
    kernel: `${release()} ${version()}`,
    node: process.version,
    dnsperf: /Version (\S+)/.exec(await outputOf("dnsperf", ["-h"]))?.[1] ?? "unknown",
    loadAverage: loadavg()[2] ?? 0,
  };
}
