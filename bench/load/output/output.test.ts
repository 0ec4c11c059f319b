// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bestYardstick, budgetsOf, verdictOf } from "./budgets.ts";
import { tickStep } from "./plot-bars.ts";
import { formatReport, replaceSection } from "./report-text.ts";
import {
  newestResults,
  RESULT_FORMAT,
  saveResult,
  type Loading,
  type ScenarioResult,
  type ServerResult,
} from "./results.ts";
import { plotOverview, plotResult } from "./scenario-plots.ts";
import { formatResult, formatSpread } from "./table.ts";

const memory = { resident: 64e6, anonymous: 40e6, file: 24e6, shared: 0, peak: 80e6 };
const load = {
  ...{ rate: 1000, sent: 1000, received: 1000, late: 0, lost: 0, refused: 0, checked: 1, wrong: 0 },
  ...{ p50: 10, p90: 20, p99: 30, p999: 40, max: 50, behindMax: 1, rcodes: { "0": 1000 } },
};
const heads = { name: "meridian", label: "Meridian", version: "1.0" };

test("formatSpread() shows median, least and greatest, and a single value alone", () => {
  assert.equal(formatSpread([3, 1, 2], 1), "2.0 (1.0–3.0)");
  assert.equal(formatSpread([3], 1), "3.0");
  assert.equal(formatSpread([], 1), "–");
});

test("bestYardstick() is the lower median of gdnsd and Knot", () => {
  const servers = [server("echo", [1]), server("gdnsd", [5, 6, 7]), server("knot", [5, 5, 9])];
  assert.equal(bestYardstick(servers), 5);
  assert.equal(bestYardstick([server("echo", [1])]), undefined);
});

test("formatResult() has a row a server with its ratio to the better yardstick", () => {
  const table = formatResult(
    result([server("gdnsd", [5]), server("knot", [4]), server("meridian", [4.4])]),
  );
  const rows = table.split("\n");
  assert.equal(rows.length, 5);
  assert.match(
    rows[4] ?? "",
    /^\| Label meridian 1\.0 \| 100 \| 4\.40 \| 1\.00 \+ 3\.40 \| 4\.40 \| 1\.10 \|/,
  );
});

test("plotResult() draws a bar a server and escapes text", () => {
  const plot = plotResult({
    ...result([server("gdnsd", [5, 6]), server("knot", [4, 5])]),
    title: "a < b & c",
  });
  assert.ok(plot !== undefined && plot.startsWith("<svg "));
  assert.equal(plot.match(/fill="#bbbbbb"/g)?.length, 2);
  assert.ok(plot.includes("a &lt; b &amp; c"));
  assert.ok(!plot.includes("NaN"));
  assert.equal(plotResult(result([])), undefined);
});

test("budgetsOf() compares with the better yardstick of the same rounds", () => {
  const servers = [server("gdnsd", [6, 6]), server("knot", [4, 5]), server("meridian", [4, 6])];
  const [budget] = budgetsOf([result(servers)]);
  assert.equal(budget?.found, "1.11 (1.00–1.20) ×");
  assert.equal(budget?.verdict, "**missed** by 6 %");
  assert.match(budget?.bound ?? "", /Label knot/);
});

test("budgetsOf() of load times names what is there, and only under a million names", () => {
  const loadings: readonly Loading[] = [
    { way: "first", readyMs: 20_000, memory },
    { way: "again", readyMs: 150, memory },
    { way: "stored", readyMs: 140, memory, snapshotBytes: 80e6 },
  ];
  const million = { ...result([{ ...server("meridian", []), loadings }]), scenario: "million" };
  assert.deepEqual(
    budgetsOf([million]).map(({ found, verdict }) => `${found}: ${verdict}`),
    [
      "0.15 s: met, 50 % to spare",
      "20.00 s: **missed**, 2.0 times the bound",
      "80 MB: met, 50 % to spare",
      "64 MB: met, 60 % to spare",
    ],
  );
  assert.match(formatResult(million), /from disk alone \| 0\.14 \| – \| – \| 61 \|/);
  assert.deepEqual(budgetsOf([result([])]), []);
});

test("budgetsOf() counts what was not done and what was lost", () => {
  const disturbance = { ...heads, queriesPerSecondMax: 1400, missed: 0 };
  const reloads = [
    { ...disturbance, tookMs: Array.from({ length: 19 }, () => 5), load: { ...load, lost: 1 } },
  ];
  const replaces = [{ ...disturbance, tookMs: Array.from({ length: 60 }, () => 5), load }];
  assert.deepEqual(
    budgetsOf([
      { ...result([]), reloads },
      { ...result([]), replaces },
    ]).map(({ verdict }) => verdict),
    ["**missed**: 1 not done, 1000 in a million lost", "met"],
  );
});

test("every kind of result has a table, a plot and a verdict", () => {
  const flip = { name: "a.", to: "down", detectMs: 40, answerMs: 0.25 } as const;
  const some = { queriesPerSecondMax: 1400, missed: 0, load };
  const probe = {
    ...{ targets: 1, demandedPerSecond: 1, probesPerSecond: 1 },
    mode: "new connections",
    ...{ failed: 0, timedOut: 0, delayed: 0, corePercent: 10 },
    ...{ userMicrosPerProbe: 50, systemMicrosPerProbe: 50 },
  } as const;
  const kinds: readonly Partial<ScenarioResult>[] = [
    { flips: [{ ...heads, ...some, checkIntervalSeconds: 0.1, unasked: 0, flips: [flip] }] },
    { reloads: [{ ...heads, ...some, tookMs: [5, 6] }] },
    { replaces: [{ ...heads, ...some, tookMs: [500] }] },
    { changes: [{ ...heads, missed: 0, load, changes: [{ kind: "new name", ms: 70 }] }] },
    { probes: [probe] },
    {
      signed: ["Meridian, unsigned", "Meridian, signed"].map((name) => ({
        ...{ name, version: "1", load: "asked before" },
        turns: [
          {
            queriesPerSecond: 1000,
            lost: 0,
            cpu: 5,
            cpuBusiest: 4,
            signatures: undefined,
            others: 0,
          },
        ],
      })),
    },
  ];
  for (const kind of kinds) {
    const found = { ...result([]), ...kind };
    const name = Object.keys(kind).join();
    assert.equal(
      formatResult(found).split("\n").length,
      "changes" in kind || "signed" in kind ? 4 : 3,
      name,
    );
    const plot = plotResult(found) ?? "";
    assert.ok(plot.startsWith("<svg ") && !/NaN|undefined|Infinity/.test(plot), `${name}: ${plot}`);
    assert.ok(budgetsOf([found]).length > 0, name);
  }
});

test("plotOverview() shows Meridian and its yardsticks under the title of each scenario", () => {
  const servers = [server("echo", [3]), server("gdnsd", [5]), server("meridian", [4])];
  const plot = plotOverview([result(servers), result([])]) ?? "";
  assert.match(plot, />title</);
  assert.match(plot, /Label meridian/);
  assert.doesNotMatch(plot, /Label echo/);
  assert.equal(plotOverview([result([])]), undefined);
});

test("verdictOf() says by how much", () => {
  assert.equal(verdictOf(0.5, 1), "met, 50 % to spare");
  assert.equal(verdictOf(1.3, 1), "**missed** by 30 %");
  assert.equal(verdictOf(5, 1), "**missed**, 5.0 times the bound");
});

test("tickStep() is a round number that gives four to ten ticks", () => {
  for (const most of [0.7, 3, 4.4, 16, 98, 431]) {
    const ticks = most / tickStep(most);
    assert.ok(ticks >= 2 && ticks <= 10, `${most}: ${ticks}`);
  }
});

test("replaceSection() keeps what is outside of the markers and refuses text without them", () => {
  const text = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nz\n";
  assert.equal(
    replaceSection(text, "new"),
    "a\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\nz\n",
  );
  assert.equal(replaceSection("a", "new"), undefined);
  assert.equal(replaceSection("<!-- bench:end --> <!-- bench:begin -->", "new"), undefined);
});

test("newestResults() reads back the newest file of a scenario", () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-results-"));
  try {
    saveResult(folder, { ...result([]), date: "2026-01-02T00:00:00Z", title: "old" });
    saveResult(folder, { ...result([]), date: "2026-01-10T00:00:00Z", title: "new" });
    const found = newestResults(folder, ["weighted", "geo"]);
    assert.deepEqual(
      found.map((each) => [each.file, each.result.title]),
      [["2026-01-10-weighted", "new"]],
    );
    assert.match(
      formatReport(found),
      /\*\*new\*\*.*\n.*\n.*bench\/results\/2026-01-10-weighted\.json/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function result(servers: readonly ServerResult[]): ScenarioResult {
  return {
    format: RESULT_FORMAT,
    scenario: "weighted",
    title: "title",
    date: "2026-01-01T00:00:00Z",
    settings: {
      seconds: 1,
      rounds: 1,
      rate: 1000,
      seed: 1,
      serverCores: "0",
      clientCore: 1,
      isQuick: false,
      checkIntervalSeconds: 1,
    },
    machine: {
      cpu: "cpu",
      cores: 2,
      memoryBytes: 1,
      kernel: "6.1 x",
      node: "v26",
      dnsperf: "2.10.0",
    },
    servers,
  };
}

function server(name: string, cpu: readonly number[]): ServerResult {
  return {
    name,
    label: `Label ${name}`,
    version: "1.0",
    loadings: [{ way: "first", readyMs: 100, memory }],
    idleCores: 0,
    turns: cpu.map((value, round) => ({
      round,
      place: 0,
      saturated: {
        ...{ queriesPerSecond: 100_000, completed: 100_000, lost: 0, rcodes: {}, others: 0 },
        ...{ cpu: value, cpuUser: 1, cpuSystem: value - 1, cpuBusiest: value, busiest: "main" },
      },
      fixed: load,
    })),
  };
}
