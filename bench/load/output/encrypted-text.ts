// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../measure/machine.ts";
import { formatSpread, markdownTable } from "./table.ts";

const modes = { dot: "DNS over TLS", doh: "DNS over HTTPS" } as const;

/** One server's turn in one round. */
export interface EncryptedTurn {
  readonly round: number;
  readonly queriesPerSecond: number;
  readonly lost: number;
  /** Microseconds of CPU a query, of all threads together. */
  readonly cpu: number;
  /** What others used of the server's core, in cores. */
  readonly others: number;
}

/** What `encrypted.ts` leaves behind. */
export interface EncryptedResult {
  readonly scenario: "encrypted";
  readonly date: string;
  readonly machine: Machine;
  readonly settings: { readonly seconds: number; readonly sessions: number };
  readonly servers: readonly ({
    readonly name: string;
    readonly version: string;
  } & Readonly<Record<keyof typeof modes, readonly EncryptedTurn[]>>)[];
}

/** The newest result as Markdown; undefined where there is none. */
export function encryptedText(folder: string): string | undefined {
  const files = readdirSync(folder).filter((file) => file.endsWith("-encrypted.json"));
  const file = files.toSorted().at(-1);
  if (file === undefined) return undefined;
  const result: unknown = JSON.parse(readFileSync(join(folder, file), "utf8"));
  if (!isResult(result)) return undefined;
  const { machine, settings, date, servers } = result;
  const load = machine.loadAverage?.toFixed(1);
  const rows = Object.entries(modes).flatMap(([mode, label]) =>
    servers.map((server) => {
      const turns = mode === "dot" ? server.dot : server.doh;
      return [
        `${server.name} ${server.version}: ${label}`,
        formatSpread(
          turns.map(({ queriesPerSecond }) => queriesPerSecond / 1000),
          1,
        ),
        formatSpread(
          turns.map(({ cpu }) => cpu),
          1,
        ),
        String(turns.reduce((sum, { lost }) => sum + lost, 0)),
      ];
    }),
  );
  const rounds = servers[0]?.dot.length ?? 0;
  return [
    `**DNS over TLS and HTTPS, 10 names, ${settings.sessions} sessions** (${rounds} rounds of ${settings.seconds} s, ${date.slice(0, 10)};\n` +
      `${machine.cpu}, ${machine.cores} cores${load === undefined ? "" : `, load average ${load}`}, Linux ${machine.kernel.split(" ")[0] ?? ""}, dnsperf ${machine.dnsperf};\n` +
      `[every round](bench/results/${file}))`,
    markdownTable(["server", "K q/s", "CPU µs a query", "lost"], rows),
  ].join("\n\n");
}

function isResult(value: unknown): value is EncryptedResult {
  return (
    typeof value === "object" &&
    value !== null &&
    "scenario" in value &&
    value.scenario === "encrypted" &&
    "servers" in value &&
    Array.isArray(value.servers)
  );
}
