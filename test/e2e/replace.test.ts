// SPDX-License-Identifier: Apache-2.0

// One process takes over from another one that answers: every query of a steady load is answered, whatever comes of it.

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { failoverDocuments, plainDocuments } from "./documents.ts";
import { PlaneProcess, joinedFolder, startPairPlane } from "./edge-processes.ts";
import {
  ServerProcess,
  freePort,
  meridian,
  temporaryFolder,
  until,
  type ServerSetup,
} from "./process.ts";

const ADDRESS = "192.0.2.1";
/** Each asks from a port of its own, so that every worker is asked. */
const CLIENTS = 8;
const ROUND_MS = 10;
const SEEN_MS_MAX = 60_000;

test("a process that replaces another one loses no query of a steady load", async (t) => {
  const { setup, load } = await setUp(t);
  const running = await ServerProcess.start(t, setup);
  load.start();
  const next = await ServerProcess.start(t, { ...setup, flags: ["--replace"] });
  assert.equal(await running.whenEnded(), 0);
  assert.deepEqual(await next.api("/readyz"), { ready: true, revision: 1 });
  assert.match(running.log, /Another process has taken over/);
  // Any that is not answered within five seconds rejects.
  assert.ok((await load.end()) > 500);
  assert.equal(await next.stop(), 0);
});

test("a process that cannot take over says why, and the one that answers goes on", async (t) => {
  const { setup, load } = await setUp(t);
  const running = await ServerProcess.start(t, setup);
  load.start();

  const log = join(setup.stateDir, "nowhere", "queries.jsonl");
  const refused = await meridian(
    ...["up", "-f", setup.files, "--state", setup.stateDir, "--http", "none", "--replace"],
    ...["--workers", "2", "--listen", `127.0.0.1:${setup.port ?? 0}`, "--query-log", log],
  );
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^Cannot open the query log ".*queries\.jsonl": there is no such file\n$/,
  );
  await until("the first process to go on", SEEN_MS_MAX, () => /goes on/.test(running.log));

  const killed = ServerProcess.spawn(t, { ...setup, flags: ["--replace"] });
  await killed.whenLogged(/Serving the stored revision/);
  await killed.kill();

  // Whoever starts beside it still finds the folder taken.
  const beside = await meridian("up", "-f", setup.files, "--state", setup.stateDir);
  assert.equal(beside.code, 3);
  assert.match(beside.stderr, /process \d+ holds it/);

  const next = await ServerProcess.start(t, { ...setup, flags: ["--replace"] });
  assert.equal(await running.whenEnded(), 0);
  assert.ok((await load.end()) > 500);
  assert.equal(await next.stop(), 0);
});

test("of two processes that are to replace an edge at once, one replaces the other, and no query is lost", async (t) => {
  const plane = await startPairPlane(
    t,
    { primary: "127.0.0.83", secondary: "127.0.0.84", intervalMs: 400, timeoutMs: 300 },
    failoverDocuments,
  );
  const stateDir = await joinedFolder(plane, "eu-0");
  const port = await freePort();
  const [running, one, other] = [0, 1, 2].map(
    () =>
      new PlaneProcess(t, stateDir, [
        ...["edge", "--control", plane.url, "--listen", `127.0.0.1:${port}`],
        ...["--workers", "1", "--http", "none"],
      ]),
  );
  assert.ok(running !== undefined && one !== undefined && other !== undefined);
  const load = await SteadyLoad.open(t, port, plane.pair.primary);
  await running.start(/"msg":"Serving a new revision"/);
  await running.whenLogged(/"msg":"Asked locally"/);
  load.start();
  const rivals = [one, other];
  await Promise.all(rivals.map((rival) => rival.start(/"msg":"Answering"/, ["--replace"])));
  await until("the first of both to end", SEEN_MS_MAX, () =>
    rivals.some(({ hasEnded }) => hasEnded),
  );
  assert.ok((await load.end()) > 100);
  assert.ok(running.hasEnded);
  const last = rivals.filter(({ hasEnded }) => !hasEnded);
  assert.equal(last.length, 1);
  const beside = await meridian("edge", "--control", plane.url, "--state", stateDir);
  assert.equal(beside.code, 3);
  assert.match(beside.stderr, new RegExp(`process ${last[0]?.pid} holds it`));
});

test("a process that is told to end before it has taken over ends at once, and the one that answers goes on", async (t) => {
  const { setup, load } = await setUp(t);
  const running = await ServerProcess.start(t, setup);
  running.signal("SIGSTOP");
  const next = ServerProcess.spawn(t, { ...setup, flags: ["--replace"] });
  const receiver = join(setup.stateDir, `handover.sock.${next.pid}`);
  await until("the other process to ask for sockets", SEEN_MS_MAX, () => existsSync(receiver));
  assert.equal(await next.stop(), 130);
  assert.match(next.log, /this one was told to end before\n$/);
  running.signal("SIGCONT");
  load.start();
  await until("the first process to go on", SEEN_MS_MAX, () => /goes on/.test(running.log));
  assert.ok((await load.end()) > 0);
  assert.equal(await running.stop(), 0);
});

async function setUp(t: TestContext): Promise<{ setup: ServerSetup; load: SteadyLoad }> {
  const folder = temporaryFolder(t);
  const files = join(folder, "zone.yaml");
  const port = await freePort();
  writeFileSync(files, plainDocuments(ADDRESS));
  const load = await SteadyLoad.open(t, port, ADDRESS);
  return { setup: { files, stateDir: join(folder, "state"), port }, load };
}

/** Queries at a steady rate, however long answers take; at most some hundred a second, as a machine that runs tests can do. */
class SteadyLoad {
  readonly #clients: readonly DnsClient[];
  readonly #answer: string;
  readonly #asked: Promise<void>[] = [];
  #timer: NodeJS.Timeout | undefined;

  private constructor(clients: readonly DnsClient[], answer: string) {
    this.#clients = clients;
    this.#answer = answer;
  }

  /** `answer` is the address that all are to be told. */
  static async open(t: TestContext, port: number, answer: string): Promise<SteadyLoad> {
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, () => udpClient("127.0.0.1", port)),
    );
    const load = new SteadyLoad(clients, answer);
    t.after(() => {
      clearInterval(load.#timer);
      for (const client of clients) client.close();
    });
    return load;
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (const client of this.#clients) {
        const answered = askOnce(client, this.#answer);
        // It is awaited at the end.
        answered.catch(() => undefined);
        this.#asked.push(answered);
      }
    }, ROUND_MS);
  }

  /** Resolves, when all queries are answered, to how many there were; rejects where one is not. */
  async end(): Promise<number> {
    clearInterval(this.#timer);
    await Promise.all(this.#asked);
    return this.#asked.length;
  }
}

async function askOnce(client: DnsClient, answer: string): Promise<void> {
  assert.deepEqual(await ask(client, "www.e2e.example", "A"), [answer]);
}
