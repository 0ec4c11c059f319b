// SPDX-License-Identifier: Apache-2.0
import { runProgram } from "./program.ts";

/** What one run of dnsperf found. */
export interface DnsperfResult {
  readonly sent: number;
  readonly completed: number;
  readonly lost: number;
  readonly queriesPerSecond: number;
  /** Average latency in microseconds. */
  readonly latency: number;
  /** Answers by rcode name. */
  readonly rcodes: Readonly<Record<string, number>>;
}

/** How dnsperf drives a server. */
export interface DnsperfOptions {
  readonly port: number;
  /** Queries in the TCP stream format, see `query-file.ts`. */
  readonly queryFile: string;
  readonly seconds: number;
  /** The core that dnsperf runs on. */
  readonly core: number;
}

// Several sockets, so that the queries spread as those of several resolvers; 500 outstanding queries keep a server of 200,000 q/s busy.
const CLIENTS = 8;
const OUTSTANDING = 500;

/** Drives a server with as many queries as it answers. Throws if dnsperf fails. */
export async function runDnsperf(options: DnsperfOptions): Promise<DnsperfResult> {
  const output = await runProgram("taskset", [
    ...["-c", String(options.core), "dnsperf"],
    ...["-s", "127.0.0.1", "-p", String(options.port), "-d", options.queryFile, "-B"],
    ...["-c", String(CLIENTS), "-T", "1", "-q", String(OUTSTANDING), "-t", "1"],
    ...["-l", String(options.seconds)],
  ]);
  return parseDnsperf(output);
}

/** Reads the statistics that dnsperf prints at its end. Throws where a figure is missing. */
export function parseDnsperf(output: string): DnsperfResult {
  const figure = (label: string): number => {
    const found = new RegExp(`^\\s*${label}:\\s+([0-9.]+)`, "m").exec(output)?.[1];
    if (found === undefined) {
      throw new Error(
        `Cannot read dnsperf output: no "${label}" in ${JSON.stringify(output.slice(-400))}`,
      );
    }
    return Number(found);
  };
  const rcodes: Record<string, number> = {};
  const line = /^\s*Response codes:\s+(.*)$/m.exec(output)?.[1] ?? "";
  for (const [, name, count] of line.matchAll(/([A-Z0-9]+) (\d+) \([^)]*\)/g)) {
    if (name !== undefined) rcodes[name] = Number(count);
  }
  return {
    sent: figure("Queries sent"),
    completed: figure("Queries completed"),
    lost: figure("Queries lost"),
    queriesPerSecond: figure("Queries per second"),
    latency: figure("Average Latency \\(s\\)") * 1e6,
    rcodes,
  };
}
