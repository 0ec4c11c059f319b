// SPDX-License-Identifier: Apache-2.0

// A cluster of an older version that becomes one of this, member by member, while it is asked and written to.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RECOVERY_MS, type Happened } from "./faults.ts";
import { program } from "../program.ts";
import type { Cluster } from "./cluster.ts";

const root = resolve(import.meta.dirname, "../..");
const WORKSPACES = "@meridian";
/** For as long both versions are there after each step. */
const SIDE_BY_SIDE_MS = 10_000;

/**
 * Puts the files of a commit into a folder, ready to run with the dependencies and the add-on of this checkout; the path of its command.
 *
 * @throws Error with the output of `git` or `tar`.
 */
export function checkOut(commit: string, folder: string): string {
  mkdirSync(join(folder, "node_modules", WORKSPACES), { recursive: true });
  const archive = join(folder, "files.tar");
  run("git", "-C", root, "archive", "--output", archive, commit);
  run("tar", "-xf", archive, "-C", folder);
  const installed = join(root, "node_modules");
  for (const name of readdirSync(installed))
    if (name !== WORKSPACES) symlinkSync(join(installed, name), join(folder, "node_modules", name));
  // Its own packages, not those of this checkout.
  for (const name of readdirSync(join(installed, WORKSPACES))) {
    const own = [`packages/${name}`, `apps/${name}`, name]
      .map((path) => join(folder, path))
      .find((path) => existsSync(path));
    if (own !== undefined) symlinkSync(own, join(folder, "node_modules", WORKSPACES, name));
  }
  cpSync(join(root, "native/build"), join(folder, "native/build"), { recursive: true });
  return join(folder, "apps/meridian/src/main.ts");
}

/** Controls first, then edges, one after the other. */
export async function upgrade(cluster: Cluster, say: (text: string) => void): Promise<Happened> {
  const happened: Happened = { counts: {}, hindrances: [], takeovers: [] };
  for (const member of [...cluster.controls, ...cluster.edges]) {
    const fromMs = performance.now();
    say(`${(fromMs / 1000).toFixed(1)} s: ${member.name} upgraded`);
    await member.stop();
    member.runFrom(program);
    await member.start();
    const span = { fromMs, untilMs: performance.now() + RECOVERY_MS };
    if (member.role === "edge")
      happened.hindrances.push({ edge: member.name, isDown: true, ...span });
    else happened.takeovers.push(span);
    const what = `${member.role} upgraded`;
    happened.counts[what] = (happened.counts[what] ?? 0) + 1;
    await sleep(SIDE_BY_SIDE_MS);
  }
  return happened;
}

function run(command: string, ...given: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, given, { encoding: "utf8" });
  if (status !== 0)
    throw new Error(`Cannot run ${command} ${given.join(" ")}: ${error?.message ?? stderr}`);
}
