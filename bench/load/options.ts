// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from "node:util";

/** What `npm run bench:dns` was asked to do. */
export interface Options {
  readonly isQuick: boolean;
  /** Names of servers; empty: all that are installed. */
  readonly only: readonly string[];
  readonly scenarios: readonly ScenarioName[];
  /** Seconds of each measurement. */
  readonly seconds: number;
  readonly rounds: number;
  /** Queries a second of the loader. */
  readonly rate: number;
  readonly seed: number;
  readonly flips: number;
  /** Interval of health checks under `flip`; servers that know only seconds round up. */
  readonly flipIntervalMs: number;
  readonly serverCores: string;
  readonly clientCore: number;
  /** Where results go; undefined: bench/results after a full run, .build/bench-results after a quick one. */
  readonly out: string | undefined;
  /** Leaves the servers' folders in place, for looking at their logs. */
  readonly keep: boolean;
}

/** Every scenario, in the order in which they run. */
export const scenarioNames = [
  "weighted",
  "geo",
  "failover",
  "static-small",
  "million",
  "flip",
  "reload",
  "replace",
  "change",
  "change-million",
  "health",
  "signed",
] as const;

/** The name of a scenario. */
export type ScenarioName = (typeof scenarioNames)[number];

/** Names that stand for several scenarios. */
const groups: Readonly<Record<string, readonly string[]>> = {
  small: ["weighted", "geo", "failover"],
  all: scenarioNames,
};

/** The text of `--help`. */
export const usage = `npm run bench:dns -- [options]

  --quick            2 s and 1 round each: shows that everything works, not how fast it is
  --only A,B         servers: echo, meridian, meridian-file, gdnsd, knot, powerdns (default: all that are installed)
  --scenario A,B     ${scenarioNames.join(", ")};
                     small = the first three (default: all)
  --seconds N        seconds of each measurement (default 5)
  --rounds N         rounds, in each of which every server has a turn (default 9)
  --rate N           queries a second of the fixed-rate loader (default 40000)
  --seed N           seed of names, policies and clients (default 1)
  --flips N          endpoint changes under flip (default 1000, quick 20); 40 at most where a server checks each second or less often
  --flip-interval N  milliseconds between health checks under flip (default 100); gdnsd: 2 s, PowerDNS: 1 s
  --server-cores L   cores of the server as taskset takes them (default 0)
  --client-core N    core of the client (default 1)
  --out DIR          folder for results
  --keep             keep the servers' temporary folders
`;

function isScenario(name: string): name is ScenarioName {
  return scenarioNames.some((known) => known === name);
}

/** Reads the command line; a text is what is wrong with it. */
export function readOptions(args: readonly string[]): Options | string {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean" },
        only: { type: "string" },
        scenario: { type: "string" },
        seconds: { type: "string" },
        rounds: { type: "string" },
        rate: { type: "string" },
        seed: { type: "string" },
        flips: { type: "string" },
        "flip-interval": { type: "string" },
        "server-cores": { type: "string" },
        "client-core": { type: "string" },
        out: { type: "string" },
        keep: { type: "boolean" },
      },
    }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  const isQuick = values["quick"] === true;
  const list = (name: string): readonly string[] => text(name)?.split(",").filter(Boolean) ?? [];
  const asked = (text("scenario") === undefined ? ["all"] : list("scenario")).flatMap(
    (name) => groups[name] ?? [name],
  );
  const scenarios = asked.filter(isScenario);
  const unknown = asked.find((name) => !isScenario(name));
  if (unknown !== undefined) {
    return `Cannot run scenario: name is "${unknown}", expected one of ${scenarioNames.join(", ")}, small`;
  }
  const numbers = {
    seconds: Number(text("seconds") ?? (isQuick ? 2 : 5)),
    rounds: Number(text("rounds") ?? (isQuick ? 1 : 9)),
    rate: Number(text("rate") ?? 40_000),
    seed: Number(text("seed") ?? 1),
    flips: Number(text("flips") ?? (isQuick ? 20 : 1000)),
    flipIntervalMs: Number(text("flip-interval") ?? 100),
    clientCore: Number(text("client-core") ?? 1),
  };
  for (const [name, value] of Object.entries(numbers)) {
    const least = name === "clientCore" || name === "seed" ? 0 : 1;
    if (!Number.isInteger(value) || value < least) {
      return `Cannot read option: ${name} is "${value}", expected a whole number of at least ${least}`;
    }
  }
  return {
    isQuick,
    only: list("only"),
    scenarios,
    ...numbers,
    serverCores: text("server-cores") ?? "0",
    out: text("out"),
    keep: values["keep"] === true,
  };
}
