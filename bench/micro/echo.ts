// SPDX-License-Identifier: Apache-2.0

/**
 * CPU time of the transports for one query, without any DNS: an edge whose handler echoes, beside a C echo as the
 * floor. The server has one core, dnsperf the other; rivals take turns. Run with the machine otherwise idle:
 *
 *   node bench/micro/echo.ts [--rounds 9] [--seconds 2] [--only native]
 *
 * Columns: median and spread of CPU time per answered query (user + system, whole process), user and system alone,
 * queries per second, and packets per turn (what one recvmmsg brought).
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { Edge, SILENT_LOGGER } from "@meridian/edge";

import { encodeQuery } from "../load/data/query-file.ts";
import { cpuBetween, processTree, readCpu } from "../load/measure/cpu.ts";
import { runDnsperf } from "../load/measure/dnsperf.ts";
import { buildNative, nativePath } from "../load/measure/native.ts";
import { freePort, pidOf, startPiped, stopProgram } from "../load/measure/program.ts";
import { median, spread, turns } from "../load/measure/statistics.ts";

const SERVER_CORE = "0";
const CLIENT_CORE = 1;
const WARM_SECONDS = 1;

const RIVALS = ["floor", "native", "wildcard", "both-families", "dgram"] as const;
type Rival = (typeof RIVALS)[number];

interface Round {
  readonly total: number;
  readonly user: number;
  readonly system: number;
  readonly queriesPerSecond: number;
  readonly packetsPerTurn: number | undefined;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    seconds: { type: "string", default: "2" },
    only: { type: "string" },
    serve: { type: "string" },
    port: { type: "string", default: "0" },
  },
});
if (values.serve === undefined) await compare();
else await serve(values.serve, Number(values.port));

/** The server's process: runs until its input ends; a line asks for its counters. */
async function serve(rival: string, port: number): Promise<void> {
  const listen: Readonly<Record<string, readonly string[]>> = {
    wildcard: [`0.0.0.0:${port}`],
    "both-families": [`127.0.0.1:${port}`, `[::1]:${port}`],
  };
  const edge = new Edge({
    listen: listen[rival] ?? [`127.0.0.1:${port}`],
    workers: 1,
    transport: rival === "dgram" ? "dgram" : "native",
    handlerModule: new URL("echo-handler.ts", import.meta.url),
    logger: SILENT_LOGGER,
  });
  await edge.start();
  const tell = (): void => void process.stdout.write(`${JSON.stringify(edge.status().counts)}\n`);
  tell();
  for await (const _line of process.stdin) tell();
  await edge.close();
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-echo-"));
  try {
    const queryFile = join(folder, "queries");
    writeFileSync(queryFile, encodeQuery("weighted.example.org", undefined));
    const chosen = RIVALS.filter((rival) => values.only === undefined || rival === values.only);
    const rounds = new Map<Rival, Round[]>(chosen.map((rival) => [rival, []]));
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const rival of turns(chosen, round)) {
        rounds.get(rival)?.push(await measure(rival, queryFile));
      }
    }
    for (const [rival, results] of rounds) process.stdout.write(`${describe(rival, results)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One server, fresh, warmed up, then driven to saturation. */
async function measure(rival: Rival, queryFile: string): Promise<Round> {
  const port = await freePort();
  const child = await start(rival, port);
  const line = lineReader(child.stdout);
  try {
    await line();
    await runDnsperf({ port, queryFile, seconds: WARM_SECONDS, core: CLIENT_CORE });
    const counts = async (): Promise<Record<string, number>> => {
      if (rival === "floor") return {};
      child.stdin?.write("?\n");
      return readCounts(await line());
    };
    const countsBefore = await counts();
    const pids = processTree(pidOf(child));
    const before = readCpu(pids);
    const seconds = Number(values.seconds);
    const result = await runDnsperf({ port, queryFile, seconds, core: CLIENT_CORE });
    const spent = cpuBetween(before, readCpu(pids));
    const countsAfter = await counts();
    const gained = (name: string): number => (countsAfter[name] ?? 0) - (countsBefore[name] ?? 0);
    return {
      total: spent.total / result.completed,
      user: spent.user / result.completed,
      system: spent.system / result.completed,
      queriesPerSecond: result.queriesPerSecond,
      packetsPerTurn: rival === "floor" ? undefined : gained("packetsReceived") / gained("turns"),
    };
  } finally {
    await stopProgram(child);
  }
}

async function start(rival: Rival, port: number): Promise<ReturnType<typeof startPiped>> {
  if (rival !== "floor") {
    const script = createRequire(import.meta.url).resolve("./echo.ts");
    const parameters = ["--serve", rival, "--port", String(port)];
    return startPiped(SERVER_CORE, process.execPath, [script, ...parameters]);
  }
  if ((await buildNative("echo")) === undefined) throw new Error("Cannot build the C echo");
  return startPiped(SERVER_CORE, nativePath("echo"), ["127.0.0.1", String(port)]);
}

function lineReader(stream: NodeJS.ReadableStream | null): () => Promise<string> {
  if (stream === null) throw new Error("Cannot read from the server: it has no output");
  const chunks = stream[Symbol.asyncIterator]();
  return async () => String((await chunks.next()).value);
}

function readCounts(line: string): Record<string, number> {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== "object" || parsed === null) return {};
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, Number(value)]));
}

function describe(rival: Rival, rounds: readonly Round[]): string {
  const middle = (read: (round: Round) => number): string => median(rounds.map(read)).toFixed(2);
  const total = spread(rounds.map((round) => round.total));
  const rate = Math.round(median(rounds.map((round) => round.queriesPerSecond)));
  const perTurn = rounds.every((round) => round.packetsPerTurn === undefined)
    ? ""
    : `  ${middle((round) => round.packetsPerTurn ?? 0)} packets/turn`;
  return [
    rival.padEnd(14),
    `${total?.median.toFixed(2)} µs/query (${total?.min.toFixed(2)} to ${total?.max.toFixed(2)})`,
    `  user ${middle((round) => round.user)}  system ${middle((round) => round.system)}`,
    `  ${rate} q/s${perTurn}`,
  ].join("");
}
