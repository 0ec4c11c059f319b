// SPDX-License-Identifier: Apache-2.0

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CommandInput } from "../command.ts";
import { splitServer } from "../dns-question.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { ApiClient } from "../api-client.ts";
import { whileShown } from "../progress.ts";
import { stateDirOf } from "../server-settings.ts";

const SECONDS_MAX = 86_400;
const CLIENTS_MAX = 1000;

/** Runs dnsperf with a query for every type of every record that is served. */
export async function benchDns(input: CommandInput): Promise<ExitCode> {
  const { host, port } = splitServer(input.requiredText("server"));
  const seconds = input.wholeNumber("seconds", 1, SECONDS_MAX) ?? 10;
  const clients = input.wholeNumber("clients", 1, CLIENTS_MAX) ?? 10;
  const records = await new ApiClient({ stateDir: stateDirOf(input) }).list("/v1/records");
  const queries = records.flatMap(({ name, types }) =>
    types.split(",").map((type) => `${name} ${type}`),
  );
  if (queries.length === 0)
    throw new CommandError(ExitCode.notFound, "Cannot measure: no records are served");
  const folder = mkdtempSync(join(tmpdir(), "meridian-bench-"));
  try {
    const file = join(folder, "queries");
    writeFileSync(file, `${queries.join("\n")}\n`);
    const flags = ["-s", host, "-p", String(port), "-d", file, "-l", String(seconds)];
    return await whileShown(
      (passed) => `Measuring: ${Math.min(passed, seconds)} of ${seconds} s`,
      dnsperf([...flags, "-c", String(clients)]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function dnsperf(flags: readonly string[]): Promise<ExitCode> {
  const child = spawn("dnsperf", flags, { stdio: "inherit" });
  try {
    await once(child, "exit");
    return child.exitCode === 0 ? ExitCode.done : ExitCode.failed;
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!isMissing) throw error;
    throw new CommandError(
      ExitCode.failed,
      "Cannot measure: dnsperf is not installed; on Debian: apt-get install dnsperf",
    );
  }
}
