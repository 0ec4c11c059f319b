// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../load/measure/program.ts";

const root = join(import.meta.dirname, "../..");

/** A revision laid out in a folder of its own. */
export interface Checkout {
  readonly folder: string;
  remove(): void;
}

/**
 * Lays out a revision with the third-party packages that are installed here, but with its own workspaces: the links of
 * `node_modules/@meridian` are relative, so the same links in the other folder lead to its own packages.
 */
export async function checkOut(revision: string): Promise<Checkout> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-base-"));
  const archive = join(folder, "base.tar");
  await runProgram("git", ["-C", root, "archive", "-o", archive, revision]);
  await runProgram("tar", ["-xf", archive, "-C", folder]);
  const installed = join(root, "node_modules");
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "@meridian"), { recursive: true });
  for (const name of readdirSync(installed)) {
    if (name !== "@meridian") symlinkSync(join(installed, name), join(modules, name));
  }
  for (const name of readdirSync(join(installed, "@meridian"))) {
    const link = readlinkSync(join(installed, "@meridian", name));
    symlinkSync(link, join(modules, "@meridian", name));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
