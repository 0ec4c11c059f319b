// SPDX-License-Identifier: Apache-2.0

// `meridian delegation ZONE`: what the parent of a zone has to hold for the world to find it (RFC 1034 §4.2.1), and whether it does.

import { resolve4, resolveNs } from "node:dns/promises";
import { RRType, formatName, type Message, type ResourceRecord } from "@meridian/dns";
import { formatProblem, type Zone } from "@meridian/model";
import type { CommandInput } from "../command.ts";
import { addressesOf, askDns } from "../dns-question.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { loadFiles } from "../files.ts";
import { ApiClient } from "../api-client.ts";
import { print, printJson, rowsOf } from "../output.ts";
import { stateDirOf } from "../server-settings.ts";

/** TTL of a delegation in the parent: long, as it rarely changes. */
const PARENT_TTL = 86_400;
const PORT = 53;
const PORT_MAX = 65_535;
/** Name servers of the parent that are asked. */
const PARENT_SERVERS_MAX = 13;

/** A name server of the zone, with addresses where the parent needs them. */
interface NameServer {
  /** With the last dot, in lower case. */
  readonly name: string;
  readonly addresses: readonly string[];
  /** It lies in the zone itself, so the parent has to hold its addresses. */
  readonly needsGlue: boolean;
}

interface Finding {
  readonly isGood: boolean;
  readonly text: string;
}

/** A zone and its name servers, from the files or from the server that answers for it. */
interface DelegatedZone {
  /** Lower case, without the last dot. */
  readonly origin: string;
  readonly servers: readonly NameServer[];
}

/** Prints NS and glue; with --check 1 where the parent or a name server is wrong. */
export async function delegation(input: CommandInput): Promise<ExitCode> {
  const origin = input.argument(0).replace(/\.$/, "").toLowerCase();
  const files = input.list("file");
  const zone =
    files.length > 0 ? zoneInFiles(files, origin) : await servedZone(stateDirOf(input), origin);
  const lines = recordLines(zone);
  const findings = input.flag("check") ? await checkAll(input, zone) : [];
  if (input.isJson()) {
    printJson({ zone: origin, parent: parentOf(origin), records: lines, findings });
  } else {
    print(`; For the zone "${parentOf(origin)}", the parent of "${origin}":`);
    for (const line of lines) print(line);
    for (const { isGood, text } of findings) print(`; ${isGood ? "good" : "WRONG"}: ${text}`);
  }
  return findings.every(({ isGood }) => isGood) ? ExitCode.done : ExitCode.failed;
}

function zoneInFiles(files: readonly string[], origin: string): DelegatedZone {
  const { model, problems, errors } = loadFiles(files);
  if (model === undefined)
    throw new CommandError(
      ExitCode.invalid,
      [...errors.map(({ message }) => message), ...problems.map(formatProblem)].join("\n"),
    );
  const zone = model.zones.get(origin);
  if (zone !== undefined) return { origin, servers: nameServersOf(zone) };
  const known = [...model.zones.keys()].join(", ");
  throw new CommandError(
    ExitCode.notFound,
    `There is no zone "${origin}", expected one of: ${known || "none here"}`,
  );
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
async function servedZone(stateDir: string, origin: string): Promise<DelegatedZone> {
  const shard = await shardServers(stateDir, origin);
  if (shard !== undefined) return { origin, servers: shard };
  const server = await dnsAddressOf(stateDir);
  const message = await askDns({ server, name: origin, type: RRType.NS });
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
          [RRType.A, RRType.AAAA].map((type) => askDns({ server, name, type, tcp: true })),
        )
      : [];
    return { name, addresses: answers.flatMap(addressesOf), needsGlue: isInside };
  });
  return { origin, servers: await Promise.all(servers) };
}

/** Of a zone that some edges alone serve: those; undefined for one that every edge serves. */
async function shardServers(stateDir: string, origin: string): Promise<NameServer[] | undefined> {
  const listed = await new ApiClient({ stateDir }).list("/v1/shards", { zone: origin });
  const [shard] = rowsOf(listed);
  if (shard === undefined) return undefined;
  const { edges, nameServers: names, cell } = shard;
  if (!Array.isArray(names) || !Array.isArray(edges) || names.length < edges.length)
    throw new CommandError(
      ExitCode.failed,
      `Cannot say how "${origin}" is delegated: not every one of its edges ${String(edges)} has a nameServer in Cell/${String(cell)}, expected one each`,
    );
  return names.map((each): NameServer => {
    const name = `${String(each).toLowerCase().replace(/\.$/, "")}.`;
    return { name, addresses: [], needsGlue: needsGlue(name, origin) };
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
function recordLines({ origin, servers }: DelegatedZone): string[] {
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

async function checkAll(input: CommandInput, zone: DelegatedZone): Promise<Finding[]> {
  const port = input.wholeNumber("port", 1, PORT_MAX) ?? PORT;
  const given = input.text("parent");
  const parents = given === undefined ? await parentServers(zone.origin) : [given];
  const findings = await Promise.all(
    parents.map((server) => guarded(server, () => checkParent(server, zone))),
  );
  if (parents.length === 0)
    findings.push([
      {
        isGood: false,
        text: `no name server of a parent of "${zone.origin}" is found; give one with --parent`,
      },
    ]);
  for (const { name, addresses } of zone.servers) {
    for (const address of addresses) findings.push([await checkServer(zone, name, address, port)]);
    if (addresses.length === 0)
      findings.push([{ isGood: true, text: `${name} lies elsewhere and was not asked` }]);
  }
  return findings.flat();
}

/** Asks one name server of the parent for the delegation. */
async function checkParent(server: string, { origin, servers }: DelegatedZone): Promise<Finding[]> {
  const message = await askDns({ server, name: origin, type: RRType.NS });
  const found = nsNames(message, origin);
  const wanted = servers.map(({ name }) => name);
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.toSorted().join(" ") === b.toSorted().join(" ");
  const findings: Finding[] = [
    {
      isGood: same(found, wanted),
      text: `parent ${server} names ${found.join(", ") || "no name servers"}${same(found, wanted) ? "" : `, expected ${wanted.join(", ")}`}`,
    },
  ];
  for (const { name, addresses, needsGlue: isGlue } of servers) {
    if (!isGlue) continue;
    const glue = addressesOf({
      answer: message.additional.filter(({ owner }) => formatName(owner).toLowerCase() === name),
    });
    const isGood = same(glue, addresses);
    findings.push({
      isGood,
      text: `parent ${server} holds glue for ${name} ${glue.join(", ") || "nowhere"}${isGood ? "" : `, expected ${addresses.join(", ")}`}`,
    });
  }
  return findings;
}

async function checkServer(
  zone: DelegatedZone,
  name: string,
  address: string,
  port: number,
): Promise<Finding> {
  const server = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  try {
    const message = await askDns({ server, name: zone.origin, type: RRType.SOA });
    const isGood = message.flags.aa && message.answer.some(({ type }) => type === RRType.SOA);
    return {
      isGood,
      text: `${name} (${server}) ${isGood ? "answers" : "does not answer"} for the zone`,
    };
  } catch (error) {
    return { isGood: false, text: `${name} (${server}): ${reasonOf(error)}` };
  }
}

/** Names in the NS records of a zone, in the answer or, from its parent, in the authority section. */
function nsNames(message: Message, origin: string): string[] {
  const isOurs = ({ owner, type }: ResourceRecord): boolean =>
    type === RRType.NS && formatName(owner).toLowerCase() === `${origin}.`;
  return [...message.answer, ...message.authority]
    .filter(isOurs)
    .map(({ rdata }) => formatName(rdata).toLowerCase());
}

/** All name servers of the nearest zone above that has some, as the system's resolver finds them. */
async function parentServers(origin: string): Promise<string[]> {
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

function parentOf(origin: string): string {
  const at = origin.indexOf(".");
  return at < 0 ? "." : origin.slice(at + 1);
}

async function guarded(server: string, findings: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await findings();
  } catch (error) {
    return [{ isGood: false, text: `parent ${server}: ${reasonOf(error)}` }];
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
