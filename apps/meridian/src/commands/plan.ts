// SPDX-License-Identifier: Apache-2.0

// What a change would do, before it is done: documents, answers, traffic; and the same shown before an apply at a terminal.

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { figure, flowPicture } from "@meridian/control";
import { budgetText } from "@meridian/snapshot/surface";
import { clientOf } from "../api-target.ts";
import type { AnswerOf } from "../api-requests.ts";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { hasColours, print, printJson, tableLines } from "../output.ts";
import { readPlaced, showDifferences, withPlaces, type Placed } from "./documents.ts";

type PlanAnswer = AnswerOf<"post", "/v1/plans">;
type NameChange = PlanAnswer["names"]["changed"][number];

/** Names and audiences that a person is shown; programs get all. */
const NAMES_SHOWN_MAX = 30;
const SHARES_SHOWN_MAX = 4;

/** Shows what would change. */
export async function plan(input: CommandInput): Promise<ExitCode> {
  const files = input.list("file");
  const [drain, off] = [input.list("drain"), input.list("off")];
  if (files.length + drain.length + off.length === 0)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot plan: expected --file PATH, --drain TARGET or --off CONTROL",
    );
  const asFiles = input.flag("asFiles");
  if (asFiles && (files.length === 0 || files.includes("-")))
    throw new CommandError(ExitCode.invalid, "Cannot plan: expected --file PATH with --as-files");
  const documents = files.length === 0 || asFiles ? [] : readPlaced(files);
  const answer = await askPlan(input, documents, asFiles ? files : []);
  const picture = input.text("svg");
  if (picture !== undefined) drawFlow(picture, answer);
  if (input.isJson()) printJson(answer);
  else for (const line of planLines(answer)) print(line);
  if (answer.objections.length > 0) return ExitCode.refused;
  return isNothing(answer) ? ExitCode.done : ExitCode.differences;
}

/** Asks for the plan of documents, with what the command says of drains, switches and the profile. */
export async function askPlan(
  input: CommandInput,
  documents: readonly Placed[],
  files: readonly string[] = [],
): Promise<PlanAnswer> {
  const joined = (name: "drain" | "off"): string | undefined => {
    const values = input.list(name);
    return values.length === 0 ? undefined : values.join(",");
  };
  return withPlaces(documents, () =>
    clientOf(input).post(
      "/v1/plans",
      documents.map(({ raw }) => raw),
      {
        profile: input.text("profile"),
        drain: joined("drain"),
        startsAt: input.text("startsAt"),
        off: joined("off"),
        ...(files.length === 0 ? {} : { files: files.map((path) => resolve(path)).join("\n") }),
        ...(input.flag("allowShrink") ? { allowShrink: "true" } : {}),
      },
    ),
  );
}

/** The plan for people. */
export function planLines(answer: PlanAnswer): string[] {
  const lines = answer.changes.flatMap((change) => [...differenceLines(change)]);
  if (answer.changes.length === 0) lines.push("No document changes");
  for (const { document, message } of answer.warnings)
    lines.push(`warning: ${document}: ${message}`);
  const hidden = (answer.changedCount ?? 0) - answer.changes.length;
  if (hidden > 0) lines.push(`and ${hidden} more documents change`);
  const { changedCount, compared, changed, isComplete } = answer.names;
  lines.push("", `${changedCount} of ${compared} names answer differently`);
  if (!isComplete)
    lines.push("There are more names or ways to decide than were looked at: others may, too");
  for (const name of changed.slice(0, NAMES_SHOWN_MAX)) lines.push(...nameLines(name));
  if (changedCount > NAMES_SHOWN_MAX) lines.push(`  and ${changedCount - NAMES_SHOWN_MAX} more`);
  lines.push(...trafficLines(answer.traffic));
  if (answer.budgets.length > 0) lines.push("");
  for (const budget of answer.budgets.slice(0, NAMES_SHOWN_MAX))
    lines.push(`${budget.name} ${budgetText(budget)}`);
  for (const lowering of answer.lowerings) lines.push("", loweringText(lowering));
  for (const { rule, why } of answer.objections) lines.push("", `SafetyRule "${rule}" ${why}`);
  for (const { panel, upToMs } of answer.handovers)
    lines.push(
      "",
      `ControlPanel "${panel}" hands over fenced: what goes over is answered by nobody until every edge has said that it follows, at most ${upToMs / 1000} s`,
    );
  return lines;
}

/** From when on TTLs are low before a drain begins, and how low. */
function loweringText({
  target,
  fromMs,
  startsAtMs,
  ttl,
  least,
}: PlanAnswer["lowerings"][number]): string {
  const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  const to = least.from === least.to ? `${least.to} s` : `${least.from} to ${least.to} s`;
  return `TTLs of what ${target} moves are the least (${to}, up to ${ttl} s before) from ${time(fromMs)} until it starts at ${time(startsAtMs)}`;
}

function differenceLines(change: PlanAnswer["changes"][number]): string[] {
  const lines: string[] = [];
  showDifferences(change, (line) => lines.push(line));
  return lines;
}

function nameLines({ name, change, records, ttl, audiences }: NameChange): string[] {
  const facts = [
    change,
    ...(records && change === "changed" ? ["its records are others"] : []),
    ...(ttl === undefined ? [] : [`TTL ${ttl.before} s → ${ttl.after} s`]),
  ];
  return [`  ${name} ${facts.join(", ")}`, ...audienceLines(audiences)];
}

/** Those for whom it is the same, in one line. */
function audienceLines(audiences: NameChange["audiences"]): string[] {
  const alike = Map.groupBy(
    audiences,
    ({ moved, before, after }) =>
      `${percent(moved)} of clients move: ${sharesText(before)} → ${sharesText(after)}`,
  );
  return [...alike].map(
    ([text, some]) => `    ${some.map(({ audience }) => audience).join(", ")}: ${text}`,
  );
}

function sharesText(
  shares: readonly { readonly target: string; readonly share: number }[],
): string {
  const shown = shares
    .slice(0, SHARES_SHOWN_MAX)
    .map(({ target, share }) => `${target} ${percent(share)}`);
  const more = shares.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

function trafficLines(traffic: PlanAnswer["traffic"]): string[] {
  if (traffic === undefined)
    return ["", "No TrafficProfile says how much is asked for: no load is foreseen"];
  const { profile, unit, total, loads, flows, course, withheld, undecided } = traffic;
  const rows = loads.filter(
    ({ target, before, after }) => before + after > 0 && !target.startsWith("endpoint/"),
  );
  const endpointsOver = loads.filter(
    ({ target, isOver }) => isOver && target.startsWith("endpoint/"),
  );
  const load = (title: string, name: string) => ({
    title,
    value: (row: Readonly<Record<string, unknown>>): string => {
      const value = row[name];
      return typeof value === "number" ? figure(value) : "";
    },
    isNumber: true,
  });
  const { half, most, nearlyAll } = course.drained;
  const seconds = (value: number | undefined): string =>
    value === undefined ? "later" : `${value} s`;
  return [
    "",
    `Load by profile ${profile}, ${figure(total)} ${unit} in all (95 % intervals):`,
    ...tableLines(
      [...rows, ...endpointsOver],
      [
        { title: "TARGET", value: ({ target }) => String(target) },
        load("BEFORE", "before"),
        load("AFTER", "after"),
        load("±", "error"),
        load("CAPACITY", "capacity"),
        {
          title: "",
          value: ({ isOver, wasOver }) =>
            isOver === true ? (wasOver === true ? "over capacity as before" : "OVER CAPACITY") : "",
        },
      ],
      hasColours(),
    ),
    ...(withheld.before + withheld.after > 0
      ? [`Without an answer: ${figure(withheld.before)} → ${figure(withheld.after)}`]
      : []),
    ...undecided.map(({ demand, reason }) => `Demand "${demand}" is not decided: ${reason}`),
    ...(flows.every(({ from, to }) => from === to)
      ? []
      : [
          `Answers from before drain from caches: half in ${seconds(half)}, nine tenths in ${seconds(most)}, 99 % in ${seconds(nearlyAll)} (${course.caches} caches)`,
        ]),
  ];
}

function drawFlow(path: string, { traffic }: PlanAnswer): void {
  if (traffic === undefined)
    throw new CommandError(
      ExitCode.notFound,
      "Cannot draw: no TrafficProfile says how much is asked for; name one with --profile",
    );
  writeFileSync(path, flowPicture(traffic));
}

/** True where nobody would notice. */
export function isNothing({ changes, names, traffic }: PlanAnswer): boolean {
  const isMoved = traffic?.flows.some(({ from, to }) => from !== to) === true;
  return changes.length === 0 && names.changedCount === 0 && !isMoved;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}
