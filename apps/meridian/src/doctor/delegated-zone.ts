// SPDX-License-Identifier: Apache-2.0

// A zone as its parent has to know it (RFC 1034 §4.2.1): its name servers, and their addresses where nobody could find them otherwise.

import { resolve4, resolveNs } from "node:dns/promises";
import { RRType, formatName, type Message, type ResourceRecord } from "@meridian/dns";
import { zoneKeyOf, type Model, type Zone } from "@meridian/model";
import { ApiClient } from "../api-client.ts";
import type { CommandInput } from "../command.ts";
import { addressesOf, askDns } from "../dns-question.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { rowsOf } from "../output.ts";
import { stateDirOf } from "../server-settings.ts";
import { zoneInFiles } from "../zones/zone-copy.ts";

/** TTL of a delegation in the parent: long, as it rarely changes. */
const PARENT_TTL = 86_400;
const PORT = 53;
/** Name servers of the parent that are asked. */
const PARENT_SERVERS_MAX = 13;

/** A name server of the zone, with addresses where the parent needs them. */
export interface NameServer {
  /** With the last dot, in lower case. */
  readonly name: string;
  readonly addresses: readonly string[];
  /** It lies in the zone itself, so the parent has to hold its addresses. */
  readonly needsGlue: boolean;
}

/** A zone and its name servers, from the files or from the server that answers for it. */
export interface DelegatedZone {
  /** Lower case, without the last dot. */
  readonly origin: string;
  /** The view that shows it. */
  readonly view?: string | undefined;
  readonly servers: readonly NameServer[];
  /** Of a zone in files. */
  readonly model?: Model;
}

/** The zone that a command names, from its --file or from the server that holds the state folder. */
export function delegatedZone(input: CommandInput): Promise<DelegatedZone> {
  const [name = "", view] = input.argument(0).toLowerCase().split("@");
  const origin = name.replace(/\.$/, "");
  const files = input.list("file");
  if (files.length === 0)
    return servedZone(stateDirOf(input), { origin, view, from: input.text("from") });
  const { model, zone } = zoneInFiles(files, zoneKeyOf(origin, view));
  return Promise.resolve({ origin, view, servers: nameServersOf(zone), model });
}

function nameServersOf(zone: Zone): NameServer[] {
  const records = [...zone.records];
  const apexNs = records.filter(
    ({ owner, type }) =>
      type === RRType.NS && formatName(owner).toLowerCase() === `${zone.origin}.`,
  );
  return apexNs.map(({ rdata }) => {
    const name = formatName(rdata).toLowerCase();
    const addresses = records.flatMap((record) =>
      formatName(record.owner).toLowerCase() === name
        ? addressesOf({ answer: [{ ...record, class: 1 }] })
        : [],
    );
    return { name, addresses, needsGlue: needsGlue(name, zone.origin) };
  });
}

/** Asks the server that holds the state folder, over DNS as its clients do. */
async function servedZone(
  stateDir: string,
  {
    origin,
    view,
    from,
  }: {
    readonly origin: string;
    readonly view: string | undefined;
    readonly from: string | undefined;
  },
): Promise<DelegatedZone> {
  const shard = await shardServers(stateDir, zoneKeyOf(origin, view));
  if (shard !== undefined) return { origin, view, servers: shard };
  const server = await dnsAddressOf(stateDir);
  const message = await askDns({ server, name: origin, type: RRType.NS, from });
  const names = nsNames({ ...message, authority: [] }, origin);
  if (!message.flags.aa || names.length === 0)
    throw new CommandError(
      ExitCode.notFound,
      `There is no zone "${origin}" at ${server}; give --file PATH for one that is not served yet`,
    );
  const servers = names.map(async (name): Promise<NameServer> => {
    const isInside = needsGlue(name, origin);
    const answers = isInside
      ? await Promise.all(
          [RRType.A, RRType.AAAA].map((type) => askDns({ server, name, type, tcp: true, from })),
        )
      : [];
    return { name, addresses: answers.flatMap(addressesOf), needsGlue: isInside };
  });
  return { origin, view, servers: await Promise.all(servers) };
}

/** Of a zone that some edges alone serve: those; undefined for one that every edge serves. */
async function shardServers(stateDir: string, key: string): Promise<NameServer[] | undefined> {
  const listed = await new ApiClient({ stateDir }).list("/v1/shards", { zone: key });
  const [shard] = rowsOf(listed);
  if (shard === undefined) return undefined;
  const { edges, nameServers: names, cell } = shard;
  if (!Array.isArray(names) || !Array.isArray(edges) || names.length < edges.length)
    throw new CommandError(
      ExitCode.failed,
      `Cannot say how "${key}" is delegated: not every one of its edges ${String(edges)} has a nameServer in Cell/${String(cell)}, expected one each`,
    );
  return names.map((each): NameServer => {
    const name = `${String(each).toLowerCase().replace(/\.$/, "")}.`;
    return { name, addresses: [], needsGlue: needsGlue(name, key.split("@")[0] ?? "") };
  });
}

/** Where the server of a state folder answers DNS, as an address to ask. */
async function dnsAddressOf(stateDir: string): Promise<string> {
  const { edge } = await new ApiClient({ stateDir }).get("/v1/status");
  const [first] = edge.addresses;
  if (first === undefined)
    throw new CommandError(ExitCode.unreachable, "The server does not answer DNS yet");
  return first.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
}

function needsGlue(name: string, origin: string): boolean {
  return name === `${origin}.` || name.endsWith(`.${origin}.`);
}

/** Lines of a master file for the parent. */
export function recordLines({ origin, servers }: DelegatedZone): string[] {
  const line = (owner: string, type: string, value: string): string =>
    `${owner.padEnd(32)} ${PARENT_TTL} IN ${type.padEnd(4)} ${value}`;
  return [
    ...servers.map(({ name }) => line(`${origin}.`, "NS", name)),
    ...servers.flatMap(({ name, addresses, needsGlue: isGlue }) =>
      isGlue
        ? addresses.map((address) => line(name, address.includes(":") ? "AAAA" : "A", address))
        : [],
    ),
  ];
}

/** Names in the NS records of a zone, in the answer or, from its parent, in the authority section. */
export function nsNames(message: Message, origin: string): string[] {
  const isOurs = ({ owner, type }: ResourceRecord): boolean =>
    type === RRType.NS && formatName(owner).toLowerCase() === `${origin}.`;
  return [...message.answer, ...message.authority]
    .filter(isOurs)
    .map(({ rdata }) => formatName(rdata).toLowerCase());
}

/** All name servers of the nearest zone above that has some, as the system's resolver finds them. */
export async function parentServers(origin: string): Promise<string[]> {
  for (let parent = parentOf(origin); parent !== "."; parent = parentOf(parent)) {
    const names = await resolveNs(parent).catch((): string[] => []);
    const addresses = await Promise.all(
      names.slice(0, PARENT_SERVERS_MAX).map((name) => resolve4(name).catch((): string[] => [])),
    );
    const [...servers] = new Set(addresses.flatMap(([first]) => first ?? []));
    if (servers.length > 0) return servers.map((address) => `${address}:${PORT}`);
  }
  return [];
}

/** The name without its first label. */
export function parentOf(origin: string): string {
  const at = origin.indexOf(".");
  return at < 0 ? "." : origin.slice(at + 1);
}
