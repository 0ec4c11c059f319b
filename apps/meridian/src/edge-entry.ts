// SPDX-License-Identifier: Apache-2.0

// The processes of `meridian edge` and `meridian probe`. What is imported here, and by what that imports, is this repository's own code and Node.js itself:
// test/tidy/edge-bundle.test.ts proves it.

import { flushCompileCache } from "node:module";
import { ProbeProcess } from "@meridian/edge";
import { listenWith, passedSockets } from "./activation.ts";
import type { CommandInput } from "./command.ts";
import { EdgeServer } from "./edge-server.ts";
import { edgeOptions, probeOptions, readProcessArguments } from "./edge-options.ts";
import { CommandError, ExitCode, exitCodeOf } from "./exit-code.ts";
import { plainLogger } from "./plain-logger.ts";
import { frontOf, listenOf, stateDirOf, workersOf } from "./server-settings.ts";
import { ServiceManager } from "./service-manager.ts";
import { Standby, stepBack } from "./standby.ts";
import { abortedBy, whenStopped } from "./stop-signal.ts";
import { ownVersion } from "./version.ts";

/** After everything is closed, the process ends by itself; if something still holds it, after this. */
const LINGER_MS_MAX = 1000;
const SAMPLE_MAX = 1_000_000_000;
const transports = ["auto", "native", "dgram"] as const;

/** Runs `meridian edge` or `meridian probe` until SIGTERM or SIGINT; sets the exit code. */
export async function runOwnProcess(
  command: "edge" | "probe",
  given: readonly string[],
): Promise<void> {
  try {
    const options = command === "edge" ? edgeOptions : probeOptions;
    const input = readProcessArguments(options, given, process.env);
    process.exitCode = await (command === "edge" ? edge(input) : probe(input));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(exitCodeOf(error));
  }
}

export async function edge(input: CommandInput): Promise<ExitCode> {
  const standby = input.flag("replace") ? Standby.enter() : undefined;
  const stop = whenStopped();
  const replaced = Promise.withResolvers<void>();
  const manager = ServiceManager.ofProcess();
  const passed = passedSockets();
  const queryLog = input.text("queryLog");
  const server = await EdgeServer.start({
    controls: controlsOf(input),
    stateFolder: stateDirOf(input),
    listen: listenWith(passed, input.list("listen"), listenOf(input)),
    passed,
    workers: workersOf(input),
    transport: transports.find((kind) => kind === input.text("transport")) ?? "auto",
    site: input.text("site") ?? "",
    isolation: input.text("isolation") === "freeze" ? "freeze" : "local",
    version: ownVersion(),
    logger: plainLogger(input.text("logLevel") ?? "info"),
    http: input.text("http"),
    front: frontOf(input),
    queryLog:
      queryLog === undefined
        ? undefined
        : { path: queryLog, every: input.wholeNumber("queryLogSample", 1, SAMPLE_MAX) ?? 1 },
    replace: input.flag("replace"),
    interrupted: abortedBy(stop),
    standby,
    onReplaced: () => {
      // What is left to be done here must not take time from the process that answers now.
      stepBack();
      replaced.resolve();
    },
  });
  return untilEnded(server, Promise.race([stop, replaced.promise]), manager);
}

export async function probe(input: CommandInput): Promise<ExitCode> {
  const stop = whenStopped();
  const manager = ServiceManager.ofProcess();
  const running = new ProbeProcess({
    controls: controlsOf(input),
    stateFolder: stateDirOf(input),
    site: input.text("site") ?? "",
    version: ownVersion(),
    logger: plainLogger(input.text("logLevel") ?? "info"),
  });
  try {
    await running.start();
  } catch (error) {
    await running.close();
    throw error;
  }
  return untilEnded(running, stop, manager);
}

/** Serves until it is told to end, and ends. */
async function untilEnded(
  running: { close(): Promise<void> },
  end: Promise<unknown>,
  manager: ServiceManager,
): Promise<ExitCode> {
  // Now rather than at the end, which a crash would not reach: what was compiled makes the next start quick.
  flushCompileCache();
  manager.ready();
  await end;
  manager.stopping();
  await running.close();
  setTimeout(() => process.exit(ExitCode.done), LINGER_MS_MAX).unref();
  return ExitCode.done;
}

function controlsOf(input: CommandInput): string[] {
  const controls = input.list("control");
  const wrong = controls.find((url) => !URL.canParse(url) || new URL(url).protocol !== "https:");
  if (wrong !== undefined || controls.length === 0)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot start: --control is "${wrong ?? ""}", expected https://HOST:PORT`,
    );
  return controls;
}
