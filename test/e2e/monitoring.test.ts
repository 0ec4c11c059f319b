// SPDX-License-Identifier: Apache-2.0

// The rules and dashboards of deploy/, by Prometheus' own tool; and that they name metrics which exist.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { linkMetricDefinitions } from "@meridian/edge";
import { servedMetrics } from "@meridian/snapshot/surface";
import { needs } from "../needs.ts";

const deploy = resolve(import.meta.dirname, "../../deploy");
const rules = join(deploy, "prometheus/meridian.rules.yaml");
const dashboards = readdirSync(join(deploy, "grafana")).map((name) =>
  join(deploy, "grafana", name),
);
const skip = needs("promtool", "prometheus");

const run = promisify(execFile);

test("the rules are right, and fire when they should and not before", { skip }, async () => {
  await run("promtool", ["check", "rules", rules]);
  await run("promtool", ["test", "rules", join(deploy, "prometheus/meridian.rules.test.yaml")]);
});

test("every metric that rules and dashboards name exists", () => {
  const page = readFileSync(resolve(deploy, "../docs/reference/metrics.md"), "utf8");
  const known = new Set(
    [...page.matchAll(/^\| `(meridian_[a-z0-9_]+)` \|/gm)].map(([, name]) => name),
  );
  for (const path of [rules, ...dashboards]) {
    // What rules record has a colon before it, and after its name.
    const named = readFileSync(path, "utf8").matchAll(/(?<![:\w-])meridian_[a-z0-9_]+(?!:)/g);
    const missing = [...named].map(([name]) => name).filter((name) => !known.has(name));
    assert.deepEqual(missing, [], path);
  }
});

test("what the dashboard of edges asks for is what edges have", () => {
  const edge = new Set([...servedMetrics, ...linkMetricDefinitions].map(({ name }) => name));
  const text = readFileSync(join(deploy, "grafana/meridian-edges.json"), "utf8");
  const named = [...text.matchAll(/meridian_[a-z0-9_]+/g)].map(([name]) => name);
  assert.deepEqual(
    named.filter((name) => !edge.has(name)),
    [],
  );
  for (const { name } of linkMetricDefinitions.filter(({ name }) => name !== "meridian_link_epoch"))
    assert.ok(named.includes(name), `nothing shows ${name}`);
});

test("every query of the dashboards is one that Prometheus reads", { skip }, async (context) => {
  assert.ok(dashboards.length > 0);
  for (const path of dashboards) {
    const queries = [...expressions(JSON.parse(readFileSync(path, "utf8")))];
    assert.ok(queries.length > 5, path);
    await checked(context, queries);
  }
  await assert.rejects(checked(context, ["sum by (instance (rate(meridian_ready[5m]))"]));
});

/** Has promtool read queries as the rules of one file, with Grafana's variables filled in. */
async function checked(context: TestContext, queries: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-queries-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "queries.json");
  const list = queries.map((expr, index) => ({
    record: `query:${index}`,
    expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", "a"),
  }));
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ groups: [{ name: "queries", rules: list }] }));
  await run("promtool", ["check", "rules", path]);
}

function* expressions(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, each] of Object.entries(value)) {
    if (name === "expr") yield String(each);
    else yield* expressions(each);
  }
}
