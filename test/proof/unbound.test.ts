// SPDX-License-Identifier: Apache-2.0

// Unbound in front of the edge: since a TTL is never longer than the time in which a verdict could change, no client of the resolver is told
// of a dead region later than one probe interval and a second after the verdict.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { needs } from "../needs.ts";
import { startUnbound } from "../peers/unbound.ts";
import { nowMs } from "./poller-data.ts";
import { System, decode, documents, pause, query, until } from "./system.ts";

const INTERVAL_MS = 1000;
const HELD_MS_MAX = INTERVAL_MS + 1000;
const LATE_MAX = 5;
const rounds = process.env["MERIDIAN_LONG"] === "1" ? 10 : 2;

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
    const client = await udpClient(
      "127.0.0.1",
      await startUnbound(context, [{ origin: "proof.test", port: system.port(4) }], {
        modules: "iterator",
      }),
    );
    const watcher = new Watcher(client, victim);
    context.after(() => {
      watcher.close();
      client.close();
    });
    await until(() => watcher.lastVictimMs > 0, 60_000, "an answer through Unbound");
    const held: number[] = [];
    let late = 0;
    for (let round = 0; round < rounds; round++) {
      await pause(Math.random() * INTERVAL_MS);
      const flips = system.transitions.length;
      status = 500;
      await until(() => system.transitions.length > flips, 60_000, "the verdict");
      const flippedMs = nowMs();
      await pause(HELD_MS_MAX + 2500);
      // A machine that stands still holds answers as well: a round that was late is played again.
      const heldMs = Math.round(watcher.lastVictimMs - flippedMs);
      if (heldMs > HELD_MS_MAX && late++ < LATE_MAX) round--;
      else held.push(heldMs);
      const back = system.transitions.length;
      status = 200;
      await until(() => system.transitions.length > back, 60_000, "the verdict");
      const healthyMs = nowMs();
      await until(() => watcher.lastVictimMs > healthyMs, 60_000, "the way back");
    }
    context.diagnostic(
      `held ${held.join(", ")} ms past the flip; TTL at most ${watcher.longestTtl} s`,
    );
    assert.ok(watcher.longestTtl > 1, "the resolver had something to hold");
    assert.ok(Math.max(...held) <= HELD_MS_MAX, `held ${Math.max(...held)} ms`);
  },
);
