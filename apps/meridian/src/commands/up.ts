// SPDX-License-Identifier: Apache-2.0

import { flushCompileCache } from "node:module";
import { resolve } from "node:path";
import { listenWith, passedSockets } from "../activation.ts";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { logLevels } from "../log-level.ts";
import { FirstAnswers } from "../first-answers.ts";
import type { Server } from "../server.ts";
import type { ServerOptions } from "../server-options.ts";
import { accessOf } from "../access-options.ts";
import {
  diagnosisOf,
  frontOf,
  httpOf,
  listenOf,
  stateDirOf,
  workersOf,
} from "../server-settings.ts";
import { stepBack, type Standby } from "../standby.ts";
import { ServiceManager } from "../service-manager.ts";
import { abortedBy, whenStopped } from "../stop-signal.ts";

/** After everything is closed, the process ends by itself; if something still holds it, after this. */
const LINGER_MS_MAX = 1000;
const SAMPLE_MAX = 1_000_000_000;
const transports = ["auto", "native", "dgram"] as const;

/** Serves until SIGTERM or SIGINT, or until another process takes over. */
export async function up(input: CommandInput, standby?: Standby): Promise<ExitCode> {
  const files = input.list("file");
  if (files.length === 0)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot start: no files are given, expected --file PATH (see deploy/examples/quickstart)",
    );
  const queryLog = input.text("queryLog");
  const replaced = Promise.withResolvers<void>();
  const stop = whenStopped();
  const manager = ServiceManager.ofProcess();
  const passed = passedSockets();
  const options: ServerOptions = {
    files: files.map((path) => resolve(path)),
    stateDir: stateDirOf(input),
    listen: listenWith(passed, input.list("listen"), listenOf(input)),
    passed,
    http: httpOf(input),
    access: accessOf(input),
    workers: workersOf(input),
    transport: transports.find((kind) => kind === input.text("transport")) ?? "auto",
    logLevel: logLevels.find((level) => level === input.text("logLevel")) ?? "info",
    queryLog:
      queryLog === undefined
        ? undefined
        : { path: queryLog, every: input.wholeNumber("queryLogSample", 1, SAMPLE_MAX) ?? 1 },
    diagnosis: diagnosisOf(input),
    front: frontOf(input),
    replace: input.flag("replace"),
    interrupted: abortedBy(stop),
    standby,
    allowEmpty: input.flag("allowEmpty"),
    probing: input.flag("probing"),
    onReplaced: () => {
      // What is left to be done here must not take time from the process that answers now.
      stepBack();
      replaced.resolve();
    },
  };
  const server = await serverAfter(options, await FirstAnswers.start(options));
  // Now rather than at the end, which a crash would not reach: what was compiled makes the next start quick.
  flushCompileCache();
  manager.ready();
  await Promise.race([stop, replaced.promise]);
  manager.stopping();
  await server.close();
  setTimeout(() => process.exit(ExitCode.done), LINGER_MS_MAX).unref();
  return ExitCode.done;
}

/** The rest of the server. It is not even loaded before the first answers: of what a start takes, half is that. */
async function serverAfter(options: ServerOptions, first: FirstAnswers): Promise<Server> {
  const loaded = await import("../server.ts");
  return loaded.Server.start(options, first);
}
