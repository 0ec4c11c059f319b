// SPDX-License-Identifier: Apache-2.0

// Name servers and resolvers of the system as peers of a test, each in the foreground and in a folder of the test; gone with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { freePort } from "../e2e/process.ts";
import { programPath } from "../needs.ts";

const READY_MS_MAX = 20_000;

/** Starts a daemon and waits until it says that it is ready. */
export async function startDaemon(
  t: TestContext,
  program: string,
  flags: readonly string[],
  ready: RegExp,
): Promise<void> {
  const child = spawn(programPath(program) ?? program, flags, {
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(async () => {
    if (child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`${program} is not ready: ${output}`)),
    READY_MS_MAX,
  );
  child.once("exit", () => reject(new Error(`${program} ended: ${output}`)));
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      if (ready.test(output)) resolve();
    });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** A zone of a peer: its origin, and its master file. */
export interface PeerZone {
  readonly origin: string;
  readonly text: string;
}

/** Where a Knot listens, and whether it signs its zones: with one key each, by its own policy or with the chain that is named. */
export interface KnotOptions {
  readonly address?: string;
  readonly port?: number;
  readonly isSigned?: boolean;
  readonly denial?: "nsec" | "nsec3";
}

/** Knot with some zones, which anybody may transfer; its port on `address`. */
export async function startKnot(
  t: TestContext,
  folder: string,
  zones: readonly PeerZone[],
  { address = "127.0.0.1", isSigned = false, denial, ...given }: KnotOptions = {},
): Promise<number> {
  const port = given.port ?? (await freePort());
  mkdirSync(folder, { recursive: true });
  for (const { origin, text } of zones) writeFileSync(join(folder, `${origin}zone`), text);
  const configuration = join(folder, "knot.conf");
  writeFileSync(
    configuration,
    `server:
  rundir: "${folder}"
  listen: ${address}@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
  - target: stdout
    any: info
database:
  storage: "${folder}"
${
  denial === undefined
    ? ""
    : `policy:
  - id: signed
    single-type-signing: on
    dnskey-ttl: 3600
    cds-cdnskey-publish: none
    nsec3: ${denial === "nsec3" ? "on" : "off"}
    nsec3-iterations: 0
    nsec3-salt-length: 0
`
}acl:
  - id: transfer
    action: transfer
template:
  - id: default
    storage: "${folder}"
    acl: transfer
    zonefile-sync: -1
    journal-content: none
    semantic-checks: on
    dnssec-signing: ${isSigned || denial !== undefined ? "on" : "off"}
${denial === undefined ? "" : "    dnssec-policy: signed\n"}zone:
${zones.map(({ origin }) => `  - domain: ${origin}\n    file: ${origin}zone\n`).join("")}`,
  );
  await startDaemon(t, "knotd", ["-c", configuration], /server started/);
  return port;
}
