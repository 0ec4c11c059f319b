// SPDX-License-Identifier: Apache-2.0

// What `plan` foretells against what happens: dnsperf asks through many real Unbound instances in front of a running server, weights are changed
// to and fro, and where answers lead is counted between dnsperf and the resolvers. By hand: node test/proof/plan-shift.ts [SECONDS] [FILE]

import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../e2e/process.ts";

const RESOLVERS = 40;
const RATE = 600;
const TTL_SECONDS = 5;
const PERIOD_SECONDS = TTL_SECONDS + 1;
/** At least so long between two changes, and up to a period longer: they fall anywhere in the periods of resolvers. */
const HOLD_SECONDS = 12;
const BIN_SECONDS = 1;
const JOIN_MS = 11_300;
const seconds = Number(process.argv[2] ?? 200);
const output = process.argv[3];
const apiVersion = "meridian.dev/v1alpha1";

const zone = `apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.org, addresses: [127.0.0.1]}]}
`;
const document = (kind: string, name: string, spec: object): object => ({
  ...{ apiVersion, kind, metadata: { name }, spec },
});
const policy = ([one, two]: readonly [number, number]): object =>
  document("TrafficPolicy", "www", {
    root: "w",
    nodes: {
      w: {
        weighted: {
          branches: [
            { pool: "one", weight: one },
            { pool: "two", weight: two },
          ],
        },
      },
    },
  });
const pool = (name: string, address: string): object =>
  document("Pool", name, { members: { a: { address } } });
const others = [
  pool("one", "192.0.2.1"),
  pool("two", "192.0.2.2"),
  document("Record", "www.example.org", {
    ...{ name: "www.example.org", types: ["A"], policy: "www" },
    ttl: { min: `${TTL_SECONDS}s`, max: `${TTL_SECONDS}s` },
  }),
  document("TrafficProfile", "dnsperf", {
    unit: "look-ups/s",
    demand: { all: { name: "www.example.org", rate: RATE } },
    // Unbound counts whole seconds: with clients all the time it asks again in the second after the TTL.
    resolvers: { unbound: { caches: RESOLVERS, ttlFloor: `${PERIOD_SECONDS}s` } },
  }),
];
const mostlyOne = [85, 15] as const;
const mostlyTwo = [15, 85] as const;

const folder = mkdtempSync(join(tmpdir(), "meridian-plan-shift-"));
const children: ChildProcess[] = [];

function start(command: string, words: readonly string[]): ChildProcess {
  const child = spawn(command, words, { stdio: "ignore" });
  children.push(child);
  return child;
}

async function ask(path: string, body: unknown): Promise<unknown> {
  const socketPath = join(folder, "state", "meridian.sock");
  const asked = request({
    ...{ socketPath, path, method: "POST" },
    headers: { "content-type": "application/json" },
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  asked.once("response", resolve).once("error", reject).end(JSON.stringify(body));
  const response = await promise;
  const text = (await buffer(response)).toString();
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${text}`);
  const parsed: unknown = JSON.parse(text);
  return parsed;
}

async function startResolver(index: number, server: number): Promise<number> {
  const port = await freePort();
  const config = join(folder, `unbound-${index}.conf`);
  writeFileSync(
    config,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@${port}
  outgoing-interface: 127.1.${index}.1
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-daemonize: no
  num-threads: 1
  msg-cache-size: 256k
  rrset-cache-size: 256k
  module-config: "iterator"
stub-zone:
  name: "example.org"
  stub-addr: 127.0.0.1@${server}
remote-control:
  control-enable: no
`,
  );
  start("unbound", ["-d", "-c", config]);
  return port;
}

/** An answer that led to one of the two places. */
interface Seen {
  readonly atMs: number;
  readonly resolver: number;
  readonly isOne: boolean;
}

/** Passes queries on to the resolvers in turn; `seen` is told of answers. */
async function startRelay(ports: readonly number[], seen: Seen[]): Promise<number> {
  const front = createSocket("udp4");
  let turn = 0;
  const beginMs = performance.now();
  const waiting = new Map<string, number>();
  const backs = ports.map((_, resolver) => {
    const back = createSocket("udp4");
    back.on("message", (message) => {
      const key = `${resolver} ${message.readUInt16BE(0)}`;
      const client = waiting.get(key);
      waiting.delete(key);
      if (client === undefined) return;
      front.send(message, client, "127.0.0.1");
      const last = message.includes(Buffer.from([192, 0, 2, 1]))
        ? 1
        : message.includes(Buffer.from([192, 0, 2, 2]))
          ? 2
          : 0;
      if (last > 0) seen.push({ atMs: performance.now(), resolver, isOne: last === 1 });
    });
    return back;
  });
  front.on("message", (message, { port }) => {
    // One joins after the other over a few periods: else all of them would ask in the same second for ever.
    const joined = Math.ceil(((performance.now() - beginMs) / JOIN_MS) * ports.length);
    const resolver = turn++ % Math.min(ports.length, Math.max(1, joined));
    waiting.set(`${resolver} ${message.readUInt16BE(0)}`, port);
    backs[resolver]?.send(message, ports[resolver] ?? 0, "127.0.0.1");
  });
  front.bind(0, "127.0.0.1");
  await once(front, "listening");
  return front.address().port;
}

/** Share of the load on the first place, foretold: bin by bin after the change. */
function foretold(plan: unknown): { readonly bins: number[]; readonly settled: number } {
  const read = (from: unknown, ...path: string[]): unknown =>
    path.reduce<unknown>(
      (at, name) => (typeof at === "object" && at !== null ? Reflect.get(at, name) : undefined),
      from,
    );
  const course = read(plan, "traffic", "course");
  const ends = numbersOf(read(course, "seconds"));
  const places = read(course, "places");
  const loads = (Array.isArray(places) ? places : []).map((place: unknown) => ({
    isOne: read(place, "target") === "pool/default/one",
    loads: numbersOf(read(place, "loads")),
  }));
  const shares = ends.map((_, bin) => {
    const all = loads.reduce((sum, place) => sum + (place.loads[bin] ?? 0), 0);
    const one = loads.find(({ isOne }) => isOne)?.loads[bin] ?? 0;
    return one / all;
  });
  const bins = Array.from({ length: HOLD_SECONDS / BIN_SECONDS }, (_, index) => {
    const inside = shares.filter((_share, bin) => {
      const end = ends[bin] ?? 0;
      return end > index * BIN_SECONDS && end <= (index + 1) * BIN_SECONDS;
    });
    return inside.length === 0 ? undefined : mean(inside);
  });
  const planned = read(plan, "traffic", "loads");
  const one = (Array.isArray(planned) ? planned : []).find(
    (load: unknown) => read(load, "target") === "pool/default/one",
  );
  const settled = Number(read(one, "after")) / RATE;
  return { bins: bins.map((share) => share ?? settled), settled };
}

function numbersOf(value: unknown): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean over resolvers and changes of what each of them showed in a bin, and the half-width of its 95 % interval. */
function measured(
  seen: readonly Seen[],
  starts: readonly number[],
  from: number,
  to: number,
): { readonly share: number; readonly error: number; readonly samples: number } {
  const cells = new Map<string, { one: number; all: number }>();
  for (const { atMs, resolver, isOne } of seen)
    for (const [change, startMs] of starts.entries()) {
      const after = (atMs - startMs) / 1000;
      if (after < from || after >= to) continue;
      const key = `${change} ${resolver}`;
      const cell = cells.get(key) ?? { one: 0, all: 0 };
      cell.all += 1;
      if (isOne) cell.one += 1;
      cells.set(key, cell);
    }
  const shares = [...cells.values()].map(({ one, all }) => one / all);
  const share = mean(shares);
  const variance = mean(shares.map((each) => (each - share) ** 2));
  return { share, error: 1.96 * Math.sqrt(variance / shares.length), samples: shares.length };
}

async function run(): Promise<void> {
  mkdirSync(join(folder, "base"));
  writeFileSync(join(folder, "base", "zone.yaml"), zone);
  const dns = await freePort();
  start(join(import.meta.dirname, "../../bin/meridian"), [
    ...["up", "-f", join(folder, "base"), "--state", join(folder, "state"), "--http", "none"],
    ...["--listen", `127.0.0.1:${dns}`, "--log-level", "silent"],
  ]);
  for (let attempt = 0; ; attempt++) {
    await sleep(250);
    const done = await ask("/v1/apply", [...others, policy(mostlyOne)]).catch(() => undefined);
    if (done !== undefined) break;
    if (attempt > 100) throw new Error("the server does not come up");
  }
  const ports = await Promise.all(
    Array.from({ length: RESOLVERS }, (_, index) => startResolver(index + 1, dns)),
  );
  await sleep(2000);
  const seen: Seen[] = [];
  const relay = await startRelay(ports, seen);
  const queries = join(folder, "queries.txt");
  writeFileSync(queries, "www.example.org A\n");
  start("dnsperf", [
    ...["-s", "127.0.0.1", "-p", String(relay), "-d", queries, "-Q", String(RATE)],
    ...["-l", String(seconds + 60), "-c", "4", "-q", "400"],
  ]);
  const plan = foretold(await ask("/v1/plans", [policy(mostlyTwo)]));
  const changes: { readonly toTwo: number[]; readonly toOne: number[] } = { toTwo: [], toOne: [] };
  const endMs = performance.now() + seconds * 1000;
  await sleep(JOIN_MS + 2 * PERIOD_SECONDS * 1000);
  for (let isToTwo = true; performance.now() < endMs; isToTwo = !isToTwo) {
    await ask("/v1/apply", [policy(isToTwo ? mostlyTwo : mostlyOne)]);
    changes[isToTwo ? "toTwo" : "toOne"].push(performance.now());
    await sleep((HOLD_SECONDS + 0.5 + Math.random() * PERIOD_SECONDS) * 1000);
  }
  // Both ways are one course, seen from the other place: what is foretold of one is.
  const flipped = seen.map((each) => ({ ...each, isOne: !each.isOne }));
  const bins = plan.bins.map((share, bin) => {
    const [from, to] = [bin * BIN_SECONDS, (bin + 1) * BIN_SECONDS];
    const there = measured(seen, changes.toTwo, from, to);
    const home = measured(flipped, changes.toOne, from, to);
    const samples = there.samples + home.samples;
    const both = (there.share * there.samples + home.share * home.samples) / samples;
    const error = Math.sqrt((there.error * there.samples) ** 2 + (home.error * home.samples) ** 2);
    return { from, to, foretold: share, measured: both, error: error / samples, samples };
  });
  const settledFrom = PERIOD_SECONDS + 1;
  const settled = bins.filter(({ from }) => from >= settledFrom);
  const count = changes.toTwo.length + changes.toOne.length;
  const result = {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? "?"}`,
    resolvers: RESOLVERS,
    ttlSeconds: TTL_SECONDS,
    changes: count,
    answers: seen.length,
    periods: Math.round((RESOLVERS * seconds) / PERIOD_SECONDS),
    settled: {
      foretold: plan.settled,
      measured: mean(settled.map((bin) => bin.measured)),
    },
    largestDifference: Math.max(...bins.map((bin) => Math.abs(bin.measured - bin.foretold))),
    meanDifference: mean(bins.map((bin) => Math.abs(bin.measured - bin.foretold))),
    bins,
  };
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  process.stdout.write(text);
  if (output !== undefined) writeFileSync(output, text);
}

try {
  await run();
} finally {
  for (const child of children) child.kill();
  await sleep(500);
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
