// SPDX-License-Identifier: Apache-2.0

// The processes of `meridian edge` and `meridian probe`. What is imported here, and by what that imports, is this repository's own code and Node.js itself:
// test/tidy/edge-bundle.test.ts proves it.

import { flushCompileCache } from "node:module";
import { EdgeProcess, ProbeProcess, queryHandlerModule, type EdgeLogger } from "@meridian/edge";
import type { CommandInput } from "./command.ts";
import { edgeOptions, probeOptions, readProcessArguments } from "./edge-options.ts";
import { CommandError, ExitCode, exitCodeOf } from "./exit-code.ts";
import { logLevels } from "./log-level.ts";
import { listenOf, stateDirOf, workersOf } from "./server-settings.ts";
import { whenStopped } from "./stop-signal.ts";
import { ownVersion } from "./version.ts";

/** After everything is closed, the process ends by itself; if something still holds it, after this. */
const LINGER_MS_MAX = 1000;
const transports = ["auto", "native", "dgram"] as const;
/** As pino has them, which writes the log of control. */
const levelNumbers = { info: 30, warn: 40, error: 50 } as const;

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

export function edge(input: CommandInput): Promise<ExitCode> {
  return untilStopped(
    () =>
      new EdgeProcess(
        {
          controls: controlsOf(input),
          stateFolder: stateDirOf(input),
          listen: listenOf(input),
          workers: workersOf(input),
          transport: transports.find((kind) => kind === input.text("transport")) ?? "auto",
          site: input.text("site") ?? "",
          isolation: input.text("isolation") === "freeze" ? "freeze" : "local",
          version: ownVersion(),
          logger: plainLogger(input.text("logLevel") ?? "info"),
        },
        queryHandlerModule,
      ),
  );
}

export function probe(input: CommandInput): Promise<ExitCode> {
  return untilStopped(
    () =>
      new ProbeProcess({
        controls: controlsOf(input),
        stateFolder: stateDirOf(input),
        site: input.text("site") ?? "",
        version: ownVersion(),
        logger: plainLogger(input.text("logLevel") ?? "info"),
      }),
  );
}

interface OwnProcess {
  start(): Promise<void>;
  close(): Promise<void>;
}

async function untilStopped(make: () => OwnProcess): Promise<ExitCode> {
  const stop = whenStopped();
  const running = make();
  try {
    await running.start();
  } catch (error) {
    await running.close();
    throw error;
  }
  flushCompileCache();
  await stop;
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

/** JSON lines on standard error, of the form of control's log. */
function plainLogger(level: string): EdgeLogger {
  const least = logLevels.findIndex((known) => known === level);
  const write =
    (name: keyof typeof levelNumbers) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (logLevels.indexOf(name) < least) return;
      const line = {
        level: levelNumbers[name],
        time: new Date().toISOString(),
        ...fields,
        msg: message,
      };
      process.stderr.write(`${JSON.stringify(line)}\n`);
    };
  return { info: write("info"), warn: write("warn"), error: write("error") };
}
