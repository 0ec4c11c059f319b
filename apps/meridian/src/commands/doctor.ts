// SPDX-License-Identifier: Apache-2.0

// `meridian doctor ZONE`: asks everybody who has a part in a zone's being found and answered, and says what to do about what is wrong.

import { getServers } from "node:dns";
import { isIP } from "node:net";
import { zoneKeyOf } from "@meridian/model";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { delegatedZone, type DelegatedZone } from "../doctor/delegated-zone.ts";
import { examine, type KnownEdge } from "../doctor/examination.ts";
import type { Finding } from "../doctor/finding.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { field, hasColours, print, printJson, rowsOf, tableLines } from "../output.ts";
import { Progress } from "../progress.ts";

const PORT_MAX = 65_535;
const SECONDS_MAX = 600;

/** Prints what is found; 1 where something of it is an error. */
export async function doctor(input: CommandInput): Promise<ExitCode> {
  const from = input.text("from");
  if (input.argument(0).includes("@") && from === undefined)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot ask for a zone of a view: expected --from ADDRESS, one of this host's that sees the view",
    );
  if (from !== undefined && isIP(from) === 0)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot ask from "${from}": expected an address of this host`,
    );
  const zone = await delegatedZone(input);
  const progress = new Progress();
  const [systemResolver] = getServers();
  const resolver = input.text("resolver") ?? (zone.view === undefined ? systemResolver : undefined);
  if (resolver === undefined && zone.view === undefined)
    throw new CommandError(
      ExitCode.invalid,
      "The system has no resolver; name one with --resolver",
    );
  const findings = await examine(zone, {
    port: input.wholeNumber("port", 1, PORT_MAX) ?? 53,
    parents: input.list("parent"),
    resolver,
    from,
    edges: await knownEdges(input),
    seconds: input.wholeNumber("seconds", 1, SECONDS_MAX) ?? 30,
    progress,
  }).finally(() => progress.close());
  show(input, zone, findings);
  return findings.some(({ severity }) => severity === "error") ? ExitCode.failed : ExitCode.done;
}

/** The edges of a server that can be reached; none where there is no such server. */
async function knownEdges(input: CommandInput): Promise<KnownEdge[]> {
  const edges = await clientOf(input)
    .list("/v1/edges")
    .catch((): unknown[] => []);
  return rowsOf(edges).map(({ name, standing, address, dns }) => ({
    name: String(name),
    standing: String(standing),
    address: typeof address === "string" ? address : undefined,
    dns: Array.isArray(dns) ? dns.map(String) : [],
  }));
}

function show(
  input: CommandInput,
  { origin, view }: DelegatedZone,
  findings: readonly Finding[],
): void {
  const zone = zoneKeyOf(origin, view);
  const errors = findings.filter(({ severity }) => severity === "error").length;
  if (input.isJson()) return printJson({ zone, ok: errors === 0, findings });
  if (input.text("output") === "plain") {
    for (const { severity, code, subject, seen, advice } of findings)
      print(`${severity} ${code}: ${subject}: ${seen}. ${advice}`);
  } else if (findings.length > 0) {
    const columns = [
      field("SEVERITY", "severity"),
      field("CODE", "code"),
      field("WHERE", "subject"),
      field("SEEN", "seen"),
    ];
    for (const line of tableLines(
      findings.map((each) => ({ ...each })),
      columns,
      hasColours(),
    ))
      print(line);
    print();
    const advice = new Map(findings.map((each) => [each.code, each.advice]));
    for (const [code, text] of advice) print(`${code}: ${text}.`);
  }
  print(`${zone}: ${errors} errors, ${findings.length - errors} other findings`);
}
