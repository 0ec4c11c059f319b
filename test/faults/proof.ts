// SPDX-License-Identifier: Apache-2.0

// `npm run proof:faults -- [--minutes N] [--seed N] [--only TEXT] [--keep FOLDER] [--old COMMIT]`, or `-- --check FOLDER`: three of etcd, three controls and four edges on machines of their own, faults for
// as long as told, and what was wrong with what clients saw. Needs root. Figures go to bench/results; exit code 1 where something was wrong.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { figuresOf, readSeen } from "./figures.ts";
import { BOUNDS, faultRun } from "./fault-run.ts";

const COMPLAINTS_SHOWN = 20;
const results = resolve(import.meta.dirname, "../../bench/results");

const say = (text: string): unknown => process.stdout.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    keep: { type: "string" },
    old: { type: "string" },
    check: { type: "string" },
  },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
const startedAt = new Date();
const { only = "", keep, old } = values;
const figures =
  values.check === undefined
    ? await faultRun({ seconds: minutes * 60, seed, only, keep, old, say })
    : figuresOf(readSeen(values.check), BOUNDS);
for (const complaint of figures.complaints.slice(0, COMPLAINTS_SHOWN)) say(complaint);
say(
  `${figures.acknowledged} writes acknowledged, ${figures.refused} refused, ${figures.unknown} unknown; ` +
    `${figures.operations} operations checked; ${figures.answers} answers, ${figures.resolutions} resolutions; replays ${JSON.stringify(figures.replays)}; ` +
    `ages ${JSON.stringify(figures.ages)}; ${figures.complaints.length} complaints`,
);
const what = old === undefined ? "faults" : "upgrade";
const path = join(results, `${startedAt.toISOString().slice(0, 10)}-${what}.json`);
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model,
  kernel: release(),
  load: loadavg(),
};
const outputOf = (command: string, ...given: string[]): string =>
  spawnSync(command, given, { encoding: "utf8", cwd: results }).stdout.trim();
const versions = {
  node: process.version,
  etcd: /[\d.]+/.exec(outputOf("etcd", "--version"))?.[0],
  commit: outputOf("git", "describe", "--always", "--dirty"),
  ...(old === undefined ? {} : { upgradedFrom: old }),
};
const shown = { ...figures, complaints: figures.complaints.slice(0, COMPLAINTS_SHOWN) };
const record = { what, startedAt, machine, versions, minutes, seed, bounds: BOUNDS };
if (values.only === undefined && values.check === undefined)
  writeFileSync(
    path,
    `${JSON.stringify({ ...record, complaintCount: figures.complaints.length, ...shown }, undefined, 1)}\n`,
  );
process.exitCode = figures.complaints.length > 0 ? 1 : 0;
