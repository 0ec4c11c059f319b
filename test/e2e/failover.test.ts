// SPDX-License-Identifier: Apache-2.0

// An endpoint that dies in one of several ways leaves every answer within the detection bound, and comes back by its thresholds.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { allClients, ask, type NamedClient } from "./ask.ts";
import { failoverDocuments, type Pair } from "./documents.ts";
import {
  EndpointProcess,
  ServerProcess,
  busyFactor,
  leastMs,
  freePort,
  temporaryFolder,
  until,
} from "./process.ts";

const ROUNDS = 3;
const ATTEMPTS_MAX = 10;
const INTERVAL_MS = 200;
const TIMEOUT_MS = 100;
const THRESHOLD = 2;
/** interval × (1 + jitter) × threshold + time-out, for those that hang, + 100 ms (design of health). */
const BOUND_MS = INTERVAL_MS * 1.05 * THRESHOLD + TIMEOUT_MS + 100;
/** What a busy machine may add to the looking, not to the server. */
const LOOKING_MS = 750;
const HISTORY_MS_MAX = 60_000;

interface Failure {
  readonly name: string;
  readonly down: (endpoint: EndpointProcess) => void | Promise<void>;
  readonly up: (endpoint: EndpointProcess) => void | Promise<void>;
}

const failures: readonly Failure[] = [
  {
    name: "a closed port",
    down: (endpoint) => endpoint.kill(),
    up: (endpoint) => endpoint.start(),
  },
  {
    name: "SIGSTOP",
    down: (endpoint) => endpoint.signal("SIGSTOP"),
    up: (endpoint) => endpoint.signal("SIGCONT"),
  },
  {
    name: "HTTP 500",
    down: (endpoint) => endpoint.answerWith(500),
    up: (endpoint) => endpoint.answerWith(200),
  },
];

for (const failure of failures) {
  test(`an endpoint killed by ${failure.name} leaves every answer within the bound and returns`, async (t) => {
    const { primary, clients, pair, server } = await setUp(t);
    for (let round = 0; round < ROUNDS; round++) {
      const msMax = BOUND_MS + LOOKING_MS * busyFactor();
      const tookMs = await leastMs(msMax, ATTEMPTS_MAX, async () => {
        await failure.down(primary);
        const leftMs = await allAnswer(clients, pair.secondary, "2001:db8::2");
        await failure.up(primary);
        const backMs = await allAnswer(clients, pair.primary, "2001:db8::1");
        return Math.max(leftMs, backMs);
      });
      assert.ok(tookMs <= msMax, `left or came back after ${tookMs} ms, expected ${BOUND_MS}`);
    }
    // The first round finds it healthy; then down and up again each time. Answers change before the history is written.
    const transitions = 1 + 2 * ROUNDS;
    let history: unknown;
    await until("the history", HISTORY_MS_MAX, async () => {
      history = await server.api("/v1/health/history?endpoint=endpoint/default/primary");
      return Array.isArray(history) && history.length >= transitions;
    });
    assert.ok(Array.isArray(history));
    assert.equal(history.length, transitions);
    const metrics = String(await server.api("/metrics"));
    assert.match(metrics, new RegExp(`transitions_total\\{verdict="unhealthy"\\} ${ROUNDS}\n`));
  });
}

interface Setting {
  readonly primary: EndpointProcess;
  readonly clients: readonly NamedClient[];
  readonly pair: Pair;
  readonly server: ServerProcess;
}

async function setUp(t: TestContext): Promise<Setting> {
  const folder = temporaryFolder(t);
  const pair: Pair = {
    port: await freePort(),
    primary: "127.0.0.21",
    secondary: "127.0.0.22",
    intervalMs: INTERVAL_MS,
    timeoutMs: TIMEOUT_MS,
  };
  const primary = new EndpointProcess(t, pair.primary, pair.port);
  const secondary = new EndpointProcess(t, pair.secondary, pair.port);
  await Promise.all([primary.start(), secondary.start()]);
  const files = join(folder, "documents.yaml");
  writeFileSync(files, failoverDocuments(pair));
  const port = await freePort();
  const server = await ServerProcess.start(t, { files, stateDir: join(folder, "state"), port });
  const clients = await allClients(t, port);
  await allAnswer(clients, pair.primary, "2001:db8::1");
  return { primary, clients, pair, server };
}

/** Waits until every client is answered with these two addresses; after how many milliseconds. */
function allAnswer(clients: readonly NamedClient[], ipv4: string, ipv6: string): Promise<number> {
  return until(`${ipv4} in every answer`, 5000, async () => {
    const answers = await Promise.all(
      clients.flatMap(({ client }) => [
        ask(client, "www.e2e.example", "A"),
        ask(client, "www.e2e.example", "AAAA"),
      ]),
    );
    return answers.every(([only]) => only === ipv4 || only === ipv6);
  });
}
