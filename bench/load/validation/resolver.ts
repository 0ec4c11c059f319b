// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, startPinned } from "../measure/program.ts";

/** A validating resolver. */
export interface Resolver {
  readonly port: number;
  readonly child: ChildProcess;
}

/** Where a zone is to be asked for. */
export interface StubZone {
  readonly origin: string;
  readonly ports: readonly number[];
}

/**
 * Starts Unbound with one trust anchor. It asks for each zone where it is told to; what is trusted follows
 * from DS records alone, and each algorithm of those is wanted.
 */
export async function startUnbound(
  folder: string,
  cores: string,
  anchor: string,
  zones: readonly StubZone[],
): Promise<Resolver> {
  const port = await freePort();
  mkdirSync(folder);
  const configuration = join(folder, "unbound.conf");
  const stubs = zones.map(
    ({ origin, ports }) =>
      `stub-zone:\n  name: "${origin}"\n${ports.map((each) => `  stub-addr: 127.0.0.1@${each}\n`).join("")}`,
  );
  writeFileSync(
    configuration,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@${port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-daemonize: no
  num-threads: 1
  module-config: "validator iterator"
  local-zone: "test." nodefault
  trust-anchor: "${anchor}"
  harden-algo-downgrade: yes
  ede: yes
  val-log-level: 2
remote-control:
  control-enable: no
${stubs.join("")}`,
  );
  const log = join(folder, "unbound.log");
  const child = startPinned(cores, "/usr/sbin/unbound", ["-d", "-c", configuration], log);
  return { port, child };
}
