// SPDX-License-Identifier: Apache-2.0

// Real resolvers and clients in front of the demo: Unbound instances with addresses of the whole world, in a network namespace in which every
// address is local. Most ask from where they are; some send the subnets of their clients; some keep answers for longer than they may.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { RRType } from "@meridian/dns";
import { addressesOf, askDns, packetOf } from "../../apps/meridian/src/dns-question.ts";

/** Where a cache's clients are, and the region that they get while all is well. */
export interface Continent {
  readonly name: string;
  readonly region: string;
  /** Of the load, in parts. */
  readonly parts: number;
  /** The first two bytes of addresses there. */
  readonly blocks: readonly string[];
}

export const continents: readonly Continent[] = [
  { name: "EU", region: "eu", parts: 4, blocks: ["193.0", "192.36", "193.51"] },
  { name: "NA", region: "us", parts: 2, blocks: ["128.9", "18.0"] },
  { name: "AS", region: "ap", parts: 2, blocks: ["202.12", "203.119", "133.4"] },
];

/** What kinds of cache there are, and how many of each a part of the load has. */
export const groups = {
  plain: { caches: 6, floorSeconds: 0, hasEcs: false },
  stubborn: { caches: 2, floorSeconds: 15, hasEcs: false },
  subnets: { caches: 2, floorSeconds: 0, hasEcs: true },
} as const;

/** One cache: a resolver, or what a resolver keeps for one net. */
export interface Cache {
  readonly group: keyof typeof groups;
  readonly continent: string;
  /** Where who asks it is; in `net`.0/24. */
  readonly client: string;
  readonly port: number;
}

/** A resolver that is to be started. */
export interface Resolver {
  readonly port: number;
  readonly address: string;
  readonly floorSeconds: number;
  readonly hasEcs: boolean;
}

const FIRST_PORT = 6001;
const NETS_TRIED_MAX = 400;

/** Nets of a continent that the server places there, each with an address; no two caches have the same net. */
async function netsOf(server: string, regionOf: ReadonlyMap<string, string>, wanted: number) {
  const found = new Map<string, string[]>();
  for (const { name, region, blocks } of continents) {
    const nets: string[] = [];
    for (let tried = 0; nets.length < wanted && tried < NETS_TRIED_MAX; tried++) {
      const block = blocks[tried % blocks.length] ?? "";
      const net = `${block}.${Math.floor(tried / blocks.length)}`;
      const question = { server, name: "geo.example.org", type: RRType.A, subnet: `${net}.0/24` };
      const [address = ""] = addressesOf(await askDns(question));
      if (regionOf.get(address) === region) nets.push(net);
    }
    if (nets.length < wanted) throw new Error(`Too few nets of ${name}: ${nets.length}`);
    found.set(name, nets);
  }
  return found;
}

/** The caches of the whole load, and the resolvers that they are in. */
export async function drawUp(
  server: string,
  regionOf: ReadonlyMap<string, string>,
): Promise<{ readonly caches: readonly Cache[]; readonly resolvers: readonly Resolver[] }> {
  const perPart = Object.values(groups).reduce((sum, { caches }) => sum + caches, 0);
  const most = Math.max(...continents.map(({ parts }) => parts)) * perPart;
  const nets = await netsOf(server, regionOf, most);
  const caches: Cache[] = [];
  const resolvers: Resolver[] = [];
  const ecsPort = FIRST_PORT - 1;
  resolvers.push({ port: ecsPort, address: "127.0.0.99", floorSeconds: 0, hasEcs: true });
  for (const { name, parts } of continents) {
    const free = [...(nets.get(name) ?? [])];
    for (const [group, { caches: count, floorSeconds, hasEcs }] of entriesOf(groups))
      for (let index = 0; index < count * parts; index++) {
        const net = free.shift() ?? "";
        const port = hasEcs ? ecsPort : FIRST_PORT + resolvers.length;
        if (!hasEcs) resolvers.push({ port, address: `${net}.53`, floorSeconds, hasEcs });
        caches.push({ group, continent: name, client: `${net}.77`, port });
      }
  }
  return { caches, resolvers };
}

function entriesOf<Value extends object>(value: Value): [keyof Value, Value[keyof Value]][] {
  return Object.keys(value).flatMap((key) =>
    isKeyOf(value, key) ? [[key, value[key]] as [keyof Value, Value[keyof Value]]] : [],
  );
}

function isKeyOf<Value extends object>(value: Value, key: PropertyKey): key is keyof Value {
  return Object.hasOwn(value, key);
}

/** Writes the configuration of an Unbound that asks `server` for all of example.org; its path. */
export function writeConfiguration(folder: string, server: string, resolver: Resolver): string {
  const path = join(folder, `unbound-${resolver.port}.conf`);
  const ecs = `  module-config: "subnetcache iterator"
  client-subnet-zone: "example.org"
  max-client-subnet-ipv4: 24
`;
  writeFileSync(
    path,
    `server:
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@${resolver.port}
  outgoing-interface: ${resolver.address}
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  do-not-query-localhost: no
  do-daemonize: no
  num-threads: 1
  msg-cache-size: 256k
  rrset-cache-size: 256k
  cache-min-ttl: ${resolver.floorSeconds}
  qname-minimisation: no
${resolver.hasEcs ? ecs : '  module-config: "iterator"\n'}stub-zone:
  name: "example.org"
  stub-addr: ${server.replace(":", "@")}
remote-control:
  control-enable: no
`,
  );
  return path;
}

/** An answer, as a client saw it. */
export interface Seen {
  readonly atMs: number;
  readonly cache: number;
  readonly name: number;
  readonly address: string;
}

/** Clients that ask every cache for every name at random moments, so many times a second in the mean. */
export class DemoClients {
  readonly #sockets: readonly Socket[];
  readonly #timers = new Set<NodeJS.Timeout>();
  #isClosed = false;
  asked = 0;

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  static async start(
    caches: readonly Cache[],
    names: readonly string[],
    rate: number,
    see: (seen: Seen) => void,
  ): Promise<DemoClients> {
    const sockets = await Promise.all(
      caches.map(async ({ client }) => {
        const socket = createSocket("udp4");
        socket.bind(0, client);
        await once(socket, "listening");
        return socket;
      }),
    );
    const clients = new DemoClients(sockets);
    for (const [cache, { port }] of caches.entries()) {
      const socket = sockets[cache];
      if (socket === undefined) continue;
      socket.on("message", (message) => {
        const name = message.readUInt16BE(0) % names.length;
        const address = addressIn(message);
        if (address !== undefined) see({ atMs: performance.now(), cache, name, address });
      });
      for (const name of names.keys()) clients.#keepAsking(socket, port, names, name, rate);
    }
    return clients;
  }

  #keepAsking(
    socket: Socket,
    port: number,
    names: readonly string[],
    name: number,
    rate: number,
  ): void {
    const packets = Math.floor(65_536 / names.length);
    let turn = 0;
    const question = { server: "", name: names[name] ?? "", type: RRType.A, recursive: true };
    const ask = (): void => {
      if (this.#isClosed) return;
      turn = (turn + 1) % packets;
      socket.send(packetOf(question, turn * names.length + name), port, "127.0.0.1");
      this.asked += 1;
      wait();
    };
    const wait = (): void => {
      const timer = setTimeout(
        () => {
          this.#timers.delete(timer);
          ask();
        },
        (-Math.log(1 - Math.random()) / rate) * 1000,
      );
      this.#timers.add(timer);
    };
    wait();
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.close();
  }
}

/** The address of an answer of one: the last four bytes of its record, before the OPT record. */
function addressIn(message: Buffer): string | undefined {
  if ((message.readUInt16BE(2) & 0xf) !== 0 || message.readUInt16BE(6) !== 1) return undefined;
  let at = 12;
  while ((message[at] ?? 0) !== 0) at += (message[at] ?? 0) + 1;
  // End of the name, type and class; then a compressed name, type, class, TTL and length.
  at += 5 + 12;
  return at + 4 <= message.length ? message.subarray(at, at + 4).join(".") : undefined;
}
