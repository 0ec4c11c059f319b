// SPDX-License-Identifier: Apache-2.0

// `meridian dnssec …`: the keys of signed zones, of a server here or elsewhere.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientOf } from "../api-target.ts";
import type { ItemOf } from "../api-requests.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { stateDirOf } from "../server-settings.ts";
import { complain, field, formatAge, hasColours, print, printJson, tableLines } from "../output.ts";

type SignedZone = ItemOf<"/v1/dnssec">;

const roles = ["ksk", "zsk", "csk"] as const;

/** All signed zones, or the one that is named. */
async function zonesOf(input: CommandInput, name: string): Promise<SignedZone[]> {
  const query = name === "" ? {} : { zone: name };
  const zones = await clientOf(input).list("/v1/dnssec", query);
  if (name !== "" && zones.length === 0)
    throw new CommandError(
      ExitCode.notFound,
      `There is no signed zone "${name}", expected one with spec.dnssec that is served`,
    );
  return zones;
}

/** Shows keys, what comes next and what the parent holds. */
export async function status(input: CommandInput): Promise<ExitCode> {
  const zones = await zonesOf(input, input.argument(0));
  if (input.isJson()) {
    printJson(zones);
    return ExitCode.done;
  }
  const nowMs = Date.now();
  const rows = zones.flatMap((zone) =>
    zone.keys.map((key) => ({
      ...key,
      zone: zone.zone,
      age: formatAge(nowMs - key.publishedMs),
      when: nextText(key, nowMs),
    })),
  );
  const columns = [
    field("ZONE", "zone"),
    field("ROLE", "role"),
    field("KEY", "keyTag", true),
    field("ALGORITHM", "algorithm"),
    field("STAGE", "stage"),
    field("AGE", "age", true),
    field("NEXT", "when"),
  ];
  for (const line of tableLines(rows, columns, hasColours())) print(line);
  for (const zone of zones) for (const line of notesOf(zone, nowMs)) print(line);
  return ExitCode.done;
}

function nextText({ next, nextMs }: SignedZone["keys"][number], nowMs: number): string {
  if (nextMs === undefined) return `${next} when the parent has changed`;
  return nextMs <= nowMs ? `${next} now` : `${next} in ${formatAge(nextMs - nowMs)}`;
}

function notesOf(zone: SignedZone, nowMs: number): string[] {
  const { zone: name, isLeaving, isParentDone, ds, signaturesEndMs } = zone;
  const parent = isLeaving
    ? `${name} stays signed until its parent has no DS any more`
    : ds.length === 0
      ? `${name} is too new for a DS: caches may hold answers without signatures`
      : isParentDone === undefined
        ? `${name}: the parent was not asked here yet, and does not hold its DS as far as is known`
        : isParentDone
          ? undefined
          : `${name}: the parent is to hold what "meridian dnssec ds ${name}" prints`;
  const isLate = signaturesEndMs < nowMs;
  return [
    ...(parent === undefined ? [] : [parent]),
    ...(isLate ? [`${name}: the signatures of its keys have expired`] : []),
  ];
}

/** Prints what the parent has to hold. */
export async function ds(input: CommandInput): Promise<ExitCode> {
  const name = input.argument(0);
  const [zone] = await zonesOf(input, name);
  const lines = [...(zone?.ds ?? []), ...(zone?.cdnskey ?? [])];
  if (input.isJson()) {
    printJson({
      zone: zone?.zone,
      ds: zone?.ds,
      cdnskey: zone?.cdnskey,
      isLeaving: zone?.isLeaving,
    });
    return ExitCode.done;
  }
  if (zone?.isLeaving === true) print(`; The parent of "${zone.zone}" is to hold no DS.`);
  else if (lines.length === 0)
    throw new CommandError(
      ExitCode.refused,
      `Cannot give a DS of "${name}" yet: caches may hold answers without signatures; "meridian dnssec status ${name}" says when they do not`,
    );
  for (const line of lines) print(line);
  return ExitCode.done;
}

/** Orders new keys. */
export async function roll(input: CommandInput): Promise<ExitCode> {
  const zone = input.argument(0);
  const role = roles.find((each) => each === input.text("role"));
  const query = role === undefined ? { zone } : { zone, role };
  const answer = await clientOf(input).post("/v1/dnssec/roll", {}, query);
  if (input.isJson()) printJson(answer);
  else print(`${answer.zone}: ${answer.rolls.join(" and ")} will be followed by new keys`);
  return ExitCode.done;
}

/** Puts a new key first in a key file of this machine. */
export async function rekey(input: CommandInput): Promise<ExitCode> {
  const { addSealingKey } = await import("@meridian/control");
  const path = input.text("keyFile") ?? join(stateDirOf(input), "identity", "sealing.key");
  const count = addSealingKey(path);
  if (input.isJson()) {
    printJson({ path, keys: count });
    return ExitCode.done;
  }
  print(`${path} has ${count} keys: the first one seals from now on, each opens what it sealed`);
  print(
    'Give the file to all controls of the store; delete the last line everywhere once the log of the leader says "Everything is sealed with the first key"',
  );
  return ExitCode.done;
}

/** Writes pairs of files, 0600 in a folder of 0700. */
export async function exportKeys(input: CommandInput): Promise<ExitCode> {
  const zone = input.argument(0);
  const folder = input.argument(1);
  if (!input.flag("privateKeys"))
    throw new CommandError(
      ExitCode.refused,
      `Cannot export the keys of "${zone}": private keys would lie in clear, expected --private-keys where that is meant`,
    );
  complain(`Whoever reads ${folder} can sign for ${zone}`);
  await confirm(`Write private keys of ${zone} in clear?`, input.flag("yes"));
  const answer = await clientOf(input).post("/v1/dnssec/export", {}, { zone });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const paths = answer.files.map(({ name, text }) => {
    const path = join(folder, name);
    // Never over a key that is there.
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
    return path;
  });
  if (input.isJson()) printJson({ zone: answer.zone, paths });
  else for (const path of paths) print(path);
  return ExitCode.done;
}
