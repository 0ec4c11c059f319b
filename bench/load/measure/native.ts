// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { outputOf, runProgram } from "./program.ts";

const sourceFolder = join(import.meta.dirname, "../native");
const buildFolder = join(import.meta.dirname, "../../../.build/bench-native");

/** The programs of `bench/load/native`. */
export type NativeProgram = "echo" | "flood" | "loader" | "health-target";

/** Where a built program lies. */
export function nativePath(name: NativeProgram): string {
  return join(buildFolder, name);
}

/** Compiles a program if its source is newer than it; gives its path, or undefined without a C compiler. */
export async function buildNative(name: NativeProgram): Promise<string | undefined> {
  const source = join(sourceFolder, `${name}.c`);
  const target = nativePath(name);
  if (modifiedAt(target) > modifiedAt(source)) return target;
  if ((await outputOf("cc", ["--version"])) === "") return undefined;
  mkdirSync(buildFolder, { recursive: true });
  await runProgram("cc", ["-O2", "-Wall", "-Wextra", "-o", target, source]);
  return target;
}

function modifiedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
