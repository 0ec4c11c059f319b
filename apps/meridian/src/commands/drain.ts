// SPDX-License-Identifier: Apache-2.0

import { userInfo } from "node:os";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import type { ApiClient } from "../api-client.ts";
import type { AnswerOf, Endpoint } from "../api-requests.ts";
import { clientOf } from "../api-target.ts";
import { followDrains } from "../drain-progress.ts";
import { complain, print, printJson } from "../output.ts";

const PERCENT_ALL = 100;

/** Starts a shift of each target, after showing what it empties. */
export async function drain(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const reason = input.text("reason");
  if (reason === undefined || reason.trim() === "")
    throw new CommandError(
      ExitCode.invalid,
      'Cannot drain: no reason is given, expected --reason "TEXT"',
    );
  const percent = input.wholeNumber("percent", 1, PERCENT_ALL) ?? PERCENT_ALL;
  const request = {
    percent,
    reason,
    actor: input.text("actor") ?? userInfo().username,
    expiresIn: input.requiredText("for"),
    ...startOf(input),
    ...returnOf(input),
    ...(input.flag("force") ? { force: true } : {}),
    ...(input.flag("breakGlass") ? { breakGlass: true } : {}),
    precedence: input.text("precedence") ?? "manual",
  };
  const targets = await targetsOf(api, input.argument(0), input.flag("allMatching"));
  const reached = new Set<string>();
  const lacks = new Set<string>();
  const lowered = new Map<string, number>();
  for (const target of targets) {
    const answer = await api.post("/v1/shifts", { ...request, target, dryRun: true });
    for (const endpoint of answer.reached) reached.add(endpoint);
    for (const lack of answer.lacks ?? []) lacks.add(lack);
    if (answer.ttlLoweredAtMs !== undefined) lowered.set(target, answer.ttlLoweredAtMs);
  }
  const emptied = percent < PERCENT_ALL ? [] : emptiedPools(await endpointsOf(api), reached);
  if (input.flag("dryRun")) {
    if (input.isJson())
      printJson({
        ...{ targets, reached: [...reached], empties: emptied, lacks: [...lacks] },
        ttlLoweredAtMs: Object.fromEntries(lowered),
      });
    else {
      describe(print, targets, reached, [...emptied.map(emptiedText), ...lacks]);
      for (const [target, atMs] of lowered) print(`${target}: ${loweredText(atMs)}`);
    }
    return ExitCode.done;
  }
  if (emptied.length > 0 || targets.length > 1) {
    describe(complain, targets, reached, [...emptied.map(emptiedText), ...lacks]);
    await confirm(`Move ${percent} % of the traffic away?`, input.flag("yes"));
  }
  const answers: AnswerOf<"post", "/v1/shifts">[] = [];
  for (const target of targets) answers.push(await api.post("/v1/shifts", { ...request, target }));
  const isWaiting = input.flag("wait");
  if (input.isJson() && !isWaiting) printJson(answers);
  else if (!input.isJson())
    for (const target of targets) {
      const atMs = lowered.get(target);
      print(
        `${percent} % of ${target} moves away ${whenText(request)}; meridian undrain ${target} ends it`,
      );
      if (atMs !== undefined) print(loweredText(atMs));
    }
  if (isWaiting) {
    const ids = answers.flatMap(({ shift }) => shift?.id ?? []);
    const followed = await followDrains(api, ids, input.isJson());
    if (input.isJson()) printJson(followed);
  }
  return ExitCode.done;
}

function startOf(input: CommandInput): { readonly startsAt?: string } {
  const startsAt = input.text("startsAt");
  return startsAt === undefined ? {} : { startsAt };
}

function returnOf(input: CommandInput): { readonly return?: string } {
  const steps = input.text("return");
  return steps === undefined ? {} : { return: steps };
}

function whenText(request: {
  readonly expiresIn: string;
  readonly startsAt?: string;
  readonly return?: string;
}): string {
  const start = request.startsAt === undefined ? "" : `at ${request.startsAt} `;
  const back = request.return === undefined ? "" : `, then comes back by ${request.return}`;
  return `${start}for ${request.expiresIn}${back}`;
}

function loweredText(atMs: number): string {
  return `TTLs of what it moves are the least from ${new Date(atMs).toISOString().slice(0, 19)}Z until it starts`;
}

/** Has the shifts of a target, or one by its id, last longer or shorter. */
export async function extend(input: CommandInput): Promise<ExitCode> {
  const target = input.argument(0);
  const answer = await clientOf(input).put("/v1/shifts", {
    target,
    expiresIn: input.requiredText("for"),
    reason: input.text("reason"),
    ...(input.flag("breakGlass") ? { breakGlass: true } : {}),
  });
  if (input.isJson()) printJson(answer);
  else
    for (const shift of answer.extended)
      print(
        `${shift.percent} % of ${shift.target} moves away until ${new Date(shift.expiresAtMs).toISOString()}`,
      );
  return ExitCode.done;
}

/** Ends the shifts of a target, or one by its id. */
export async function undrain(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const text = input.argument(0);
  const isNow = input.flag("now");
  const running = async (): Promise<string[]> =>
    (await api.list("/v1/shifts")).map(({ target }) => target);
  const targets = text.includes("*")
    ? matching(text, [...new Set(await running())], input.flag("allMatching"))
    : [text];
  const answers: unknown[] = [];
  const how = {
    ...(isNow ? { now: "true" } : {}),
    reason: input.text("reason"),
    ...(input.flag("force") ? { force: "true" } : {}),
    ...(input.flag("breakGlass") ? { breakGlass: "true" } : {}),
  };
  for (const target of targets) answers.push(await api.delete("/v1/shifts", { target, ...how }));
  if (input.isJson()) printJson(answers);
  else for (const target of targets) print(`Traffic of ${target} comes back`);
  return ExitCode.done;
}

/** The targets that a text with or without `*` means. */
async function targetsOf(api: ApiClient, text: string, mayMatch: boolean): Promise<string[]> {
  if (!text.includes("*")) return [text];
  return matching(text, await allTargets(api, text), mayMatch);
}

/** Those of `targets` that a text with `*` means; it stands for any text without a slash. */
function matching(text: string, targets: readonly string[], mayMatch: boolean): string[] {
  if (!mayMatch)
    throw new CommandError(
      ExitCode.invalid,
      `Target "${text}" holds *, expected one target, or --all-matching as well`,
    );
  const parts = text.split("*").map((part) => RegExp.escape(part));
  const pattern = new RegExp(`^${parts.join("[^/]*")}$`);
  const found = targets.filter((target) => pattern.test(target));
  if (found.length > 0) return found;
  throw new CommandError(ExitCode.notFound, `Target "${text}" matches nothing`);
}

/** Every target of the kind that a pattern starts with. */
async function allTargets(api: ApiClient, pattern: string): Promise<string[]> {
  if (pattern.startsWith("site/"))
    return (await api.list("/v1/sites")).map(({ site }) => `site/${site}`);
  if (pattern.startsWith("pool/"))
    return (await api.list("/v1/pools")).map(({ pool }) => `pool/${pool}`);
  if (pattern.startsWith("endpoint/"))
    return (await endpointsOf(api)).map(({ endpoint }) => endpoint);
  throw new CommandError(
    ExitCode.invalid,
    `Target is "${pattern}", expected site/NAME, pool/NAMESPACE/NAME or endpoint/NAMESPACE/POOL/NAME`,
  );
}

function endpointsOf(api: ApiClient): Promise<Endpoint[]> {
  return api.list("/v1/endpoints");
}

/** Pools that would have no endpoint left that serves. */
function emptiedPools(endpoints: readonly Endpoint[], reached: ReadonlySet<string>): string[] {
  const serves = ({ admin, verdict }: Endpoint): boolean =>
    admin === "active" && (verdict === "healthy" || verdict === "unchecked");
  const pools = Map.groupBy(endpoints, ({ endpoint }) => endpoint.split("/").slice(1, 3).join("/"));
  return [...pools]
    .filter(([, rows]) => {
      const serving = rows.filter(serves);
      return serving.length > 0 && serving.every(({ endpoint }) => reached.has(endpoint));
    })
    .map(([pool]) => `pool/${pool}`);
}

function describe(
  write: (line: string) => void,
  targets: readonly string[],
  reached: ReadonlySet<string>,
  warnings: readonly string[],
): void {
  write(`Reaches by ${targets.join(", ")}:`);
  for (const endpoint of reached) write(`  ${endpoint}`);
  for (const warning of warnings) write(warning);
}

function emptiedText(pool: string): string {
  return `Empties ${pool}: no endpoint of it serves then`;
}
