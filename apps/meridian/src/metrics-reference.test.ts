// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { metricDefinitions } from "@meridian/control";
import { linkMetricDefinitions } from "@meridian/edge";
import { servedMetrics, topNameMetric, type MetricDefinition } from "@meridian/snapshot/surface";

const page = new URL("../../../docs/reference/metrics.md", import.meta.url);
const shared = new Set([...servedMetrics, topNameMetric].map(({ name }) => name));
const ofControl = metricDefinitions.filter(({ name }) => !shared.has(name));

test("docs/reference/metrics.md lists exactly the metrics there are", () => {
  const lines = [
    "# Metrics",
    "",
    "What `/metrics` shows, in the text form of Prometheus. Counters count from the start of the process; those of zones, policies,",
    "pools and endpoints go on across revisions. Names of records are not among the labels, as there may be a million of them;",
    "`/metrics?top=K` adds the K most asked. This page is made from the tables that the metrics are made from.",
    "",
    "## Of every process that serves",
    "",
    ...tableOf([...servedMetrics, topNameMetric]),
    "",
    "## Of `meridian up` and `meridian control` besides",
    "",
    ...tableOf(ofControl),
    "",
    "## Of `meridian edge` besides",
    "",
    ...tableOf(linkMetricDefinitions),
  ];
  const rendered = `${lines.join("\n")}\n`;
  if (process.env["UPDATE_TESTDATA"] === "1") writeFileSync(page, rendered);
  assert.equal(readFileSync(page, "utf8"), rendered, "run with UPDATE_TESTDATA=1");
});

test("metrics follow the naming rules of Prometheus", () => {
  const all = [...metricDefinitions, ...linkMetricDefinitions];
  const names = all.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, type, help } of all) {
    assert.match(name, /^meridian(_[a-z0-9]+)+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.match(help, /\.$/);
  }
});

function tableOf(metrics: readonly MetricDefinition[]): string[] {
  return [
    "| metric | type | labels | meaning |",
    "| --- | --- | --- | --- |",
    ...metrics.map(({ name, type, labels, help }) => {
      const labelText = labels.map((label) => `\`${label}\``).join(", ");
      return `| \`${name}\` | ${type} | ${labelText} | ${help} |`;
    }),
  ];
}
