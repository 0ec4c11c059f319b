// SPDX-License-Identifier: Apache-2.0
import { percentile, spread } from "../measure/statistics.ts";
import type { ProbeBenchResult } from "../../micro/health-probes.ts";
import { ratioText } from "./budgets.ts";
import type {
  ChangeResult,
  DisturbanceResult,
  FlipResult,
  SignedResult,
  Loading,
  ScenarioResult,
  ServerResult,
  Turn,
} from "./results.ts";

/** A scenario's result as Markdown tables. */
export function formatResult(result: ScenarioResult): string {
  if (result.flips !== undefined) return flipTable(result.flips);
  if (result.reloads !== undefined)
    return disturbanceTable(result.reloads, "reloads", "files to changed answer, ms");
  if (result.replaces !== undefined)
    return disturbanceTable(result.replaces, "replacements", "one replacement, ms");
  if (result.changes !== undefined) return changeTable(result.changes);
  if (result.probes !== undefined) return probeTable(result.probes);
  if (result.signed !== undefined) return signedTable(result.signed);
  const throughput = throughputTable(result);
  return result.scenario === "million"
    ? `${throughput}\n\n${loadingTable(result.servers)}`
    : throughput;
}

function throughputTable({ servers, settings }: ScenarioResult): string {
  const rows = servers.map((server) => {
    const sum = (pick: (turn: Turn) => number): number =>
      server.turns.reduce((total, turn) => total + pick(turn), 0);
    return [
      `${server.label} ${server.version}`,
      formatSpread(
        server.turns.map((turn) => turn.saturated.queriesPerSecond / 1000),
        0,
      ),
      formatSpread(
        server.turns.map((turn) => turn.saturated.cpu),
        2,
      ),
      `${middle(server, (turn) => turn.saturated.cpuUser)} + ${middle(server, (turn) => turn.saturated.cpuSystem)}`,
      middle(server, (turn) => turn.saturated.cpuBusiest),
      ratioText(server, servers),
      `${middle(server, (turn) => turn.fixed.p50, 0)} / ${middle(server, (turn) => turn.fixed.p99, 0)}`,
      String(sum((turn) => turn.fixed.lost + turn.fixed.late)),
      `${sum((turn) => turn.fixed.wrong)} / ${sum((turn) => turn.fixed.checked)}`,
      (server.idleCores * 100).toFixed(1),
      middle(server, (turn) => turn.saturated.others * 100, 0),
    ];
  });
  return markdownTable(
    [
      "server",
      "K q/s",
      "CPU µs a query",
      "user + system",
      "answering thread",
      "× best of gdnsd, Knot",
      `p50 / p99 µs at ${settings.rate / 1000} K q/s`,
      "lost",
      "wrong / checked",
      "idle, % of a core",
      "others, % of its core",
    ],
    rows,
  );
}

const ways: Readonly<Record<Loading["way"], string>> = {
  first: "from its configuration",
  again: "again, with what it kept on disk",
  stored: "from disk alone",
};

function loadingTable(servers: readonly ServerResult[]): string {
  const mebibytes = (bytes: number): string => String(Math.round(bytes / (1 << 20)));
  const rows = servers
    .filter((server) => server.name !== "echo")
    .flatMap((server) =>
      server.loadings.map(({ way, readyMs, saidMs, compiledMs, memory, snapshotBytes }) => [
        `${server.label}, ${ways[way]}`,
        (readyMs / 1000).toFixed(2),
        saidMs === undefined ? "–" : (saidMs / 1000).toFixed(2),
        compiledMs === undefined ? "–" : (compiledMs / 1000).toFixed(2),
        mebibytes(memory.resident),
        mebibytes(memory.anonymous),
        mebibytes(memory.file + memory.shared),
        mebibytes(memory.peak),
        snapshotBytes === undefined ? "–" : mebibytes(snapshotBytes),
      ]),
    );
  return markdownTable(
    [
      "how it came up",
      "ready s",
      "API ready s",
      "compiled s",
      "resident MiB",
      "of it heaps and buffers",
      "of it mapped",
      "peak MiB",
      "snapshot MiB",
    ],
    rows,
  );
}

function flipTable(flips: readonly FlipResult[]): string {
  const rows = flips.map((server) => [
    `${server.label} ${server.version}`,
    `${server.checkIntervalSeconds} s`,
    String(server.flips.length),
    String(server.missed),
    String(server.unasked),
    percentiles(
      server.flips.map((flip) => flip.answerMs),
      2,
    ),
    percentiles(
      server.flips.map((flip) => flip.detectMs),
      0,
    ),
    ...loadCells(server),
  ]);
  return markdownTable(
    [
      "server",
      "check every",
      "flips",
      "missed",
      "unasked changes",
      "probe result to answer, p50 / p99 / max ms",
      "change to probe result, p50 / p99 / max ms",
      ...loadHeads,
    ],
    rows,
  );
}

function disturbanceTable(
  found: readonly DisturbanceResult[],
  what: string,
  times: string,
): string {
  const rows = found.map((server) => [
    `${server.label} ${server.version}`,
    String(server.tookMs.length),
    String(server.missed),
    ...loadCells(server),
    formatSpread(server.tookMs, 0),
  ]);
  return markdownTable(["server", what, "missed", ...loadHeads, times], rows);
}

function changeTable(found: readonly ChangeResult[]): string {
  const rows = found.flatMap((server) => {
    const kinds = [...new Set(server.changes.map((change) => change.kind))];
    const row = (kind: string, changes: ChangeResult["changes"]): readonly string[] => [
      `${server.label} ${server.version}: ${kind}`,
      String(changes.length),
      percentiles(
        changes.map((change) => change.ms),
        0,
      ),
    ];
    return [
      ...kinds.map((kind) =>
        row(
          kind,
          server.changes.filter((change) => change.kind === kind),
        ),
      ),
      row(server.missed === 0 ? "all" : `all, ${server.missed} missed`, server.changes),
    ];
  });
  return markdownTable(["change", "times", "file changed to answer, p50 / p99 / max ms"], rows);
}

function probeTable(probes: readonly ProbeBenchResult[]): string {
  const rows = probes.map((probe) => [
    `Meridian, ${probe.mode}`,
    `${probe.probesPerSecond} of ${probe.demandedPerSecond}`,
    `${probe.userMicrosPerProbe} + ${probe.systemMicrosPerProbe}`,
    String(probe.corePercent),
    String(probe.timedOut),
    String(probe.delayed),
  ]);
  return markdownTable(
    [
      "prober",
      "probes a second",
      "CPU µs a probe, user + system",
      "% of a core",
      "timed out",
      "late",
    ],
    rows,
  );
}

function signedTable(found: readonly SignedResult[]): string {
  const rows = found.map(({ name, version, load, turns }) => {
    const sum = (state: "ready" | "made" | "refused"): number =>
      turns.reduce((total, turn) => total + (turn.signatures?.[state] ?? 0), 0);
    const all = sum("ready") + sum("made") + sum("refused");
    return [
      `${name} ${version}: ${load}`,
      formatSpread(
        turns.map((turn) => turn.queriesPerSecond / 1000),
        1,
      ),
      formatSpread(
        turns.map((turn) => turn.cpuBusiest),
        2,
      ),
      formatSpread(
        turns.map((turn) => turn.cpu),
        2,
      ),
      ...(["ready", "made", "refused"] as const).map((state) =>
        all === 0 ? "–" : ((sum(state) / all) * 100).toFixed(2),
      ),
      String(turns.reduce((total, turn) => total + turn.lost, 0)),
    ];
  });
  return markdownTable(
    [
      "server: queries with DO",
      "K q/s",
      "answering thread, CPU µs a query",
      "all threads",
      "signatures ready, %",
      "made, %",
      "refused, %",
      "lost",
    ],
    rows,
  );
}

const loadHeads = [
  ...["load, K q/s", "lost", "late", "p50 / p99 µs", "loader behind, ms", "left out by the loader"],
];

/** What a server answered while something was done to it. */
function loadCells({
  load,
  queriesPerSecondMax,
}: Pick<DisturbanceResult, "load" | "queriesPerSecondMax">): readonly string[] {
  return [
    `${Math.round(load.rate / 1000)} of ${Math.round(queriesPerSecondMax / 1000)}`,
    `${load.lost} of ${load.sent}`,
    String(load.late),
    `${Math.round(load.p50)} / ${Math.round(load.p99)}`,
    (load.behindMax / 1000).toFixed(0),
    load.skipped === undefined ? "–" : String(load.skipped),
  ];
}

function percentiles(values: readonly number[], digits: number): string {
  return [0.5, 0.99, 1]
    .map((share) => percentile(values, share)?.toFixed(digits) ?? "–")
    .join(" / ");
}

/** Text, then numbers aligned to the right. */
export function markdownTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const rule = heads.map((_head, index) => (index === 0 ? "---" : "---:"));
  return [heads, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function middle(server: ServerResult, pick: (turn: Turn) => number, digits = 2): string {
  return spread(server.turns.map(pick))?.median.toFixed(digits) ?? "–";
}

/** `median (min–max)`. */
export function formatSpread(values: readonly number[], digits: number): string {
  const found = spread(values);
  if (found === undefined) return "–";
  const [middleText, min, max] = [found.median, found.min, found.max].map((value) =>
    value.toFixed(digits),
  );
  return values.length === 1 ? `${middleText}` : `${middleText} (${min}–${max})`;
}
