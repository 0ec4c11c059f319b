// SPDX-License-Identifier: Apache-2.0
import { median, percentile, spread } from "../measure/statistics.ts";
import { yardsticks } from "../servers/index.ts";
import type { FlipResult, ReloadResult, ScenarioResult, ServerResult, Turn } from "./results.ts";

/** A scenario's result as a Markdown table. */
export function formatResult(result: ScenarioResult): string {
  if (result.flips !== undefined) return flipTable(result.flips);
  if (result.reloads !== undefined) return reloadTable(result.reloads);
  return throughputTable(result);
}

/** Median CPU time a query of the better of the yardsticks; undefined where none of them ran. */
export function bestYardstick(servers: readonly ServerResult[]): number | undefined {
  const medians = servers
    .filter((server) => yardsticks.includes(server.name) && server.turns.length > 0)
    .map((server) => median(server.turns.map((turn) => turn.saturated.cpu)));
  return medians.length > 0 ? Math.min(...medians) : undefined;
}

function throughputTable({ servers, settings }: ScenarioResult): string {
  const best = bestYardstick(servers);
  const rows = servers.map((server) => {
    const of = (pick: (turn: Turn) => number): string => formatSpread(server.turns.map(pick), 2);
    const cpu = server.turns.map((turn) => turn.saturated.cpu);
    const sum = (pick: (turn: Turn) => number): number =>
      server.turns.reduce((total, turn) => total + pick(turn), 0);
    return [
      `${server.label} ${server.version}`,
      formatSpread(
        server.turns.map((turn) => turn.saturated.queriesPerSecond / 1000),
        0,
      ),
      of((turn) => turn.saturated.cpu),
      `${middle(server, (turn) => turn.saturated.cpuUser)} + ${middle(server, (turn) => turn.saturated.cpuSystem)}`,
      middle(server, (turn) => turn.saturated.cpuBusiest),
      best === undefined || cpu.length === 0 ? "–" : (median(cpu) / best).toFixed(2),
      `${middle(server, (turn) => turn.fixed.p50, 0)} / ${middle(server, (turn) => turn.fixed.p99, 0)}`,
      String(sum((turn) => turn.fixed.lost + turn.fixed.late)),
      `${sum((turn) => turn.fixed.wrong)} / ${sum((turn) => turn.fixed.checked)}`,
      `${(server.loadMs / 1000).toFixed(2)} / ${server.warmLoadMs === undefined ? "–" : (server.warmLoadMs / 1000).toFixed(2)}`,
      String(Math.round(server.residentBytes / (1 << 20))),
      (server.idleCores * 100).toFixed(1),
      middle(server, (turn) => turn.saturated.others * 100, 0),
    ];
  });
  const rate = `${settings.rate / 1000} K q/s`;
  return markdownTable(
    [
      "server",
      "K q/s",
      "CPU µs a query",
      "user + system",
      "answering thread",
      "× best of gdnsd, Knot",
      `p50 / p99 µs at ${rate}`,
      "lost",
      "wrong / checked",
      "load s (first / again)",
      "memory MiB",
      "idle, % of a core",
      "others, % of its core",
    ],
    rows,
  );
}

function flipTable(flips: readonly FlipResult[]): string {
  const rows = flips.map((server) => {
    const answers = server.flips.map((flip) => flip.answerMs);
    const detects = server.flips.map((flip) => flip.detectMs);
    const of = (values: readonly number[], share: number): string =>
      percentile(values, share)?.toFixed(2) ?? "–";
    return [
      `${server.label} ${server.version}`,
      String(server.flips.length),
      String(server.missed),
      `${of(answers, 0.5)} / ${of(answers, 0.99)}`,
      `${of(detects, 0.5)} / ${of(detects, 1)}`,
      String(server.load.lost + server.load.late),
    ];
  });
  return markdownTable(
    [
      "server",
      "flips",
      "missed",
      "probe result to answer, p50 / p99 ms",
      "change to probe result, p50 / max ms",
      "lost",
    ],
    rows,
  );
}

function reloadTable(reloads: readonly ReloadResult[]): string {
  const rows = reloads.map((server) => [
    `${server.label} ${server.version}`,
    String(server.appliedMs.length),
    String(server.missed),
    `${Math.round(server.load.rate / 1000)} of ${Math.round(server.queriesPerSecondMax / 1000)}`,
    `${server.load.lost + server.load.late} of ${server.load.sent}`,
    `${Math.round(server.load.p50)} / ${Math.round(server.load.p99)}`,
    formatSpread(server.appliedMs, 0),
  ]);
  return markdownTable(
    [
      "server",
      "reloads",
      "missed",
      "load, K q/s",
      "lost",
      "p50 / p99 µs",
      "files to changed answer, ms",
    ],
    rows,
  );
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
