// SPDX-License-Identifier: Apache-2.0

import { flushCompileCache } from "node:module";
import { resolve } from "node:path";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { logLevels } from "../log-level.ts";
import { Server } from "../server.ts";
import { accessOf } from "../access-options.ts";
import { httpOf, stateDirOf } from "../server-settings.ts";
import { ServiceManager } from "../service-manager.ts";
import { whenStopped } from "../stop-signal.ts";

/** After everything is closed, the process ends by itself; if something still holds it, after this. */
const LINGER_MS_MAX = 1000;

/** Compiles, judges and feeds edges until SIGTERM or SIGINT. */
export async function control(input: CommandInput): Promise<ExitCode> {
  const files = input.list("file");
  const store = input.text("store");
  if (store === undefined && files.length === 0)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot start: no files are given, expected --file PATH (see deploy/examples/quickstart), or --store etcd://…",
    );
  if (store !== undefined && files.length > 0)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot start: --file is given with --store, whose documents are those of all its controls; bring files in with: meridian apply -f",
    );
  const stop = whenStopped();
  const manager = ServiceManager.ofProcess();
  const server = await Server.start({
    files: files.map((path) => resolve(path)),
    stateDir: stateDirOf(input),
    listen: [],
    edges: input.requiredText("edges"),
    store,
    name: input.text("name"),
    keyFile: input.text("keyFile"),
    site: input.text("site") ?? "",
    http: httpOf(input),
    access: accessOf(input),
    workers: 1,
    transport: "auto",
    logLevel: logLevels.find((level) => level === input.text("logLevel")) ?? "info",
    queryLog: undefined,
    replace: false,
    allowEmpty: store !== undefined || input.flag("allowEmpty"),
    probing: input.flag("probing"),
  });
  flushCompileCache();
  manager.ready();
  await stop;
  manager.stopping();
  await server.close();
  setTimeout(() => process.exit(ExitCode.done), LINGER_MS_MAX).unref();
  return ExitCode.done;
}
