// SPDX-License-Identifier: Apache-2.0

// `meridian simulate`: a scenario is played here, without a server; what came of it as text, JSON, a picture or a page.

import { existsSync, writeFileSync } from "node:fs";
import {
  placeCells,
  readDocumentFiles,
  readScenario,
  simulate,
  simulatedPage,
  simulatedPicture,
  timeText,
  type SimulationReport,
} from "@meridian/control";
import { hasErrors, type InputFile, type Problem } from "@meridian/model";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { formatColouredProblem, readFile } from "../files.ts";
import { complain, hasColours, print, printJson, tableLines, type Column } from "../output.ts";
import { Progress } from "../progress.ts";
import { onlyScenario } from "../scenario-part.ts";
import { scenarioPath, shippedScenarios } from "../shipped-scenarios.ts";

const SEED_MAX = 4_294_967_295;
/** Places and verdicts that a person is shown; programs get all. */
const SHOWN_MAX = 24;

/** Plays a scenario; 1 where it does not go as it expects. */
export async function simulateScenario(input: CommandInput): Promise<ExitCode> {
  if (input.flag("list")) return list(input);
  const seed = input.wholeNumber("seed", 0, SEED_MAX);
  const files = filesOf(input);
  const { simulated, problems } = readScenario(files, readFile);
  if (simulated === undefined) return refuse(input, problems);
  for (const problem of problems) complain(formatColouredProblem(problem));
  const progress = new Progress();
  const startMs = performance.now();
  const report = await simulate(simulated, {
    seed,
    onProgress: (atSeconds, ofSeconds) =>
      progress.show(`Simulated ${timeText(Math.max(0, atSeconds))} of ${timeText(ofSeconds)}`),
  }).finally(() => progress.close());
  const tookSeconds = (performance.now() - startMs) / 1000;
  draw(input, "svg", () => simulatedPicture(report));
  draw(input, "page", () => simulatedPage(report));
  if (input.isJson()) printJson(report);
  else for (const line of reportLines(report, tookSeconds)) print(line);
  return report.isMet ? ExitCode.done : ExitCode.failed;
}

function list(input: CommandInput): ExitCode {
  const scenarios = shippedScenarios();
  if (input.isJson()) printJson(scenarios);
  else {
    const columns: Column[] = [
      { title: "NAME", value: ({ name }) => String(name) },
      { title: "WHAT IT SHOWS", value: ({ description }) => firstSentence(String(description)) },
    ];
    for (const line of tableLines(scenarios.map(asRow), columns, hasColours())) print(line);
  }
  return ExitCode.done;
}

function asRow(value: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(value));
}

function firstSentence(text: string): string {
  return text.replaceAll(/\s+/g, " ").split(". ")[0]?.replace(/\.$/, "") ?? "";
}

/** Files of the scenario, and those that are played instead of the documents beside it. */
function filesOf(input: CommandInput): readonly InputFile[] {
  const [named] = input.arguments;
  if (named === undefined || named === "")
    throw new CommandError(
      ExitCode.invalid,
      "Cannot simulate: no scenario is named, expected a file, a folder or a name of meridian simulate --list",
    );
  const path = existsSync(named) ? named : scenarioPath(named);
  if (path === undefined)
    throw new CommandError(
      ExitCode.notFound,
      `Cannot simulate "${named}": it is no file, no folder and none of meridian simulate --list`,
    );
  const own = read([path]);
  const others = input.list("file");
  return others.length === 0 ? own : [...own.map(onlyScenario), ...read(others)];
}

function read(paths: readonly string[]): readonly InputFile[] {
  const { files, errors } = readDocumentFiles(paths);
  const [error] = errors;
  if (error !== undefined) throw new CommandError(ExitCode.invalid, error.message);
  return files;
}

function refuse(input: CommandInput, problems: readonly Problem[]): ExitCode {
  if (input.isJson()) printJson({ ok: !hasErrors(problems), problems });
  else for (const problem of problems) complain(formatColouredProblem(problem));
  return ExitCode.invalid;
}

function draw(input: CommandInput, option: "svg" | "page", make: () => string): void {
  const path = input.text(option);
  if (path !== undefined) writeFileSync(path, make());
}

/** The report for people. */
function reportLines(report: SimulationReport, tookSeconds: number): string[] {
  const { scenario, seed, durationSeconds, caches, totals, unit } = report;
  const share = (part: number): string =>
    totals.demand === 0 ? "0 %" : `${Number(((part * 100) / totals.demand).toPrecision(3))} %`;
  return [
    `${scenario}, seed ${seed}: ${timeText(durationSeconds)} with ${caches} caches in ${tookSeconds.toFixed(1)} s`,
    "",
    ...eventLines(report),
    "",
    ...verdictLines(report),
    ...placeLines(report),
    "",
    `${Math.round(totals.demand)} requests (${unit} over time): ${share(totals.errors)} failed, ${share(totals.withheld)} got no endpoint, ${share(totals.retries)} tried again`,
    `${totals.verdictChanges} verdicts changed, load turned round ${totals.turns} times, endpoints were beyond capacity for ${totals.overloadSeconds} s`,
    ...(report.expectations.length === 0 ? [] : [""]),
    ...report.expectations.map(({ text, found, isMet }) =>
      isMet ? `met     ${text} (${found})` : `MISSED  ${text}: found ${found}`,
    ),
  ];
}

function eventLines({ events, recoveries }: SimulationReport): string[] {
  if (events.length === 0) return ["Nothing happens."];
  const rows = events.map((event, index) => ({
    ...event,
    recovery: recoveries.find((each) => each.event === index),
  }));
  type Shown = (typeof rows)[number];
  const column = (title: string, value: (row: Shown) => string, isNumber = false): Column => ({
    title,
    isNumber,
    value: (row) => {
      const shown = rows[Number(row["index"])];
      return shown === undefined ? "" : value(shown);
    },
  });
  const after = (seconds: number | undefined): string =>
    seconds === undefined ? "" : timeText(seconds);
  return tableLines(
    rows.map((_row, index) => ({ index })),
    [
      column("AT", ({ atSeconds }) => timeText(atSeconds), true),
      column("FOUND OUT", ({ recovery }) => after(recovery?.detectedSeconds), true),
      column("LEFT", ({ recovery }) => after(recovery?.drainedSeconds), true),
      column(
        "OVER",
        ({ recovery }) =>
          recovery === undefined ? "" : after(recovery.recoveredSeconds) || "not over",
        true,
      ),
      column(
        "LOST",
        ({ recovery }) => (recovery === undefined ? "" : String(Math.round(recovery.lost))),
        true,
      ),
      column("EVENT", ({ text, outcome, why }) =>
        outcome === "done" ? text : `${text}: refused: ${why.join("; ")}`,
      ),
    ],
    hasColours(),
  );
}

function verdictLines({ transitions, totals }: SimulationReport): string[] {
  const shown = transitions.slice(0, SHOWN_MAX);
  const more = totals.verdictChanges - shown.length;
  const lines = shown.map(
    ({ atSeconds, endpoint, verdict, reason }) =>
      `${timeText(atSeconds)}  ${endpoint} ${verdict}: ${reason}`,
  );
  if (more > 0) lines.push(`and ${more} more verdicts`);
  return lines.length === 0 ? lines : [...lines, ""];
}

function placeLines({ places, unit }: SimulationReport): string[] {
  const titles = ["PLACE", "SHARE", "LEAST", "MOST", "CAPACITY", "ASKED ≤", "BEYOND"];
  const used = places.filter(({ offered }) => offered.some((rate) => rate > 0));
  const shown = used.slice(0, SHOWN_MAX).map((place) => ({ cells: placeCells(place) }));
  const columns = titles.map((title, index): Column => ({
    title,
    isNumber: index > 0,
    value: ({ cells }) => (Array.isArray(cells) ? String(cells[index]) : ""),
  }));
  const more = used.length - shown.length;
  return [
    ...tableLines(shown, columns, hasColours()),
    ...(more > 0 ? [`and ${more} more places, in ${unit}`] : []),
  ];
}
