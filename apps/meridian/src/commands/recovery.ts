// SPDX-License-Identifier: Apache-2.0

// `meridian recovery …`: runs of recovery plans of a server here or elsewhere.

import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { RecoveryReport } from "../api-requests.ts";
import { clientOf } from "../api-target.ts";
import type { ApiClient } from "../api-client.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { field, hasColours, print, printJson, tableLines } from "../output.ts";

const LOOK_MS = 200;

/** Begins a run. */
export async function runPlan(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const plan = input.argument(0);
  const since = input.text("since");
  const mode = input.flag("ungraceful") ? "ungraceful" : "graceful";
  const namespace = input.requiredText("namespace");
  await confirm(`Run RecoveryPlan ${namespace}/${plan} (${mode})?`, input.flag("yes"));
  const began = await api.post("/v1/recoveryruns", {
    ...{ namespace, plan, mode, reason: reasonOf(input) },
    ...(since === undefined ? {} : { since }),
    ...(input.flag("breakGlass") ? { breakGlass: true } : {}),
  });
  if (input.flag("wait")) return follow(api, input, namespace, began);
  if (input.isJson()) printJson(began);
  else print(`Run ${began.id} has begun; meridian recovery report ${plan} shows how it goes`);
  return ExitCode.done;
}

/** Does something to a run that is under way. */
export async function changeRun(input: CommandInput, order: string): Promise<ExitCode> {
  const api = clientOf(input);
  const run = input.argument(0);
  const namespace = input.requiredText("namespace");
  if (order === "rollback" || order === "cancel")
    await confirm(`${order} the run of ${namespace}/${run}?`, input.flag("yes"));
  const step = input.text("step");
  const body = {
    ...{ namespace, run, order, reason: reasonOf(input) },
    ...(step === undefined ? {} : { step }),
  };
  const isApproval = order === "approve" || order === "decline";
  const answer = isApproval
    ? await api.post("/v1/recoveryapprovals", body)
    : await api.put("/v1/recoveryruns", body);
  show(input, answer);
  return ExitCode.done;
}

/** Shows what a run came to. */
export async function report(input: CommandInput): Promise<ExitCode> {
  const namespace = input.requiredText("namespace");
  const found = await asked(clientOf(input), input, namespace, input.argument(0));
  show(input, found);
  return ExitCode.done;
}

async function follow(
  api: ApiClient,
  input: CommandInput,
  namespace: string,
  began: RecoveryReport,
): Promise<ExitCode> {
  const told = new Map<string, string>();
  for (;;) {
    const now = await api.get("/v1/recoveryreport", { namespace, run: began.id });
    for (const { name, state, detail } of now.steps) {
      if (told.get(name) === state || state === "waiting") continue;
      told.set(name, state);
      if (!input.isJson()) print(`${name}: ${state}${detail === "" ? "" : `, ${detail}`}`);
    }
    const isDone = now.state === "completed" && now.recoveryMs !== undefined;
    if (isDone || !["running", "completed"].includes(now.state)) {
      show(input, await asked(api, input, namespace, began.id));
      return now.state === "completed" ? ExitCode.done : ExitCode.failed;
    }
    await sleep(LOOK_MS);
  }
}

async function asked(
  api: ApiClient,
  input: CommandInput,
  namespace: string,
  run: string,
): Promise<RecoveryReport> {
  const path = input.text("page");
  const { page, ...found } = await api.get("/v1/recoveryreport", {
    ...{ namespace, run },
    ...(path === undefined ? {} : { page: "true" }),
  });
  if (path !== undefined) {
    writeFileSync(path, page ?? "");
    if (!input.isJson()) print(`${path} has the report with its timeline`);
  }
  return found;
}

function show(input: CommandInput, report: RecoveryReport): void {
  if (input.isJson()) {
    printJson(report);
    return;
  }
  const { name, state, mode, recoveryMs, objectiveMs, isMet } = report;
  print(`${name}: ${state}, ${mode}, by ${report.actor}: ${report.reason}`);
  const objective =
    objectiveMs === undefined
      ? ""
      : `, objective ${seconds(objectiveMs)}${isMet === undefined ? "" : isMet ? ": met" : ": missed"}`;
  print(
    `Recovery time: ${recoveryMs === undefined ? "not known yet" : seconds(recoveryMs)}${objective}`,
  );
  const phases = report.phases.map((each) => `${each.name} ${seconds(each.toMs - each.fromMs)}`);
  if (phases.length > 0) print(`Of it: ${phases.join(", ")}`);
  const rows = report.steps.map(({ startedAtMs, endedAtMs, ...step }) => ({
    ...step,
    took:
      startedAtMs === undefined || endedAtMs === undefined ? "" : seconds(endedAtMs - startedAtMs),
  }));
  const columns = [
    field("STEP", "name"),
    field("KIND", "kind"),
    field("STATE", "state"),
    field("TOOK", "took", true),
    field("DETAIL", "detail"),
  ];
  for (const line of tableLines(rows, columns, hasColours())) print(line);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
}

function reasonOf(input: CommandInput): string {
  const reason = input.text("reason") ?? "";
  if (reason.trim() !== "") return reason;
  throw new CommandError(
    ExitCode.invalid,
    'Cannot change recovery runs: no reason is given, expected --reason "TEXT"',
  );
}
