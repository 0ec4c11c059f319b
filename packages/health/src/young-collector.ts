// SPDX-License-Identifier: Apache-2.0

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives a function that collects this thread's young garbage, or undefined where V8 has none to give.
 *
 * A thread that probes little has a young space of less than a megabyte, and V8 collects when it is full: 0.3 ms or more, in the middle of
 * what needs memory, which is the more likely a change of health as that needs more than a probe does. Collected once a second there
 * is next to nothing in it, and it is never full unless hundreds of probes a second fill it.
 */
export function youngCollector(): (() => void) | undefined {
  // V8 puts the function into contexts that are made while it is told to, and there is no other way to it.
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  return isCollector(collect) ? () => collect({ type: "minor" }) : undefined;
}

function isCollector(found: unknown): found is (options: { readonly type: "minor" }) => void {
  return typeof found === "function";
}
