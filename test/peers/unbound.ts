// SPDX-License-Identifier: Apache-2.0

// Unbound as a validating resolver that knows the servers of some signed zones and their keys.

import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { encodeMessage, formatRdata, makeQuery, RRType } from "@meridian/dns";
import { freePort } from "../e2e/process.ts";
import { programPath } from "../needs.ts";

const ANSWERS_MS_MAX = 20_000;
const ASK_EVERY_MS = 50;

/** A zone below `test.`, its server on 127.0.0.1 and the DNSKEY rdata that is believed. */
export interface ValidatedZone {
  readonly origin: string;
  readonly port: number;
  readonly anchor: Uint8Array;
}

/** The port on 127.0.0.1 at which it will answer. */
export async function startUnbound(
  t: TestContext,
  folder: string,
  zones: readonly ValidatedZone[],
): Promise<number> {
  const port = await freePort();
  const config = join(folder, "unbound.conf");
  writeFileSync(
    config,
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
${zones.map(({ origin, anchor }) => `  trust-anchor: "${origin} DNSKEY ${formatRdata(RRType.DNSKEY, anchor)}"\n`).join("")}${zones
      .map(
        ({ origin, port: server }) => `stub-zone:
  name: "${origin}"
  stub-addr: 127.0.0.1@${server}
`,
      )
      .join("")}remote-control:
  control-enable: no
`,
  );
  const child = spawn(programPath("unbound") ?? "unbound", ["-d", "-c", config], {
    stdio: "ignore",
  });
  t.after(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  await untilItAnswers(port);
  return port;
}

/** A resolver that was just started does not listen yet. */
async function untilItAnswers(port: number): Promise<void> {
  const socket = createSocket("udp4");
  const packet = encodeMessage(makeQuery(Uint8Array.of(0), RRType.SOA));
  const send = (): void => socket.send(packet, port, "127.0.0.1");
  const timer = setInterval(send, ASK_EVERY_MS);
  try {
    send();
    await once(socket, "message", { signal: AbortSignal.timeout(ANSWERS_MS_MAX) });
  } finally {
    clearInterval(timer);
    socket.close();
  }
}
