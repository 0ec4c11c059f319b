// SPDX-License-Identifier: Apache-2.0

// What limits on responses cost a query of a whole server: one worker, with limits and without by turns, dnsperf on the other core. Each
// round gives one difference. Run: taskset -c 0 node bench/load/limits.ts [--seconds 1] [--rounds 25] [--save]

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Edge, SILENT_LOGGER } from "@meridian/edge";
import { writePieces } from "./data/files.ts";
import { randomQueries } from "./data/query-file.ts";
import { LIMITED, OWNERS } from "./limits-handler.ts";
import { cpuBetween, readCpu } from "./measure/cpu.ts";
import { runDnsperf } from "./measure/dnsperf.ts";
import { describeMachine } from "./measure/machine.ts";
import { median, percentile } from "./measure/statistics.ts";

const root = join(import.meta.dirname, "../..");
const CLIENT_CORE = 1;
const WARM_TURNS = 4;
const QUERIES = 200_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "1" },
    rounds: { type: "string", default: "25" },
    save: { type: "boolean", default: false },
  },
});

/** Microseconds of CPU of the answering thread a query. */
async function turn(edge: Edge, queryFile: string, isLimited: boolean): Promise<number> {
  edge.post({ kind: isLimited ? LIMITED : "unlimited" });
  const port = edge.addresses()[0]?.port ?? 0;
  const before = readCpu([process.pid]);
  const seconds = Number(values.seconds);
  const found = await runDnsperf({ port, queryFile, seconds, core: CLIENT_CORE });
  return cpuBetween(before, readCpu([process.pid])).busiest.total / Math.max(1, found.completed);
}

const folder = mkdtempSync(join(tmpdir(), "meridian-bench-limits-"));
const edge = new Edge({
  listen: ["127.0.0.1:0"],
  workers: 1,
  transport: "native",
  handlerModule: new URL("./limits-handler.ts", import.meta.url).href,
  logger: SILENT_LOGGER,
});
try {
  await edge.start();
  const queries = join(folder, "queries");
  const owners = Array.from({ length: OWNERS }, (_, index) => `w${index}.example.org`);
  writePieces(queries, randomQueries(owners, [], QUERIES, 1));
  for (let warm = 0; warm < WARM_TURNS; warm++) await turn(edge, queries, warm % 2 === 0);
  const rounds: { readonly without: number; readonly with: number }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const isFirst = round % 2 === 0;
    const first = await turn(edge, queries, isFirst);
    const second = await turn(edge, queries, !isFirst);
    rounds.push(isFirst ? { with: first, without: second } : { with: second, without: first });
  }
  const differences = rounds.map((round) => round.with - round.without).toSorted((a, b) => a - b);
  const date = new Date().toISOString();
  const found = {
    scenario: "limits",
    date,
    machine: await describeMachine(),
    seconds: Number(values.seconds),
    without: median(rounds.map((round) => round.without)),
    with: median(rounds.map((round) => round.with)),
    difference: median(differences),
    differenceQuartiles: [percentile(differences, 0.25), percentile(differences, 0.75)],
    share: median(rounds.map((round) => round.with / round.without - 1)),
    rounds,
  };
  const text = `${JSON.stringify(found, undefined, 1)}\n`;
  process.stdout.write(text);
  if (values.save)
    writeFileSync(join(root, `bench/results/${date.slice(0, 10)}-limits.json`), text);
} finally {
  await edge.close();
  rmSync(folder, { recursive: true });
}
