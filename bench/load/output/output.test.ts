// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { plotCpu, tickStep } from "./plot.ts";
import { formatReport, replaceSection } from "./report-text.ts";
import { newestResults, saveResult, type ScenarioResult, type ServerResult } from "./results.ts";
import { bestYardstick, formatResult, formatSpread } from "./table.ts";

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

test("plotCpu() draws a bar a server and escapes text", () => {
  const plot = plotCpu({
    ...result([server("gdnsd", [5, 6]), server("knot", [4, 5])]),
    title: "a < b & c",
  });
  assert.ok(plot !== undefined && plot.startsWith("<svg "));
  assert.equal(plot.match(/fill="#bbbbbb"/g)?.length, 2);
  assert.ok(plot.includes("a &lt; b &amp; c"));
  assert.ok(!plot.includes("NaN"));
  assert.equal(plotCpu(result([])), undefined);
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
    assert.match(formatReport(found), /\*\*new\*\*.*\n.*bench\/results\/2026-01-10-weighted\.json/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

function result(servers: readonly ServerResult[]): ScenarioResult {
  return {
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
  const fixed = {
    ...{
      rate: 1000,
      sent: 1000,
      received: 1000,
      late: 0,
      lost: 0,
      refused: 0,
      checked: 1,
      wrong: 0,
    },
    ...{ p50: 10, p90: 20, p99: 30, p999: 40, max: 50, behindMax: 1, rcodes: { "0": 1000 } },
  };
  return {
    name,
    label: `Label ${name}`,
    version: "1.0",
    loadMs: 100,
    residentBytes: 1 << 20,
    idleCores: 0,
    turns: cpu.map((value, round) => ({
      round,
      place: 0,
      saturated: {
        ...{ queriesPerSecond: 100_000, completed: 100_000, lost: 0, rcodes: {}, others: 0 },
        ...{ cpu: value, cpuUser: 1, cpuSystem: value - 1, cpuBusiest: value, busiest: "main" },
      },
      fixed,
    })),
  };
}
