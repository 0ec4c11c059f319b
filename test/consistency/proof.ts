// SPDX-License-Identifier: Apache-2.0

// `npm run proof:consistency -- [--store sqlite|etcd] [--minutes N] [--seed N] [--history FILE]`: real clients against real stores under faults, the
// checkers' verdicts on what they saw, and a file of figures in bench/results. `--check FILE` only judges a history that was kept.
// Exit code 1 where a model is broken; the history is kept then.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checkers } from "./checkers.ts";
import type { History } from "./operation.ts";
import { readHistory } from "./recorder.ts";
import { realRun, type StoreKind } from "./real-run.ts";
import { withToldRevisions } from "./timeline.ts";

const results = resolve(import.meta.dirname, "../../bench/results");

interface ModelFigures {
  readonly model: string;
  readonly verdict: string;
  readonly checked: number;
  readonly cpuSeconds: number;
}

const say = (text: string): unknown => process.stdout.write(`${text}\n`);

function judge(recorded: History): ModelFigures[] {
  const history = withToldRevisions(recorded);
  return Object.entries(checkers).map(([model, check]) => {
    const before = process.cpuUsage();
    const verdict = check(history);
    const { user, system } = process.cpuUsage(before);
    const cpuSeconds = Math.round((user + system) / 1e5) / 10;
    const checked = verdict.kind === "ok" ? verdict.checked : 0;
    say(`${model.padEnd(18)}${verdict.kind.padEnd(11)}${checked} checked, ${cpuSeconds} s`);
    if (verdict.kind !== "ok") say(verdict.text);
    return { model, verdict: verdict.kind, checked, cpuSeconds };
  });
}

function countsOf(history: History): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const each of history) {
    const what = each.kind === "write" ? `write ${each.outcome}` : each.kind;
    counts[what] = (counts[what] ?? 0) + 1;
  }
  return counts;
}

const isBroken = ({ verdict }: ModelFigures): boolean => verdict !== "ok";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      store: { type: "string", default: "sqlite" },
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
      history: { type: "string" },
      check: { type: "string" },
    },
  });
  if (values.check !== undefined) {
    if (judge(await readHistory(values.check)).some(isBroken)) process.exitCode = 1;
    return;
  }
  const kind: StoreKind = values.store === "etcd" ? "etcd" : "sqlite";
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  const folder = mkdtempSync(join(tmpdir(), "meridian-history-"));
  const historyPath = values.history ?? join(folder, "history.jsonl");
  const date = new Date().toISOString();
  const run = await realRun({ kind, seconds: minutes * 60, seed, historyPath, pauseMs: 2 });
  const history = await readHistory(historyPath);
  const models = judge(history);
  const settings = { store: kind, minutes, seed };
  const { model: cpu = "" } = cpus()[0] ?? {};
  const machine = {
    ...{ cpu, cores: cpus().length, kernel: release(), node: process.version },
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
  const memoryBytesMax = process.resourceUsage().maxRSS * 1024;
  const figures = { proof: "consistency", date, settings, machine, ...run };
  const text = { ...figures, counts: countsOf(history), memoryBytesMax, models };
  const path = join(results, `${date.slice(0, 10)}-consistency-${kind}.json`);
  writeFileSync(path, `${JSON.stringify(text, undefined, 1)}\n`);
  say(`${history.length} operations, ${JSON.stringify(run.faults)}: ${path}`);
  if (models.some(isBroken)) {
    process.exitCode = 1;
    say(`The history is kept: ${historyPath}`);
  } else rmSync(folder, { recursive: true });
}

await main();
