// SPDX-License-Identifier: Apache-2.0

// The `meridian` command. Before any other module of it is loaded, Node's compile cache is switched on for this process and its workers:
// a restart then takes 0.85 s of CPU to its first answer instead of 1.5 s, as TypeScript need not be stripped and compiled again.

import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";

/** As packages/edge/src/worker.ts has it. */
const INLINING_FLAG = "--max-inlined-bytecode-size-cumulative=4000";
/**
 * Memory outside of V8's heap (sections, overlays) is measured by what there is of it. Otherwise V8 goes through the whole heap whenever
 * another 64 MB were allocated outside, which is every third change of a million names: at an edge 100 to 200 ms, half of all that a change
 * costs there. Of 60 changes with buffers of 20 MB no collection is left but those of what is young, which frees these buffers: 0.43 s of
 * processor time instead of 0.69 s, and no more memory.
 */
const OUTSIDE_MEMORY_FLAG = "--external-memory-accounted-in-global-limit";
/**
 * A thread collects its own young garbage: 1 to 5 ms. Where it waits for threads that help it, and other threads wait for the processor, too,
 * that became 10 to 50, in the middle of a change.
 */
const YOUNG_FLAG = "--no-parallel-scavenge";
/**
 * At an edge, heaps of 10 to 90 MB are looked through when there is as much garbage. Else it is some 9 MB, which with a million names are two
 * changes, and half of what a change costs is to look through heaps. Control's, with all documents but Records, were looked through with each
 * twenty changes, for 30 to 80 ms.
 */
const GROWTH_FLAG = "--heap-growing-percent=100";
/** As the compiler's process has it, for a heap that is there already. */
const CALM_FLAG = "--memory-reducer-gc-count=0";

// Not in the folder for temporary files, where others could leave code for us.
process.env["NODE_COMPILE_CACHE"] ??= join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "meridian",
  "compiled",
);
// Before anything is compiled, as workers set it: what was compiled under other flags is compiled again, by each thread.
setFlagsFromString(INLINING_FLAG);
setFlagsFromString(OUTSIDE_MEMORY_FLAG);
setFlagsFromString(YOUNG_FLAG);
const [command = "", ...rest] = process.argv.slice(2);
if (command === "edge" || command === "control") {
  setFlagsFromString(GROWTH_FLAG);
  setFlagsFromString(CALM_FLAG);
}
enableCompileCache(process.env["NODE_COMPILE_CACHE"]);

const isHelpOrGroup = (text: string): boolean =>
  text === "-h" || text === "--help" || text === "join" || text === "revoke";
const isOwnProcess = command === "edge" || command === "probe";
if (isOwnProcess && !rest.slice(0, 1).some(isHelpOrGroup)) {
  // The process of an edge holds no third-party module, not even the one that reads the command line.
  const { runOwnProcess } = await import("./edge-entry.ts");
  await runOwnProcess(command, rest);
} else {
  const { runProgram } = await import("./program.ts");
  await runProgram();
}
