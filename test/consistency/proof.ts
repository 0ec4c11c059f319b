// SPDX-License-Identifier: Apache-2.0

// `npm run proof:consistency -- [--store sqlite|etcd] [--minutes N] [--seed N] [--history FILE]`: real clients against real stores under faults, the
// checkers' verdicts on what they saw, and a file of figures in bench/results. `--check FILE` only judges a history that was kept.
// Exit code 1 where a model is broken; the history is kept then. A long run is made of parts, each with a store and a history of its own, so that
// memory is bounded.

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

const PART_MINUTES_MAX = 10;

interface ModelFigures {
  readonly model: string;
  readonly verdict: string;
  readonly checked: number;
  readonly cpuSeconds: number;
}

type Counts = Record<string, number>;

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

function add(counts: Counts, more: Counts): void {
  for (const [what, count] of Object.entries(more)) counts[what] = (counts[what] ?? 0) + count;
}

function countsOf(history: History): Counts {
  const counts: Counts = {};
  for (const each of history)
    add(counts, { [each.kind === "write" ? `write ${each.outcome}` : each.kind]: 1 });
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
  await prove({ kind, minutes, seed, history: values.history });
}

interface ProofOptions {
  readonly kind: StoreKind;
  readonly minutes: number;
  readonly seed: number;
  /** Where the history of each part is kept, followed by its number. */
  readonly history: string | undefined;
}

async function prove({ kind, minutes, seed, history: kept }: ProofOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-history-"));
  const date = new Date().toISOString();
  const pace = { pauseMs: 2, quietMs: 10_000 };
  const counts: Counts = {};
  const faults: Counts = {};
  const parts: ModelFigures[][] = [];
  for (let left = minutes; left > 0; left -= PART_MINUTES_MAX) {
    const historyPath = `${kept ?? join(folder, "history")}-${parts.length + 1}.jsonl`;
    const seconds = 60 * Math.min(left, PART_MINUTES_MAX);
    const run = await realRun({ kind, seconds, seed: seed + parts.length, historyPath, ...pace });
    const history = await readHistory(historyPath);
    add(counts, countsOf(history));
    add(faults, run.faults);
    const models = judge(history);
    parts.push(models);
    if (models.some(isBroken)) {
      process.exitCode = 1;
      say(`The history is kept: ${historyPath}`);
    } else if (kept === undefined) rmSync(historyPath);
  }
  if (process.exitCode !== 1) rmSync(folder, { recursive: true });
  const { model: cpu = "" } = cpus()[0] ?? {};
  const machine = {
    ...{ cpu, cores: cpus().length, kernel: release(), node: process.version },
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
  const settings = { store: kind, minutes, seed, ...pace };
  const operations = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const memoryBytesMax = process.resourceUsage().maxRSS * 1024;
  const found = { operations, counts, faults, memoryBytesMax, parts };
  const text = { proof: "consistency", date, settings, machine, ...found };
  const path = join(results, `${date.slice(0, 10)}-consistency-${kind}.json`);
  writeFileSync(path, `${JSON.stringify(text, undefined, 1)}\n`);
  say(`${operations} operations, ${JSON.stringify(faults)}: ${path}`);
}

await main();
