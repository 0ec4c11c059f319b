// SPDX-License-Identifier: Apache-2.0

// Unbound in front of the edge: since a TTL is never longer than the time in which a verdict could change, no client of the resolver is told
// of a dead region later than one probe interval and a second after the verdict.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { RRType } from "@meridian/dns";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { needs, programPath } from "../needs.ts";
import { nowMs } from "./poller-data.ts";
import { System, decode, documents, pause, query, until } from "./system.ts";

const INTERVAL_MS = 1000;
const HELD_MS_MAX = INTERVAL_MS + 1000;
const ATTEMPTS_MAX = 5;
const rounds = process.env["MERIDIAN_LONG"] === "1" ? 10 : 2;

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Starts Unbound with a stub zone at the edge; the port that it answers at. One that is free may be another program's a moment later. */
async function startUnbound(context: TestContext, edgePort: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = await tryUnbound(context, edgePort);
    if (port !== undefined) return port;
    assert.ok(attempt < ATTEMPTS_MAX, "Unbound ended each time before it answered");
  }
}

/** Undefined where it ended before it answered. */
async function tryUnbound(context: TestContext, edgePort: number): Promise<number | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-unbound-"));
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
  module-config: "iterator"
  local-zone: "test." nodefault
stub-zone:
  name: "proof.test"
  stub-addr: 127.0.0.1@${edgePort}
remote-control:
  control-enable: no
`,
  );
  const child: ChildProcess = spawn(programPath("unbound") ?? "unbound", ["-d", "-c", config], {
    stdio: "ignore",
  });
  context.after(async () => {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  });
  await answers(port, () => child.exitCode !== null);
  return child.exitCode === null ? port : undefined;
}

/** Resolves when something answers at the port, or nobody will. A socket that is not connected is not told that nobody listens yet. */
async function answers(port: number, hasEnded: () => boolean): Promise<void> {
  const socket = createSocket("udp4");
  let isThere = false;
  socket.on("message", () => {
    isThere = true;
  });
  const packet = query("www.proof.test.", RRType.A, { rd: true });
  try {
    await until(
      () => {
        socket.send(packet, port, "127.0.0.1");
        return isThere || hasEnded();
      },
      10_000,
      "Unbound's first answer",
    );
  } finally {
    socket.close();
  }
}

/** Asks every few milliseconds; remembers when the first and last answers with `address` of the phase came. */
class Watcher {
  lastVictimMs = 0;
  answers = 0;
  longestTtl = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(client: DnsClient, victim: string) {
    const packet = query("www.proof.test.", RRType.A, { rd: true });
    this.#timer = setInterval(() => {
      client
        .ask(packet)
        .then((bytes) => {
          const { answer } = decode(bytes);
          if (answer.length > 0) this.answers += 1;
          if (answer.every(({ rdata }) => rdata.join(".") !== victim)) return;
          this.lastVictimMs = nowMs();
          this.longestTtl = Math.max(this.longestTtl, ...answer.map(({ ttl }) => ttl));
        })
        .catch(() => undefined);
    }, 20);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

test(
  `Unbound holds no answer longer than ${HELD_MS_MAX} ms past the flip`,
  { skip: needs("unbound", "unbound") },
  async (context) => {
    const victim = "127.0.1.9";
    let status = 200;
    const region = createServer((_, response) => response.writeHead(status).end());
    region.listen(0, victim);
    await once(region, "listening");
    context.after(() => region.close());
    const address: string | AddressInfo | null = region.address();
    assert.ok(typeof address === "object" && address !== null);
    const system = await System.start({
      probing: true,
      documents: documents(
        "Zone proof.test {origin: proof.test, nameServers: [{name: ns.proof.test, addresses: [127.0.0.1]}]}",
        `HealthCheck plain {http: {}, interval: ${INTERVAL_MS}ms, timeout: 400ms, unhealthyThreshold: 3, healthyThreshold: 2}`,
        `Pool main {healthCheck: plain, members: {m: {address: ${victim}, port: ${address.port}}}}`,
        "Pool rest {members: {r: {address: 192.0.2.1}}}",
        "TrafficPolicy f {root: f, nodes: {f: {failover: {tiers: [{branches: [{pool: main}]}, {branches: [{pool: rest}]}]}}}}",
        "Record www.proof.test {name: www.proof.test, types: [A], policy: f, ttl: {min: 1s, max: 5s}}",
      ),
    });
    context.after(() => system.close());
    const client = await udpClient("127.0.0.1", await startUnbound(context, system.port(4)));
    const watcher = new Watcher(client, victim);
    context.after(() => {
      watcher.close();
      client.close();
    });
    await until(() => watcher.lastVictimMs > 0, 10_000, "an answer through Unbound");
    const held: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await pause(Math.random() * INTERVAL_MS);
      const flips = system.transitions.length;
      status = 500;
      await until(() => system.transitions.length > flips, 12_000, "the verdict");
      const flippedMs = nowMs();
      await pause(HELD_MS_MAX + 2500);
      held.push(Math.round(watcher.lastVictimMs - flippedMs));
      const back = system.transitions.length;
      status = 200;
      await until(() => system.transitions.length > back, 12_000, "the verdict");
      const healthyMs = nowMs();
      await until(() => watcher.lastVictimMs > healthyMs, 8000, "the way back");
    }
    context.diagnostic(
      `held ${held.join(", ")} ms past the flip; TTL at most ${watcher.longestTtl} s`,
    );
    assert.ok(watcher.longestTtl > 1, "the resolver had something to hold");
    assert.ok(Math.max(...held) <= HELD_MS_MAX, `held ${Math.max(...held)} ms`);
  },
);
