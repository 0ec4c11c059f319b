// SPDX-License-Identifier: Apache-2.0

// A flood of random names from made-up sources, at twice what the server can answer, while a client with a cookie goes on asking: what
// becomes of the client, of the server's memory, and of those whose addresses were made up. The same with as many malformed packets, and
// beside TLS handshakes without end. Server and clients are in network namespaces of their own. Wants root, a C compiler, kdig and openssl. Run: node bench/load/flood.ts [--seconds 20] [--times 2] [--save]

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { cpuBetween, processTree, readCpu } from "./measure/cpu.ts";
import { describeMachine } from "./measure/machine.ts";
import { readMemory } from "./measure/memory.ts";
import { buildNative } from "./measure/native.ts";
import { pidOf, runProgram, startPinned, stopProgram, waitFor } from "./measure/program.ts";

const root = join(import.meta.dirname, "../..");
const ZONE = "flood.example";
const SERVER = "198.18.0.1";
const CLIENT = "198.18.0.2";
const SERVER_CORE = "0";
const CLIENT_CORE = "1";
const PREFIXES = 100_000;
const CLIENT_RATE = 1000;
const WARM_SECONDS = 8;
const WARM_RATE = 40_000;
/** The rate that is answered in full is looked for upwards from that one. */
const STEP = 1.2;
const STEPS_MAX = 12;
const STEP_SECONDS = 2;
const ANSWERED_SHARE = 0.99;
const SETTLE_MS = 3000;
/** Until the queue in the kernel is full, packets are lost, and the worker knows it. */
const OVERLOAD_SECONDS = 2;
const DOT_PORT = "853";
/** Processes that begin TLS sessions without end. */
const HANDSHAKERS = 4;
const DOT_PAUSE_MS = 100;

/** What became of the client beside something else. */
interface Beside<Of> {
  readonly client: Summary;
  readonly lost: number;
  /** Of the server, in all. */
  readonly cores: number;
  readonly found: Of;
}

/** What the client and the flood say at their ends. */
type Summary = Readonly<Record<string, number>>;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "20" },
    times: { type: "string", default: "2" },
    "rate-limit": { type: "string", default: "20" },
    save: { type: "boolean", default: false },
  },
});

/** Two namespaces with a link between them; the server's sends what is for the flood's sources over it. */
class Link {
  readonly server: string = `mrf${process.pid}s`;
  readonly client: string = `mrf${process.pid}c`;
  readonly clientInterface: string = "flood";

  open(): void {
    for (const name of [this.server, this.client]) {
      ip("netns", "add", name);
      this.#ip(name, "link", "set", "lo", "up");
    }
    const peer = ["type", "veth", "peer", "name", this.clientInterface, "netns", this.client];
    ip("-n", this.server, "link", "add", "outer", ...peer);
    this.#ip(this.client, "address", "add", `${CLIENT}/30`, "dev", this.clientInterface);
    this.#ip(this.server, "address", "add", `${SERVER}/30`, "dev", "outer");
    this.#ip(this.client, "link", "set", this.clientInterface, "up");
    this.#ip(this.server, "link", "set", "outer", "up");
    this.#ip(this.server, "route", "add", "10.0.0.0/7", "via", CLIENT);
    // Whoever has no route back is not let in; there is one.
    run(["ip", "netns", "exec", this.server, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0"]);
  }

  /** Hardware address of the server's end. */
  serverMac(): string {
    const text = run(["ip", "-n", this.server, "link", "show", "outer"]);
    return /link\/ether (\S+)/.exec(text)?.[1] ?? "";
  }

  close(): void {
    for (const name of [this.server, this.client]) ip("netns", "delete", name);
  }

  #ip(namespace: string, ...given: readonly string[]): void {
    ip("-n", namespace, ...given);
  }
}

function run([file = "", ...given]: readonly string[]): string {
  return execFileSync(file, given, { encoding: "utf8" });
}

function ip(...given: readonly string[]): void {
  run(["ip", ...given]);
}

/** Runs a program among the clients to its end. */
async function ask(link: Link, ...given: readonly string[]): Promise<string> {
  return runProgram("ip", ["netns", "exec", link.client, "taskset", "-c", CLIENT_CORE, ...given]);
}

async function startServer(link: Link, folder: string): Promise<ReturnType<typeof startPinned>> {
  const bundle = join(root, ".build/bench-bundle");
  await runProgram(process.execPath, [join(root, "tools/bundle.ts"), bundle]);
  const documents = join(folder, "documents");
  mkdirSync(documents);
  const spec = {
    origin: ZONE,
    nameServers: [{ name: `ns.${ZONE}`, addresses: [SERVER] }],
    dnssec: {},
    records: Array.from({ length: 1000 }, (_, index) => ({
      ...{ name: `host-${index}`, type: "A", values: ["192.0.2.1"] },
    })),
  };
  const document = {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Zone",
    metadata: { name: ZONE },
    spec,
  };
  writeFileSync(join(documents, "zone.json"), JSON.stringify(document));
  const [cert, key] = [join(folder, "dns.crt"), join(folder, "dns.key")];
  await runProgram("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", `/CN=ns.${ZONE}`, "-keyout", key, "-out", cert],
  ]);
  return startPinned(
    SERVER_CORE,
    "ip",
    [
      ...["netns", "exec", link.server, process.execPath, join(bundle, "app/main.js")],
      ...["up", "-f", documents, "--state", join(folder, "state"), "--workers", "1"],
      ...["--listen", `${SERVER}:53`, "--http", "127.0.0.1:0"],
      ...["--rate-limit", values["rate-limit"]],
      ...["--dot", `${SERVER}:${DOT_PORT}`, "--dns-cert", cert, "--dns-key", key],
    ],
    join(folder, "log"),
  );
}

async function flood(link: Link, folder: string): Promise<object> {
  const program = await buildNative("flood");
  if (program === undefined) throw new Error("Cannot flood: there is no C compiler");
  const server = await startServer(link, folder);
  try {
    await waitFor("a signed answer", 30_000, async () => {
      const question = [`@${SERVER}`, "+dnssec", "+timeout=1", "+retry=0", `gone.${ZONE}`];
      const answer = await ask(link, "kdig", ...question).catch(() => "");
      await sleep(200);
      return answer.includes("RRSIG") ? true : undefined;
    });
    const pids = processTree(pidOf(server));
    const sources = [
      ...["--prefixes", String(PREFIXES), "--interface", link.clientInterface],
      ...["--mac", link.serverMac()],
    ];
    const flooding = [program, "--server", SERVER, "--zone", ZONE, ...sources];
    const capacity = await findCapacity(link, flooding);
    await sleep(SETTLE_MS);
    const rate = Math.round(capacity * Number(values.times));
    const common = ["--server", SERVER, "--zone", ZONE, "--seconds", values.seconds];
    const alone = await summaryOf(
      ask(link, program, ...common.with(5, "3"), "--rate", String(CLIENT_RATE)),
    );
    const memory = [readMemory(pids).resident];
    const sampler = setInterval(() => memory.push(readMemory(pids).resident), 1000);
    /** The client and what goes on beside it. */
    const beside = async <Of>(other: Promise<Of>): Promise<Beside<Of>> => {
      const before = readCpu(pids);
      const [client, found] = await Promise.all([
        summaryOf(ask(link, program, ...common, "--rate", String(CLIENT_RATE))),
        other,
      ]);
      const cores = cpuBetween(before, readCpu(pids)).total / 1e6 / Number(values.seconds);
      await sleep(SETTLE_MS);
      memory.push(readMemory(pids).resident);
      return { client, lost: 1 - (client["received"] ?? 0) / (client["sent"] ?? 1), cores, found };
    };
    const overload = [
      ...["--seconds", values.seconds, "--settle", String(OVERLOAD_SECONDS)],
      ...["--rate", String(rate)],
    ];
    const names = await beside(summaryOf(ask(link, ...flooding, ...overload)));
    const malformed = await beside(summaryOf(ask(link, ...flooding, ...overload, "--malformed")));
    const handshakes = await beside(shakeHands(link));
    clearInterval(sampler);
    return {
      ...{ capacity, rate, rateLimit: Number(values["rate-limit"]), prefixes: PREFIXES },
      ...{ seconds: Number(values.seconds), alone, names, malformed, handshakes, memory },
    };
  } finally {
    await stopProgram(server);
  }
}

/** Answers a second of a server that is warm: the highest rate at which hardly a query goes without one. */
async function findCapacity(link: Link, flooding: readonly string[]): Promise<number> {
  const send = async (rate: number, seconds: number): Promise<Summary> =>
    summaryOf(ask(link, ...flooding, "--rate", String(rate), "--seconds", String(seconds)));
  await send(WARM_RATE, WARM_SECONDS);
  let capacity = 0;
  for (let step = 0, rate = WARM_RATE; step < STEPS_MAX; step += 1, rate *= STEP) {
    const { sent = 0, answers = 0 } = await send(rate, STEP_SECONDS);
    capacity = Math.max(capacity, Math.round(answers / STEP_SECONDS));
    if (answers < sent * ANSWERED_SHARE || sent < rate * STEP_SECONDS * ANSWERED_SHARE) break;
  }
  return capacity;
}

/** New TLS sessions, one after the other in each process, and queries over others beside them. */
async function shakeHands(link: Link): Promise<object> {
  const given = ["s_time", "-connect", `${SERVER}:${DOT_PORT}`, "-new", "-time", values.seconds];
  const all = Promise.all(
    Array.from({ length: HANDSHAKERS }, async () => ask(link, "openssl", ...given)),
  );
  let asked = 0;
  let answered = 0;
  const end = performance.now() + Number(values.seconds) * 1000;
  while (performance.now() < end) {
    const query = [`@${SERVER}`, "-p", DOT_PORT, "+tls", "+timeout=2", "+retry=0"];
    const answer = await ask(link, "kdig", ...query, `host-1.${ZONE}`).catch(() => "");
    asked += 1;
    if (answer.includes("192.0.2.1")) answered += 1;
    await sleep(DOT_PAUSE_MS);
  }
  const connections = (await all).map((text) => Number(/^(\d+) connections/m.exec(text)?.[1] ?? 0));
  return { sessions: connections.reduce((sum, count) => sum + count, 0), asked, answered };
}

async function summaryOf(output: Promise<string>): Promise<Summary> {
  const parsed: unknown = JSON.parse(await output);
  if (typeof parsed !== "object" || parsed === null) throw new Error("Cannot read the summary");
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, Number(value)]));
}

const folder = mkdtempSync(join(tmpdir(), "flood-"));
const link = new Link();
try {
  link.open();
  const date = new Date().toISOString();
  const found = {
    scenario: "flood",
    date,
    machine: await describeMachine(),
    ...(await flood(link, folder)),
  };
  const text = `${JSON.stringify(found, undefined, 1)}\n`;
  process.stdout.write(text);
  if (values.save) writeFileSync(join(root, `bench/results/${date.slice(0, 10)}-flood.json`), text);
} finally {
  link.close();
  rmSync(folder, { recursive: true });
}
