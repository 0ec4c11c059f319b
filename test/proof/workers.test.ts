// SPDX-License-Identifier: Apache-2.0

// A worker that dies (exception, process.exit, out of memory) in the middle of a batch: its sockets answer again within a second,
// and whoever is served by another worker does not lose one query.

import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { RRType } from "@meridian/dns";
import { tcpClient, type DnsClient } from "../conformance/dns-client.ts";
import { busyFactor, leastMs } from "../e2e/process.ts";
import { misdeeds, type Misdeed } from "./misbehaving-handler.ts";
import { nowMs } from "./poller-data.ts";
import { System, documents, pause, query, until } from "./system.ts";

const SOURCES = 32;
const PERIOD_MS = 10;
const AGAIN_MS_MAX = 1000;
const DEATHS_MAX = 10;
const WORKERS = 3;
const START_MS_MAX = 60_000;
/** Filling a heap takes a second, and many where others want the processors. */
const END_MS_MAX = 60_000;
/** A query that is not answered for so long is lost. */
const QUIET_MS_MAX = 60_000;

/** One client port: asks for a name of its own every few milliseconds and remembers what came back. */
class Source {
  readonly name: string;
  /** Start of each query without an answer, by id. */
  readonly open = new Map<number, number>();
  /** Start of each answered query, and when its answer came. */
  readonly answered: { readonly startMs: number; readonly endMs: number }[] = [];
  readonly #socket: Socket;
  readonly #packet: Uint8Array;
  #nextId = 1;

  private constructor(name: string, socket: Socket) {
    this.name = name;
    this.#socket = socket;
    this.#packet = query(`${name}.wild.proof.test.`, RRType.TXT);
    socket.on("message", (bytes) => this.#take(bytes));
    socket.on("error", () => undefined);
  }

  static async open(index: number, system: System): Promise<Source> {
    const isIpv6 = index % 2 === 1;
    const socket = createSocket(isIpv6 ? "udp6" : "udp4");
    socket.connect(system.port(isIpv6 ? 6 : 4), isIpv6 ? "::1" : "127.0.0.1");
    await once(socket, "connect");
    return new Source(`s${index}`, socket);
  }

  ask(): void {
    const packet = Uint8Array.from(this.#packet);
    packet[0] = this.#nextId >>> 8;
    packet[1] = this.#nextId;
    this.open.set(this.#nextId, nowMs());
    this.#nextId += 1;
    this.#socket.send(packet);
  }

  /** Sends a packet that is not counted. */
  send(packet: Uint8Array): void {
    this.#socket.send(packet);
  }

  close(): void {
    this.#socket.close();
  }

  #take(bytes: Uint8Array): void {
    const id = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const startMs = this.open.get(id);
    if (startMs === undefined) return;
    this.open.delete(id);
    this.answered.push({ startMs, endMs: nowMs() });
  }
}

async function start(context: TestContext): Promise<{ system: System; sources: Source[] }> {
  const system = await System.start({
    documents: documents(
      'Zone proof.test {origin: proof.test, nameServers: [{name: ns.proof.test, addresses: [127.0.0.1]}], records: [{name: "*.wild", type: TXT, values: [here]}]}',
      "Pool p {members: {m: {address: 192.0.2.1}}}",
      "Record p.proof.test {name: p.proof.test, pool: p}",
    ),
    logs: "cut",
    handlerModule: new URL("./misbehaving-handler.ts", import.meta.url),
    workerHeapMaxMb: 48,
  });
  context.after(() => system.close());
  const sources = await Promise.all(
    Array.from({ length: SOURCES }, (_, index) => Source.open(index, system)),
  );
  context.after(() => sources.forEach((source) => source.close()));
  return { system, sources };
}

/** Which worker each source's port leads to, once every worker answers: one that was replaced may still be starting. */
async function workersOf(system: System, sources: readonly Source[]): Promise<Map<string, number>> {
  const deadline = nowMs() + START_MS_MAX;
  for (;;) {
    for (const source of sources) source.ask();
    await until(() => sources.every(({ open }) => open.size === 0), START_MS_MAX, "answers");
    await pause(10);
    const found = new Map<string, number>();
    for (const { worker, line } of system.logLines()) {
      const { name }: { name: string } = JSON.parse(line);
      found.set(name.split(".")[0] ?? "", worker);
    }
    const workers = new Set(found.values()).size;
    if (workers === WORKERS) return found;
    assert.ok(nowMs() < deadline, `the ports lead to ${workers} workers, expected ${WORKERS}`);
  }
}

/** Whatever was asked of these is answered: nothing is on its way. What is lost shows in what stays open. */
async function untilQuiet(sources: readonly Source[]): Promise<void> {
  const deadline = nowMs() + QUIET_MS_MAX;
  while (sources.some(({ open }) => open.size > 0) && nowMs() < deadline) await pause(10);
}

/** After how long its clients are answered again. */
async function misbehave(
  context: TestContext,
  system: System,
  sources: readonly Source[],
  misdeed: Misdeed,
): Promise<number> {
  const workers = await workersOf(system, sources);
  const [first] = sources;
  assert.ok(first !== undefined);
  const victim = workers.get(first.name);
  const restarts = (): number => system.edge.status().workers[victim ?? 0]?.restarts ?? 0;
  const before = restarts();
  const timer = setInterval(() => sources.forEach((source) => source.ask()), PERIOD_MS);
  await pause(200);
  first.send(query(`${misdeed}.proof.test.`, RRType.A));
  await until(() => restarts() > before, END_MS_MAX, `the worker's end by ${misdeed}`);
  const deadMs = nowMs();
  const isAgain = ({ name, answered }: Source): boolean =>
    workers.get(name) !== victim || answered.some(({ startMs }) => startMs > deadMs);
  await until(() => sources.every(isAgain), END_MS_MAX, "answers to every source");
  clearInterval(timer);
  await untilQuiet(sources.filter(({ name }) => workers.get(name) !== victim));
  let againMs = 0;
  let lost = 0;
  for (const source of sources) {
    if (workers.get(source.name) !== victim) {
      assert.equal(source.open.size, 0, `${source.name}, of another worker, lost queries`);
      continue;
    }
    lost += source.open.size;
    const next = source.answered.find(({ startMs }) => startMs > deadMs);
    assert.ok(next !== undefined, `${source.name} is answered again`);
    againMs = Math.max(againMs, next.endMs - deadMs);
    source.open.clear();
  }
  context.diagnostic(`answers again after ${againMs.toFixed(0)} ms; its own clients lost ${lost}`);
  for (const source of sources) source.answered.length = 0;
  return againMs;
}

/** Others may take the processors meanwhile: the load is allowed for, and a few of these deaths. */
async function soonEnough(death: () => Promise<number>): Promise<void> {
  const msMax = AGAIN_MS_MAX * busyFactor();
  const againMs = await leastMs(msMax, DEATHS_MAX, death);
  assert.ok(againMs <= msMax, `again after ${againMs} ms, expected ≤ ${msMax} ms`);
}

test("a UDP worker that dies is replaced, and others lose nothing", async (context) => {
  const { system, sources } = await start(context);
  for (const misdeed of misdeeds)
    await context.test(misdeed, (own) =>
      soonEnough(() => misbehave(own, system, sources, misdeed)),
    );
});

/** Without the add-on nobody holds the listening socket between two workers, so the first tries may be refused. */
async function connectAgain(port: number): Promise<DnsClient> {
  const deadline = nowMs() + START_MS_MAX;
  for (;;) {
    try {
      return await tcpClient("127.0.0.1", port);
    } catch (error) {
      if (nowMs() > deadline) throw error;
      await pause(10);
    }
  }
}

test("a TCP worker that dies is replaced, and UDP loses nothing", async (context) => {
  const { system, sources } = await start(context);
  const timer = setInterval(() => sources.forEach((source) => source.ask()), PERIOD_MS);
  context.after(() => clearInterval(timer));
  const worker = (): number => system.edge.status().workers.at(-1)?.restarts ?? 0;
  await soonEnough(async () => {
    const before = worker();
    const doomed = await tcpClient("127.0.0.1", system.port(4));
    const packet = query("s.wild.proof.test.", RRType.TXT);
    await doomed.ask(packet);
    const deadMs = nowMs();
    doomed.ask(query("throw.proof.test.", RRType.A)).catch(() => undefined);
    await until(() => worker() > before, END_MS_MAX, "the TCP worker's end");
    const client = await connectAgain(system.port(4));
    await client.ask(packet);
    const againMs = nowMs() - deadMs;
    context.diagnostic(`answers again after ${againMs.toFixed(0)} ms`);
    client.close();
    doomed.close();
    return againMs;
  });
  clearInterval(timer);
  await untilQuiet(sources);
  for (const source of sources) assert.equal(source.open.size, 0, `${source.name} lost queries`);
});
