// SPDX-License-Identifier: Apache-2.0

// Unbound as a resolver that knows the servers of some zones, and validates those of which it knows keys.

import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { encodeMessage, formatRdata, makeQuery, RRType } from "@meridian/dns";
import { freePort } from "../e2e/process.ts";
import { programPath } from "../needs.ts";

const ANSWERS_MS_MAX = 20_000;
const ASK_EVERY_MS = 50;
/** A port that is free may be another program's a moment later. */
const ATTEMPTS_MAX = 5;

/** A zone, its server on 127.0.0.1 and the DNSKEY rdata that is believed, if any. */
export interface ResolvedZone {
  readonly origin: string;
  readonly port: number;
  readonly anchor?: Uint8Array;
}

export interface UnboundOptions {
  /** Lines of the section `server` besides. */
  readonly server?: readonly string[];
  /** In the order in which they are asked; "validator iterator" unless given. */
  readonly modules?: string;
}

/** The port on 127.0.0.1 at which it answers. */
export async function startUnbound(
  t: TestContext,
  zones: readonly ResolvedZone[],
  options: UnboundOptions = {},
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = await tryUnbound(t, zones, options);
    if (port !== undefined) return port;
    if (attempt === ATTEMPTS_MAX) throw new Error("Unbound ended each time before it answered");
  }
}

/** Undefined where it ended before it answered. */
async function tryUnbound(
  t: TestContext,
  zones: readonly ResolvedZone[],
  { server = [], modules = "validator iterator" }: UnboundOptions,
): Promise<number | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-unbound-"));
  const port = await freePort();
  const anchors = zones.flatMap(({ origin, anchor }) =>
    anchor === undefined
      ? []
      : [`trust-anchor: "${origin} DNSKEY ${formatRdata(RRType.DNSKEY, anchor)}"`],
  );
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
  module-config: "${modules}"
  local-zone: "test." nodefault
${[...anchors, ...server].map((line) => `  ${line}\n`).join("")}${zones
      .map((zone) => `stub-zone:\n  name: "${zone.origin}"\n  stub-addr: 127.0.0.1@${zone.port}\n`)
      .join("")}remote-control:
  control-enable: no
`,
  );
  const child = spawn(programPath("unbound") ?? "unbound", ["-d", "-c", config], {
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const isThere = await Promise.race([answers(port), ended.then(() => false)]);
  return isThere ? port : undefined;
}

/** A resolver that was just started does not listen yet, and a socket that is not connected is not told so. */
async function answers(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const packet = encodeMessage(makeQuery(Uint8Array.of(0), RRType.SOA));
  const send = (): void => socket.send(packet, port, "127.0.0.1");
  const timer = setInterval(send, ASK_EVERY_MS);
  try {
    send();
    await once(socket, "message", { signal: AbortSignal.timeout(ANSWERS_MS_MAX) });
    return true;
  } finally {
    clearInterval(timer);
    socket.close();
  }
}
