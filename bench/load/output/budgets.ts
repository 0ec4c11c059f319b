// SPDX-License-Identifier: Apache-2.0
import { median, percentile, spread } from "../measure/statistics.ts";
import { yardsticks } from "../servers/index.ts";
import type { DisturbanceResult, Loading, ScenarioResult, ServerResult } from "./results.ts";

// What Meridian promises, and whether newest results keep it. Computed here and nowhere written by hand.

/** The promises. */
export const bounds = {
  /** CPU time a query, as a share of that of the better of gdnsd and Knot. */
  cpuRatio: 1.05,
  millionBytes: 160e6,
  storedReadyMs: 300,
  masterFileReadyMs: 2000,
  documentsReadyMs: 10_000,
  flips: 1000,
  flipMs: 1,
  reloads: 20,
  replaces: 60,
  changeMs: 100,
  probesPerSecond: 5000,
  signedShare: 0.8,
} as const;

/** One promise beside what was measured. */
export interface Budget {
  readonly goal: string;
  readonly bound: string;
  readonly found: string;
  readonly verdict: string;
}

/** Median CPU time a query of the better of the yardsticks; undefined where none of them ran. */
export function bestYardstick(servers: readonly ServerResult[]): number | undefined {
  const best = bestServer(servers);
  return best === undefined ? undefined : median(cpuOf(best));
}

/** A server's median in units of the better yardstick's, with the least and greatest ratio within a round. */
export function ratioText(server: ServerResult, servers: readonly ServerResult[]): string {
  const ratio = ratioOf(server, servers);
  if (ratio === undefined) return "–";
  const { least, most } = ratio;
  const range = least === most ? "" : ` (${least.toFixed(2)}–${most.toFixed(2)})`;
  return `${ratio.median.toFixed(2)}${range}`;
}

/** Every promise of which a result tells something. */
export function budgetsOf(results: readonly ScenarioResult[]): readonly Budget[] {
  return results.flatMap((result) => [
    ...cpuBudgets(result),
    ...loadingBudgets(result),
    ...flipBudgets(result),
    ...disturbanceBudgets(result),
    ...changeBudgets(result),
    ...probeBudgets(result),
    ...signedBudgets(result),
  ]);
}

function cpuBudgets(result: ScenarioResult): readonly Budget[] {
  const ours = result.servers.find((server) => server.name === "meridian");
  const ratio = ours === undefined ? undefined : ratioOf(ours, result.servers);
  if (ours === undefined || ratio === undefined) return [];
  return [
    {
      goal: `CPU time a query: ${result.title}`,
      bound: `≤ ${bounds.cpuRatio} × ${bestServer(result.servers)?.label ?? ""}`,
      found: `${ratioText(ours, result.servers)} ×`,
      verdict: verdictOf(ratio.median, bounds.cpuRatio),
    },
  ];
}

function loadingBudgets(result: ScenarioResult): readonly Budget[] {
  if (result.scenario !== "million") return [];
  const loading = (server: string, way: Loading["way"]): Loading | undefined =>
    result.servers.find((each) => each.name === server)?.loadings.find((each) => each.way === way);
  const stored = loading("meridian", "stored") ?? loading("meridian", "again");
  const { title } = result;
  return [
    ready(`Ready from disk: ${title}`, loading("meridian", "again"), bounds.storedReadyMs),
    ready("Ready from a master file", loading("meridian-file", "first"), bounds.masterFileReadyMs),
    ready("Ready from JSON documents", loading("meridian", "first"), bounds.documentsReadyMs),
    bytes("Bytes of the snapshot", stored?.snapshotBytes),
    bytes("Resident memory of the edge alone", stored?.memory.resident),
  ].flat();
}

function ready(goal: string, loading: Loading | undefined, boundMs: number): readonly Budget[] {
  if (loading === undefined) return [];
  return [
    {
      goal,
      bound: `≤ ${boundMs / 1000} s`,
      found: `${(loading.readyMs / 1000).toFixed(2)} s`,
      verdict: verdictOf(loading.readyMs, boundMs),
    },
  ];
}

function bytes(goal: string, found: number | undefined): readonly Budget[] {
  if (found === undefined) return [];
  return [
    {
      goal,
      bound: `≤ ${bounds.millionBytes / 1e6} MB`,
      found: `${Math.round(found / 1e6)} MB`,
      verdict: verdictOf(found, bounds.millionBytes),
    },
  ];
}

function flipBudgets({ flips = [] }: ScenarioResult): readonly Budget[] {
  const ours = flips.find((server) => server.name === "meridian");
  const p99 = percentile(ours?.flips.map((flip) => flip.answerMs) ?? [], 0.99);
  if (ours === undefined || p99 === undefined) return [];
  return [
    {
      goal: "Flip to changed answer at 70 % load, 99th percentile",
      bound: `≤ ${bounds.flipMs} ms`,
      found: `${p99.toFixed(2)} ms`,
      verdict: verdictOf(p99, bounds.flipMs),
    },
    lossBudget("Flips at 70 % load", ours.flips.length, bounds.flips, ours.load),
  ];
}

function disturbanceBudgets({ reloads, replaces }: ScenarioResult): readonly Budget[] {
  const ours = (found: readonly DisturbanceResult[] = []): readonly DisturbanceResult[] =>
    found.filter((server) => server.name === "meridian");
  return [
    ...ours(reloads).map(({ tookMs, load }) =>
      lossBudget("Reloads at 70 % load", tookMs.length, bounds.reloads, load),
    ),
    ...ours(replaces).map(({ tookMs, load }) =>
      lossBudget("Processes replaced at 70 % load", tookMs.length, bounds.replaces, load),
    ),
  ];
}

function lossBudget(
  goal: string,
  done: number,
  wanted: number,
  load: { readonly lost: number; readonly late: number; readonly sent: number },
): Budget {
  const lost = load.lost + load.late;
  const faults = [
    ...(done < wanted ? [`${wanted - done} not done`] : []),
    ...(lost > 0 ? [`${perMillion(lost, load.sent)} in a million lost`] : []),
  ];
  return {
    goal,
    bound: `${wanted}, 0 queries lost`,
    found: `${done}, ${lost} of ${load.sent} lost`,
    verdict: faults.length === 0 ? "met" : `**missed**: ${faults.join(", ")}`,
  };
}

function changeBudgets({ changes = [], title }: ScenarioResult): readonly Budget[] {
  return changes.flatMap((server) => {
    const p99 = percentile(
      server.changes.map((change) => change.ms),
      0.99,
    );
    if (p99 === undefined) return [];
    return [
      {
        goal: `${title}, 99th percentile`,
        bound: `≤ ${bounds.changeMs} ms`,
        found: `${p99.toFixed(0)} ms`,
        verdict: verdictOf(p99, bounds.changeMs),
      },
    ];
  });
}

function probeBudgets({ probes = [] }: ScenarioResult): readonly Budget[] {
  // What an ordinary check does: a connection of its own.
  return probes
    .filter((probe) => probe.mode === "new connections")
    .map((probe) => {
      const most = 1e6 / (probe.userMicrosPerProbe + probe.systemMicrosPerProbe);
      return {
        goal: "HTTP probes on one core",
        bound: `≥ ${bounds.probesPerSecond} a second`,
        found: `${Math.round(most)} a second (${probe.probesPerSecond} of ${probe.demandedPerSecond} at ${probe.corePercent} % of the core)`,
        verdict: verdictOf(bounds.probesPerSecond, most),
      };
    });
}

function signedBudgets({ signed = [], title }: ScenarioResult): readonly Budget[] {
  const [unsigned, ours] = signed;
  if (unsigned === undefined || ours === undefined || unsigned.load !== ours.load) return [];
  // Rounds in pairs: others on the machine disturbed both alike.
  const ratio = median(
    ours.turns.map(
      (turn, round) => turn.queriesPerSecond / (unsigned.turns[round]?.queriesPerSecond ?? NaN),
    ),
  );
  return [
    {
      goal: `${title}, signed beside unsigned`,
      bound: `≥ ${bounds.signedShare * 100} % of the queries a second`,
      found: `${Math.round(ratio * 100)} %`,
      verdict: verdictOf(bounds.signedShare, ratio),
    },
  ];
}

/** How a figure that should be at most its bound compares with it. */
export function verdictOf(found: number, bound: number): string {
  const share = found / bound;
  if (share <= 1) return `met, ${Math.round((1 - share) * 100)} % to spare`;
  return share < 2
    ? `**missed** by ${Math.max(1, Math.round((share - 1) * 100))} %`
    : `**missed**, ${share.toFixed(1)} times the bound`;
}

function ratioOf(
  server: ServerResult,
  servers: readonly ServerResult[],
): { readonly median: number; readonly least: number; readonly most: number } | undefined {
  const best = bestServer(servers);
  if (best === undefined || server.turns.length === 0) return undefined;
  // Within a round others on the machine disturbed both alike.
  const inRounds = spread(
    server.turns.flatMap((turn) => {
      const other = best.turns.find((each) => each.round === turn.round);
      return other === undefined ? [] : [turn.saturated.cpu / other.saturated.cpu];
    }),
  );
  const ratio = median(cpuOf(server)) / median(cpuOf(best));
  return { median: ratio, least: inRounds?.min ?? ratio, most: inRounds?.max ?? ratio };
}

function bestServer(servers: readonly ServerResult[]): ServerResult | undefined {
  return servers
    .filter((server) => yardsticks.includes(server.name) && server.turns.length > 0)
    .toSorted((a, b) => median(cpuOf(a)) - median(cpuOf(b)))[0];
}

function cpuOf(server: ServerResult): readonly number[] {
  return server.turns.map((turn) => turn.saturated.cpu);
}

function perMillion(lost: number, sent: number): string {
  const found = (lost / Math.max(1, sent)) * 1e6;
  return found < 10 ? found.toPrecision(2) : String(Math.round(found));
}
