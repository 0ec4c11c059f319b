// SPDX-License-Identifier: Apache-2.0

import { fileURLToPath } from "node:url";

import { isNative } from "./native.ts";
import type { Native } from "./native.ts";

/** The add-on, or why there is none: a part of a sentence that fits after a colon. */
export type NativeLoad =
  | { readonly kind: "loaded"; readonly native: Native }
  | { readonly kind: "missing"; readonly reason: string };

/** Loads the add-on in this thread. Each worker thread loads it for itself; the file is mapped once. */
export function loadNative(path: string = defaultPath()): NativeLoad {
  const module: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch (error) {
    return { kind: "missing", reason: describe(error, path) };
  }
  if (!isNative(module.exports)) {
    return { kind: "missing", reason: `"${path}" was built from other sources` };
  }
  return { kind: "loaded", native: module.exports };
}

function defaultPath(): string {
  return fileURLToPath(new URL("../build/meridian.node", import.meta.url));
}

function describe(error: unknown, path: string): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.includes("cannot open shared object file")
    ? `"${path}" has not been built`
    : message;
}
