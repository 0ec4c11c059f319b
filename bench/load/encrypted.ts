// SPDX-License-Identifier: Apache-2.0

// DNS over TLS and over HTTPS beside dnsdist, which answers by a rule of its own, and BIND: ten names, one core for the server, sessions
// that stay. Needs dnsperf and openssl; a rival that is not installed is left out. Run: node bench/load/encrypted.ts [--seconds 5]
// [--rounds 5] [--save]

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cpuBetween, processTree, readBusy, readCpu } from "./measure/cpu.ts";
import { parseDnsperf } from "./measure/dnsperf.ts";
import { describeMachine } from "./measure/machine.ts";
import {
  freePort,
  outputOf,
  pidOf,
  runProgram,
  startPinned,
  stopProgram,
  waitFor,
} from "./measure/program.ts";
import { turns } from "./measure/statistics.ts";
import type { EncryptedTurn as Turn } from "./output/encrypted-text.ts";

const root = join(import.meta.dirname, "../..");
const SERVER_CORE = "0";
const CLIENT_CORE = "1";
const SESSIONS = 50;
/** In all. dnsperf 2.10 loses answers over HTTPS that come together on one session, whoever sends them: one a session there. */
const OUTSTANDING = { dot: 400, doh: SESSIONS } as const;
const READY_MS_MAX = 30_000;
const NAMES = 10;
const modes = ["dot", "doh"] as const;

type Mode = (typeof modes)[number];
type Child = ReturnType<typeof startPinned>;

/** Where one server is to listen, and what it is to show. */
interface Place {
  readonly folder: string;
  readonly ports: Readonly<Record<Mode | "plain", number>>;
  readonly cert: string;
  readonly key: string;
}

interface Server {
  readonly name: string;
  readonly version: () => Promise<string | undefined>;
  readonly start: (place: Place) => Child;
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    save: { type: "boolean", default: false },
  },
});

const zoneText = [
  "$ORIGIN bench.example.",
  "$TTL 300",
  "@ SOA ns hostmaster 1 7200 900 1209600 60",
  "@ NS ns",
  "ns A 192.0.2.53",
  ...Array.from({ length: NAMES }, (_, index) => `n${index} A 192.0.2.${index + 1}`),
  "",
].join("\n");

const meridian: Server = {
  name: "meridian",
  version: async () => {
    const bundle = join(root, ".build/bench-bundle");
    await runProgram(process.execPath, [join(root, "tools/bundle.ts"), bundle]);
    return (await outputOf(process.execPath, [join(bundle, "app/main.js"), "--version"])).trim();
  },
  start: ({ folder, ports, cert, key }) => {
    const documents = join(folder, "documents");
    mkdirSync(documents);
    writeFileSync(join(folder, "bench.example.zone"), zoneText);
    const spec = { origin: "bench.example", file: "../bench.example.zone" };
    const kind = { apiVersion: "meridian.dev/v1alpha1", kind: "Zone" };
    const document = { ...kind, metadata: { name: "bench.example" }, spec };
    writeFileSync(join(documents, "zone.json"), JSON.stringify(document));
    const program = join(root, ".build/bench-bundle/app/main.js");
    return startPinned(
      SERVER_CORE,
      process.execPath,
      [
        ...[program, "up", "-f", documents, "--state", join(folder, "state"), "--workers", "1"],
        ...["--listen", `127.0.0.1:${ports.plain}`, "--http", "127.0.0.1:0"],
        ...["--dot", `127.0.0.1:${ports.dot}`, "--doh", `127.0.0.1:${ports.doh}`],
        ...["--dns-cert", cert, "--dns-key", key],
      ],
      join(folder, "log"),
    );
  },
};

const dnsdist: Server = {
  name: "dnsdist",
  version: async () => /dnsdist (\S+)/.exec(await outputOf("dnsdist", ["--version"]))?.[1],
  start: ({ folder, ports, cert, key }) => {
    const config = [
      `setLocal("127.0.0.1:${ports.plain}")`,
      `addTLSLocal("127.0.0.1:${ports.dot}", "${cert}", "${key}")`,
      `addDOHLocal("127.0.0.1:${ports.doh}", "${cert}", "${key}", "/dns-query")`,
      "setMaxTCPClientThreads(1)",
      'addAction(AllRule(), SpoofAction("192.0.2.1"))',
    ];
    writeFileSync(join(folder, "dnsdist.conf"), `${config.join("\n")}\n`);
    return startPinned(
      SERVER_CORE,
      "dnsdist",
      ["--supervised", "-C", join(folder, "dnsdist.conf")],
      join(folder, "log"),
    );
  },
};

const bind: Server = {
  name: "bind",
  version: async () => /BIND (\S+)/.exec(await outputOf("named", ["-v"]))?.[1],
  start: ({ folder, ports, cert, key }) => {
    writeFileSync(join(folder, "bench.zone"), zoneText);
    const config = `
tls own { cert-file "${cert}"; key-file "${key}"; };
http own { endpoints { "/dns-query"; }; };
options {
  directory "${folder}";
  pid-file "${folder}/pid"; session-keyfile "${folder}/session.key";
  listen-on port ${ports.plain} { 127.0.0.1; };
  listen-on port ${ports.dot} tls own { 127.0.0.1; };
  listen-on port ${ports.doh} tls own http own { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no; minimal-responses yes; tcp-clients 1000; dnssec-validation no;
};
controls { };
zone "bench.example" { type primary; file "bench.zone"; };
`;
    writeFileSync(join(folder, "named.conf"), config);
    const given = ["-g", "-n", "1", "-c", join(folder, "named.conf")];
    return startPinned(SERVER_CORE, "named", given, join(folder, "log"));
  },
};

async function drive(mode: Mode, port: number, queries: string, seconds: string) {
  return parseDnsperf(
    await runProgram("taskset", [
      ...["-c", CLIENT_CORE, "dnsperf", "-m", mode, "-s", "127.0.0.1", "-p", String(port)],
      ...["-O", `doh-uri=https://127.0.0.1:${port}/dns-query`, "-O", "doh-method=POST"],
      ...["-d", queries, "-c", String(SESSIONS), "-T", "1", "-q", String(OUTSTANDING[mode])],
      ...["-t", "2", "-l", seconds],
    ]),
  );
}

async function takeTurn(
  round: number,
  mode: Mode,
  { place, child }: Running,
  queries: string,
): Promise<Turn> {
  const pids = processTree(pidOf(child));
  const [cpu, busy, start] = [readCpu(pids), readBusy(SERVER_CORE), performance.now()];
  const found = await drive(mode, place.ports[mode], queries, values.seconds);
  const used = cpuBetween(cpu, readCpu(pids)).total;
  const others = (readBusy(SERVER_CORE) - busy - used) / ((performance.now() - start) * 1000);
  return {
    round,
    queriesPerSecond: Math.round(found.queriesPerSecond),
    lost: found.lost,
    cpu: Number((used / Math.max(1, found.completed)).toFixed(2)),
    others: Number(others.toFixed(2)),
  };
}

interface Running {
  readonly name: string;
  readonly version: string;
  readonly place: Place;
  readonly child: Child;
  readonly turns: Record<Mode, Turn[]>;
}

/** Starts a server and adds it to those that run, so that it is stopped whatever comes. */
async function start(server: Server, base: string, queries: string): Promise<void> {
  const version = await server.version();
  if (version === undefined) {
    console.log(`${server.name} is not installed`);
    return;
  }
  const folder = join(base, server.name);
  mkdirSync(folder);
  const ports = { plain: await freePort(), dot: await freePort(), doh: await freePort() };
  const place = { folder, ports, cert: join(base, "cert"), key: join(base, "key") };
  const child = server.start(place);
  running.push({ name: server.name, version, place, child, turns: { dot: [], doh: [] } });
  for (const mode of modes)
    await waitFor(
      `${server.name} over ${mode}`,
      READY_MS_MAX,
      async () => {
        const found = await drive(mode, ports[mode], queries, "1").catch(() => undefined);
        return (found?.rcodes["NOERROR"] ?? 0) > 0 ? true : undefined;
      },
      child,
    );
}

const folder = mkdtempSync(join(tmpdir(), "encrypted-"));
const running: Running[] = [];
try {
  const date = new Date().toISOString();
  await runProgram("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", join(folder, "key"), "-out", join(folder, "cert")],
  ]);
  const queries = join(folder, "queries");
  const names = Array.from({ length: NAMES }, (_, index) => `n${index}.bench.example A\n`);
  writeFileSync(queries, names.join(""));
  for (const server of [meridian, dnsdist, bind]) await start(server, folder, queries);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const server of turns(running, round))
      for (const mode of modes) {
        const turn = await takeTurn(round, mode, server, queries);
        server.turns[mode].push(turn);
        console.log(`${round + 1} ${server.name} ${mode} ${JSON.stringify(turn)}`);
      }
  const found = {
    ...{ scenario: "encrypted", date, machine: await describeMachine() },
    settings: { seconds: Number(values.seconds), sessions: SESSIONS, outstanding: OUTSTANDING },
    servers: running.map(({ name, version, turns: taken }) => ({ name, version, ...taken })),
  };
  if (values.save)
    writeFileSync(
      join(root, `bench/results/${date.slice(0, 10)}-encrypted.json`),
      `${JSON.stringify(found, undefined, 1)}\n`,
    );
} finally {
  for (const { child } of running) await stopProgram(child);
  rmSync(folder, { recursive: true });
}
