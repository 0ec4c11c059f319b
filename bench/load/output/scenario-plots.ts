// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { spread } from "../measure/statistics.ts";
import { bestYardstick, bounds } from "./budgets.ts";
import { plotBars, type Bar } from "./plot-bars.ts";
import { plotRanges, type Range } from "./plot-ranges.ts";
import type { ScenarioResult, ServerResult } from "./results.ts";
import { yardsticks } from "../servers/index.ts";

const RANGES = "Dot: median, ring: 99th percentile, line: least to greatest; logarithmic.";

/** The plot of a result, whatever it found; undefined where there is nothing to plot. */
export function plotResult(result: ScenarioResult): string | undefined {
  const { title, machine, date, settings } = result;
  const about = { title, machine, date };
  if (result.flips !== undefined) {
    const ranges = result.flips.map((server): Range => ({
      label: server.label,
      isOurs: isOurs(server.name),
      times: server.flips.map((flip) => flip.answerMs),
      note: `${server.flips.length} flips, ${lostText(server.load)}`,
    }));
    const caption = `Probe's answer to changed answer. ${RANGES}`;
    return plotRanges({ ...about, caption, ranges, boundMs: bounds.flipMs });
  }
  const disturbances = result.reloads ?? result.replaces;
  if (disturbances !== undefined) {
    const ranges = disturbances.map((server): Range => ({
      label: server.label,
      isOurs: isOurs(server.name),
      times: server.tookMs,
      note: `${server.tookMs.length}, ${lostText(server.load)}`,
    }));
    const what =
      result.reloads === undefined ? "How long a replacement takes" : "Files to changed answer";
    return plotRanges({ ...about, caption: `${what}. ${RANGES}`, ranges });
  }
  if (result.changes !== undefined) {
    const changes = result.changes.flatMap((server) => server.changes);
    const kinds = [...new Set(changes.map((change) => change.kind))];
    const ranges = kinds.map((kind): Range => {
      const times = changes.filter((change) => change.kind === kind).map((change) => change.ms);
      return { label: kind, isOurs: true, times, note: `${times.length}` };
    });
    return plotRanges({ ...about, caption: RANGES, ranges, boundMs: bounds.changeMs });
  }
  if (result.probes !== undefined) {
    const bars = result.probes.map((probe): Bar => ({
      label: probe.mode,
      isOurs: true,
      figures: {
        dark: probe.userMicrosPerProbe,
        total: probe.userMicrosPerProbe + probe.systemMicrosPerProbe,
        min: probe.userMicrosPerProbe + probe.systemMicrosPerProbe,
        max: probe.userMicrosPerProbe + probe.systemMicrosPerProbe,
      },
      note: `(${probe.probesPerSecond}/s)`,
    }));
    const caption = "CPU time a probe. Dark: user, light: system.";
    // A core has so many microseconds for each of 5,000 probes a second.
    const bound = {
      value: 1e6 / bounds.probesPerSecond,
      text: `${bounds.probesPerSecond} a second take one core`,
    };
    return plotBars({ ...about, caption, unit: "µs", bars, bound });
  }
  if (result.signed !== undefined) {
    const bars = result.signed.flatMap((found): readonly Bar[] => {
      const times = spread(found.turns.map((turn) => turn.cpuBusiest));
      if (times === undefined) return [];
      const figures = { dark: times.median, total: times.median, min: times.min, max: times.max };
      const isMeridian = found.name.startsWith("Meridian");
      return [{ label: `${found.name}: ${found.load}`, isOurs: isMeridian, figures }];
    });
    const caption =
      "CPU time of the answering thread a query with DO. Whiskers: least to greatest.";
    return plotBars({ ...about, caption, unit: "µs", bars });
  }
  const best = bestYardstick(result.servers);
  return plotBars({
    ...about,
    title: `CPU time a query: ${title}`,
    caption: `Median of ${settings.rounds} × ${settings.seconds} s, whiskers least to greatest. Dark: user, light: system.`,
    unit: "µs",
    bars: result.servers.flatMap((server) => barOf(server)),
    bound:
      best === undefined
        ? undefined
        : {
            value: best * bounds.cpuRatio,
            text: `${bounds.cpuRatio} × the better of gdnsd and Knot`,
          },
  });
}

/** Writes a result's plot beside it. */
export function savePlot(base: string, result: ScenarioResult): void {
  const plot = plotResult(result);
  if (plot !== undefined) writeFileSync(`${base}.svg`, plot);
}

/** One plot of all that saturates servers: Meridian and its yardsticks, scenario by scenario. */
export function plotOverview(results: readonly ScenarioResult[]): string | undefined {
  const shown = results.filter((result) => result.servers.length > 0);
  const [first] = shown;
  if (first === undefined) return undefined;
  const bars = shown.flatMap((result): readonly Bar[] => [
    { label: result.title, isOurs: false },
    ...result.servers
      .filter((server) => isOurs(server.name) || yardsticks.includes(server.name))
      .flatMap((server) => barOf(server)),
  ]);
  return plotBars({
    title: "CPU time a query, health checks running",
    caption:
      "Blue: Meridian. Less is better. Dark: user, light: system; whiskers: least to greatest round.",
    unit: "µs",
    bars,
    machine: first.machine,
    date: first.date,
  });
}

function barOf(server: ServerResult): readonly Bar[] {
  const total = spread(server.turns.map((turn) => turn.saturated.cpu));
  const user = spread(server.turns.map((turn) => turn.saturated.cpuUser));
  if (total === undefined || user === undefined) return [];
  const figures = { dark: user.median, total: total.median, min: total.min, max: total.max };
  return [{ label: server.label, isOurs: isOurs(server.name), figures }];
}

function isOurs(name: string): boolean {
  return name.startsWith("meridian");
}

function lostText({ lost, late }: { readonly lost: number; readonly late: number }): string {
  return `lost ${lost + late}`;
}
