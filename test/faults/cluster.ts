// SPDX-License-Identifier: Apache-2.0

// The whole of Meridian on machines of a lab: three of etcd, three controls and four edges, and an address that counts what was written.

import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { ask } from "../e2e/ask.ts";
import { document } from "../e2e/documents.ts";
import { meridian, until } from "../e2e/process.ts";
import { program } from "../program.ts";
import type { Lab, Machine, Program } from "./lab.ts";
import type { Preloads } from "./preloads.ts";

/** The command of this checkout. */
const relay = join(import.meta.dirname, "relay.ts");
/** One way, least and most. */
const FAR_MS = [40, 80];
const START_MS_MAX = 60_000;
const API_MS_MAX = 10_000;
const ETCD_PORT = 2379;
const PEER_PORT = 2380;
const EDGES_PORT = 8054;
const DNS_PORT = 53;
/** Of each disk that holds a state: enough for all, and soon filled. */
const DISK_BYTES = 256 << 20;

const QUERY_LOG = "queries.jsonl";
const PLACE_PORT = 8080;
export const SERVICE_NAME = "service.faults.example";
export const COUNTER_NAME = "counter.faults.example";

export type Role = "store" | "control" | "edge" | "relay" | "place";

/** One process of the cluster and where it runs; after its end another one may be started. */
export class Member {
  readonly machine: Machine;
  readonly stateDir: string;
  readonly role: Role;
  readonly #command: string;
  readonly #arguments: readonly string[];
  #script: string | undefined;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #ready: RegExp;
  #program: Program | undefined;

  constructor(
    machine: Machine,
    stateDir: string,
    given: {
      readonly role: Role;
      readonly command: string;
      /** What comes before the arguments: it may be another one from the next start on. */
      readonly script?: string;
      readonly arguments: readonly string[];
      readonly environment?: Readonly<Record<string, string>>;
      readonly ready: RegExp;
    },
  ) {
    this.machine = machine;
    this.stateDir = stateDir;
    this.role = given.role;
    this.#command = given.command;
    this.#script = given.script;
    this.#arguments = given.arguments;
    this.#environment = given.environment ?? {};
    this.#ready = given.ready;
  }

  get name(): string {
    return this.machine.name;
  }

  get output(): string {
    return this.#program?.output ?? "";
  }

  /** Starts a process; does not wait until it is ready. */
  spawn(): void {
    const given = [...(this.#script === undefined ? [] : [this.#script]), ...this.#arguments];
    this.#program = this.machine.start(this.#command, given, this.#environment);
  }

  async start(): Promise<void> {
    this.spawn();
    await until(`a start of ${this.name}`, START_MS_MAX, () => {
      if (this.#program?.hasEnded === true) throw new Error(`${this.name} ended: ${this.output}`);
      return this.#ready.test(this.output);
    });
  }

  async kill(): Promise<void> {
    await this.#program?.kill();
  }

  async stop(): Promise<void> {
    await this.#program?.stop();
  }

  /** Another version of what runs, from the next start on. */
  runFrom(script: string): void {
    this.#script = script;
  }

  signal(signal: NodeJS.Signals): void {
    this.#program?.signal(signal);
  }
}

export class Cluster {
  readonly stores: readonly Member[];
  readonly controls: readonly Member[];
  /** The last one is far away: its way to the controls leads over `relays`. */
  readonly edges: readonly Member[];
  readonly relays: readonly Member[];
  /** Where clients of the service are sent: to the first one that is alive. */
  readonly places: readonly Member[];
  /** Of the counter's first value, 0. */
  readonly firstRevision: number;

  private constructor(members: {
    readonly stores: readonly Member[];
    readonly controls: readonly Member[];
    readonly edges: readonly Member[];
    readonly relays: readonly Member[];
    readonly places: readonly Member[];
    readonly firstRevision: number;
  }) {
    this.stores = members.stores;
    this.controls = members.controls;
    this.edges = members.edges;
    this.relays = members.relays;
    this.places = members.places;
    this.firstRevision = members.firstRevision;
  }

  /** Resolves when every edge answers the counter's first value, 0. Controls and edges run from `script`. */
  static async start(lab: Lab, preloads: Preloads, script: string = program): Promise<Cluster> {
    const stores = etcdMembers(lab);
    for (const store of stores) store.spawn();
    await until("etcd", START_MS_MAX, () =>
      stores.every(({ output }) => /serving client traffic/.test(output)),
    );
    const controls = controlMembers(lab, stores, preloads);
    for (const member of controls) member.runFrom(script);
    for (const control of controls) await control.start();
    const relays = controls.map((control, index) => relayMember(lab, `relay${index}`, control));
    for (const relay of relays) await relay.start();
    const [near, far] = [controls, relays].map((members) =>
      members.map(({ machine }) => `https://${machine.address}:${EDGES_PORT}`),
    );
    const edges = [near, near, near, far].map((urls = [], index) =>
      edgeMember(lab, `edge${index}`, urls),
    );
    const places = [0, 1].map((index) => placeMember(lab, `place${index}`));
    for (const place of places) await place.start();
    const applied = await askControl(controls[0]!, {
      method: "POST",
      path: "/v1/apply",
      body: baseDocuments(places),
    });
    if (applied.status !== 200) throw new Error(`The first documents are refused: ${applied.body}`);
    for (const [index, edge] of edges.entries())
      await joinEdge(edge, controls[index % 3]!, (index < 3 ? near : far)?.[index % 3] ?? "");
    for (const edge of edges) edge.runFrom(script);
    await Promise.all(edges.map((edge) => edge.start()));
    for (const { name, machine } of edges) {
      const client = await udpClient(machine.address, DNS_PORT);
      await until(`the first documents at ${name}`, START_MS_MAX, () => isComplete(client));
      client.close();
    }
    const { revision: firstRevision }: { readonly revision: number } = JSON.parse(applied.body);
    return new Cluster({ stores, controls, edges, relays, places, firstRevision });
  }
}

/** Whether an edge answers from the first documents: it begins with the revision before them while they are checked at another one. */
async function isComplete(client: DnsClient): Promise<boolean> {
  const [[value = ""], [place = ""]] = await Promise.all([
    ask(client, COUNTER_NAME, "A"),
    ask(client, SERVICE_NAME, "A"),
  ]);
  return valueOf([value]) === 0 && !place.startsWith("RCODE");
}

/** Address that stands for a value: 198.18.0.0/15 holds 131,072. */
export function addressOf(value: number): string {
  return `198.${18 + (value >>> 16)}.${(value >>> 8) & 255}.${value & 255}`;
}

/** The value that answered addresses stand for; -1 for no answer that a resolver would take, -2 for a wrong one. */
export function valueOf(addresses: readonly string[]): number {
  if (/^RCODE [25]$/.test(addresses[0] ?? "")) return -1;
  const [, high, middle, low] =
    /^198\.(18|19)\.(\d+)\.(\d+)$/.exec(addresses[0] ?? "")?.map(Number) ?? [];
  if (high === undefined || middle === undefined || low === undefined) return -2;
  return (high - 18) * 65_536 + middle * 256 + low;
}

/** The pool whose only member is a value, as a successor of that version, or of any. */
export function counterDocument(value: number, resourceVersion?: string): string {
  return JSON.stringify({
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Pool",
    metadata: { name: "counter", resourceVersion },
    spec: { members: { one: { address: addressOf(value) } } },
  });
}

/** What is asked of a control's API. */
export interface Asked {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Documents, as YAML. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** What a control answered. */
export interface ControlAnswer {
  /** 0 where there was no answer in time. */
  readonly status: number;
  readonly body: string;
  /** The token of what the client has seen by now. */
  readonly seen?: string | undefined;
}

/** Asks one control over the socket in its state folder. */
export async function askControl(
  control: Pick<Member, "stateDir">,
  asking: Asked,
): Promise<ControlAnswer> {
  const { method, path, body = "", headers, timeoutMs = API_MS_MAX } = asking;
  const answered = Promise.withResolvers<ControlAnswer>();
  const asked = request({
    socketPath: join(control.stateDir, "meridian.sock"),
    headers: { "content-type": "application/yaml", ...headers },
    timeout: timeoutMs,
    path,
    method,
  });
  const fail = (error: Error): void => answered.resolve({ status: 0, body: error.message });
  asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
  asked.on("error", fail);
  asked.on("response", (response) => {
    text(response).then((said) => {
      const seen = response.headers["meridian-seen"];
      answered.resolve({
        status: response.statusCode ?? 0,
        body: said,
        seen: typeof seen === "string" ? seen : undefined,
      });
    }, fail);
  });
  asked.end(body);
  return answered.promise;
}

function baseDocuments(places: readonly Member[]): string {
  const tiers = places.map(({ name }) => ({ branches: [{ pool: name }] }));
  return (
    document("HealthCheck", "alive", {
      http: { path: "/" },
      ...{ interval: "1s", timeout: "900ms", unhealthyThreshold: 2, healthyThreshold: 2 },
    }) +
    places
      .map(({ name, machine }) =>
        document("Pool", name, {
          members: { one: { address: machine.address, port: PLACE_PORT } },
          healthCheck: "alive",
        }),
      )
      .join("") +
    document("TrafficPolicy", "service", {
      root: "tiers",
      nodes: { tiers: { failover: { tiers } } },
    }) +
    document("Record", SERVICE_NAME, {
      name: SERVICE_NAME,
      policy: "service",
      ttl: { min: "5s", max: "5s" },
    }) +
    document("Zone", "faults.example", {
      origin: "faults.example",
      nameServers: [{ name: "ns.faults.example", addresses: ["192.0.2.53"] }],
    }) +
    `---\n${counterDocument(0)}\n` +
    document("Record", COUNTER_NAME, {
      name: COUNTER_NAME,
      pool: "counter",
      ttl: { min: "5s", max: "5s" },
    })
  );
}

function etcdMembers(lab: Lab): Member[] {
  const machines = [0, 1, 2].map((index) => lab.machine(`etcd${index}`));
  const peers = machines.map(({ name, address }) => `${name}=http://${address}:${PEER_PORT}`);
  return machines.map((machine) => {
    const peer = `http://${machine.address}:${PEER_PORT}`;
    const client = `http://${machine.address}:${ETCD_PORT}`;
    return new Member(machine, join(machine.folder, "data"), {
      role: "store",
      command: "etcd",
      ready: /serving client traffic/,
      arguments: [
        ...["--name", machine.name, "--data-dir", join(machine.folder, "data")],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--initial-cluster", peers.join(","), "--initial-cluster-state", "new"],
        ...["--heartbeat-interval", "100", "--election-timeout", "1000", "--logger", "zap"],
      ],
    });
  });
}

function controlMembers(lab: Lab, stores: readonly Member[], preloads: Preloads): Member[] {
  const endpoints = stores.map(({ machine }) => `${machine.address}:${ETCD_PORT}`).join(",");
  return [0, 1, 2].map((index) => {
    const machine = lab.machine(`control${index}`);
    const stateDir = join(machine.smallDisk("disk", DISK_BYTES), "state");
    return new Member(machine, stateDir, {
      role: "control",
      command: process.execPath,
      environment: preloads.environment,
      ready: /"msg":"Serving edges"/,
      arguments: [
        ...["control", "--store", `etcd://${endpoints}/faults`, "--state", stateDir],
        ...["--edges", `${machine.address}:${EDGES_PORT}`, "--http", "none"],
        ...["--name", machine.name, "--key-file", join(lab.folder, "sealing.key")],
      ],
    });
  });
}

/** Where an edge logs what it answers. */
export function queryLogOf({ machine }: Member): string {
  return join(machine.folder, QUERY_LOG);
}

function edgeMember(lab: Lab, name: string, urls: readonly string[]): Member {
  const machine = lab.machine(name);
  const stateDir = join(machine.smallDisk("disk", DISK_BYTES), "state");
  return new Member(machine, stateDir, {
    role: "edge",
    command: process.execPath,
    ready: /"msg":"Serving a new revision"/,
    arguments: [
      ...["edge", ...urls.flatMap((url) => ["--control", url]), "--state", stateDir],
      ...["--listen", `${machine.address}:${DNS_PORT}`, "--workers", "1"],
      // Any answer may look wrong, and be asked for again.
      ...["--query-log", join(machine.folder, QUERY_LOG), "--query-log-sample", "1"],
    ],
  });
}

function relayMember(lab: Lab, name: string, control: Member): Member {
  const machine = lab.machine(name);
  return new Member(machine, machine.folder, {
    role: "relay",
    command: process.execPath,
    ready: /relaying/,
    arguments: [
      ...[relay, machine.address, String(EDGES_PORT), control.machine.address, String(EDGES_PORT)],
      ...FAR_MS.map(String),
    ],
  });
}

function placeMember(lab: Lab, name: string): Member {
  const machine = lab.machine(name);
  const server =
    'require("node:http").createServer((_, out) => out.end()).listen(+process.argv[1], process.argv[2], () => console.log("listening"))';
  return new Member(machine, machine.folder, {
    role: "place",
    command: process.execPath,
    ready: /listening/,
    arguments: ["-e", server, String(PLACE_PORT), machine.address],
  });
}

async function joinEdge(edge: Member, control: Member, url: string): Promise<void> {
  const invited = await meridian(
    ...["token", "create", edge.name, "--edge", "--state", control.stateDir],
  );
  const token = `${invited.stdout.trim()}@${url}`;
  const joined = await meridian("edge", "join", token, "--state", edge.stateDir);
  if (joined.code !== 0) throw new Error(`${edge.name} cannot join: ${joined.stderr}`);
}
