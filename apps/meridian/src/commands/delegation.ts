// SPDX-License-Identifier: Apache-2.0

// `meridian delegation ZONE`: what the parent of a zone has to hold for the world to find it (RFC 1034 §4.2.1), and whether it does.

import { resolve4, resolveNs } from "node:dns/promises";
import { RRType, formatName, type Message, type ResourceRecord } from "@meridian/dns";
import { formatProblem, type Zone } from "@meridian/model";
import type { CommandInput } from "../command.ts";
import { addressesOf, askDns } from "../dns-question.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { loadFiles } from "../files.ts";
import { print, printJson } from "../output.ts";

/** TTL of a delegation in the parent: long, as it rarely changes. */
const PARENT_TTL = 86_400;
const PORT = 53;
const PORT_MAX = 65_535;

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

/** Prints NS and glue; with --check 1 where the parent or a name server is wrong. */
export async function delegation(input: CommandInput): Promise<ExitCode> {
  const zone = zoneOf(input);
  const servers = nameServersOf(zone);
  const lines = recordLines(zone, servers);
  const findings = input.flag("check") ? await checkAll(input, zone, servers) : [];
  if (input.isJson()) {
    printJson({ zone: zone.origin, parent: parentOf(zone.origin), records: lines, findings });
  } else {
    print(`; For the zone "${parentOf(zone.origin)}", the parent of "${zone.origin}":`);
    for (const line of lines) print(line);
    for (const { isGood, text } of findings) print(`; ${isGood ? "good" : "WRONG"}: ${text}`);
  }
  return findings.every(({ isGood }) => isGood) ? ExitCode.done : ExitCode.failed;
}

function zoneOf(input: CommandInput): Zone {
  const files = input.list("file");
  if (files.length === 0)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot read the zone: no files are given, expected --file PATH",
    );
  const { model, problems, errors } = loadFiles(files);
  if (model === undefined)
    throw new CommandError(
      ExitCode.invalid,
      [...errors.map(({ message }) => message), ...problems.map(formatProblem)].join("\n"),
    );
  const origin = input.argument(0).replace(/\.$/, "").toLowerCase();
  const zone = model.zones.get(origin);
  if (zone !== undefined) return zone;
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
    return { name, addresses, needsGlue: name.endsWith(`.${zone.origin}.`) };
  });
}

/** Lines of a master file for the parent. */
function recordLines(zone: Zone, servers: readonly NameServer[]): string[] {
  const line = (owner: string, type: string, value: string): string =>
    `${owner.padEnd(32)} ${PARENT_TTL} IN ${type.padEnd(4)} ${value}`;
  return [
    ...servers.map(({ name }) => line(`${zone.origin}.`, "NS", name)),
    ...servers.flatMap(({ name, addresses, needsGlue }) =>
      needsGlue
        ? addresses.map((address) => line(name, address.includes(":") ? "AAAA" : "A", address))
        : [],
    ),
  ];
}

async function checkAll(
  input: CommandInput,
  zone: Zone,
  servers: readonly NameServer[],
): Promise<Finding[]> {
  const port = input.wholeNumber("port", 1, PORT_MAX) ?? PORT;
  const findings = [await guarded(() => checkParent(input.text("parent"), zone, servers))];
  for (const { name, addresses } of servers) {
    for (const address of addresses) findings.push([await checkServer(zone, name, address, port)]);
    if (addresses.length === 0)
      findings.push([{ isGood: true, text: `${name} lies elsewhere and was not asked` }]);
  }
  return findings.flat();
}

/** Asks a name server of the parent for the delegation. */
async function checkParent(
  given: string | undefined,
  zone: Zone,
  servers: readonly NameServer[],
): Promise<Finding[]> {
  const server = given ?? (await parentServer(zone.origin));
  const message = await askDns({ server, name: zone.origin, type: RRType.NS });
  const found = nsNames(message, zone.origin);
  const wanted = servers.map(({ name }) => name);
  const same = (a: readonly string[], b: readonly string[]): boolean =>
    a.toSorted().join(" ") === b.toSorted().join(" ");
  const findings: Finding[] = [
    {
      isGood: same(found, wanted),
      text: `parent ${server} names ${found.join(", ") || "no name servers"}${same(found, wanted) ? "" : `, expected ${wanted.join(", ")}`}`,
    },
  ];
  for (const { name, addresses, needsGlue } of servers) {
    if (!needsGlue) continue;
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
  zone: Zone,
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

/** A name server of the nearest zone above, as the system's resolver finds it. */
async function parentServer(origin: string): Promise<string> {
  for (let parent = parentOf(origin); parent !== "."; parent = parentOf(parent)) {
    const [name] = await resolveNs(parent).catch((): string[] => []);
    const [address] = name === undefined ? [] : await resolve4(name).catch((): string[] => []);
    if (address !== undefined) return `${address}:${PORT}`;
  }
  throw new Error(`no name server of a parent of "${origin}" is found; give one with --parent`);
}

function parentOf(origin: string): string {
  const at = origin.indexOf(".");
  return at < 0 ? "." : origin.slice(at + 1);
}

async function guarded(findings: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await findings();
  } catch (error) {
    return [{ isGood: false, text: `parent: ${reasonOf(error)}` }];
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
