// SPDX-License-Identifier: Apache-2.0

// `meridian rollout start|promote|pause|resume|abort|status`: rollouts of a server here or elsewhere.

import { setTimeout as sleep } from "node:timers/promises";
import type { ItemOf } from "../api-requests.ts";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { field, formatAge, hasColours, print, printJson, tableLines } from "../output.ts";

type Rollout = ItemOf<"/v1/rollouts">;

/** Edges that are named. */
const EDGES_MAX = 5;
/** How often a watch looks. */
const WATCH_MS = 500;

/** Starts a rollout, or has it go on, stay or end. */
export async function orderRollout(
  verb: "start" | "promote" | "pause" | "resume" | "abort",
  input: CommandInput,
): Promise<ExitCode> {
  const reason = input.text("reason") ?? "";
  const [name = ""] = input.arguments;
  if (verb === "abort") {
    if (reason.trim() === "")
      throw new CommandError(
        ExitCode.invalid,
        'Cannot abort a rollout: no reason is given, expected --reason "TEXT"',
      );
    await confirm(`Abort ${name}, and give its branches their own weights?`, input.flag("yes"));
  }
  const namespace = input.requiredText("namespace");
  const full = verb === "promote" && input.flag("full");
  const breakGlass = verb !== "pause" && verb !== "abort" && input.flag("breakGlass");
  const body = {
    ...{ verb, namespace, name, reason },
    ...(full ? { full } : {}),
    ...(breakGlass ? { breakGlass } : {}),
  };
  const rollout = await clientOf(input).post("/v1/rollouts", body);
  if (input.isJson()) printJson(rollout);
  else show([rollout]);
  return ExitCode.done;
}

/** Shows rollouts; with `--watch` each change of them, until none is under way: failed where one was aborted. */
export async function showRollouts(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  let before = "";
  for (;;) {
    const rollouts = named(await api.list("/v1/rollouts"), input);
    const now = JSON.stringify(rollouts);
    if (now !== before) {
      if (input.isJson()) printJson(rollouts);
      else show(rollouts);
    }
    before = now;
    if (!input.flag("watch")) return ExitCode.done;
    if (rollouts.every(({ phase }) => ["idle", "succeeded", "aborted"].includes(phase)))
      return rollouts.some(({ phase }) => phase === "aborted") ? ExitCode.failed : ExitCode.done;
    await sleep(WATCH_MS);
  }
}

function named(rollouts: readonly Rollout[], input: CommandInput): Rollout[] {
  const namespace = `${input.requiredText("namespace")}/`;
  const inside = rollouts.filter(({ name }) => name.startsWith(namespace));
  const names = input.arguments;
  const missing = names.find((each) => !inside.some(({ name }) => name === namespace + each));
  if (missing !== undefined)
    throw new CommandError(
      ExitCode.notFound,
      `There is no rollout "${namespace}${missing}"; meridian rollout status shows all of them`,
    );
  return names.length === 0
    ? inside
    : inside.filter(({ name }) => names.includes(name.slice(namespace.length)));
}

function show(rollouts: readonly Rollout[]): void {
  const nowMs = Date.now();
  const rows = rollouts.map(({ analyses, ...rollout }) => ({
    ...rollout,
    wave: `${rollout.wave}/${rollout.waves}${rollout.site === undefined ? "" : ` ${rollout.site}`}`,
    step: `${rollout.step}/${rollout.steps}`,
    weight: `${rollout.weight} %`,
    age: rollout.changedAtMs === 0 ? "" : formatAge(nowMs - rollout.changedAtMs),
    end: endText(rollout),
    reason: [rollout.reason, edgesText(rollout)].filter((text) => text !== "").join("; "),
    measured: analyses
      .map(
        ({ name, successes, failures, last }) =>
          `${name}: ${successes} good, ${failures} bad, last ${last}`,
      )
      .join("; "),
  }));
  const columns = [
    field("ROLLOUT", "name"),
    field("TARGET", "target"),
    field("PHASE", "phase"),
    field("WAVE", "wave"),
    field("STEP", "step"),
    field("WEIGHT", "weight", true),
    field("AGE", "age", true),
    field("ENDS", "end"),
    field("BY", "actor"),
    field("REASON", "reason"),
    field("MEASURED", "measured"),
  ];
  for (const line of tableLines(rows, columns, hasColours())) print(line);
}

/** Who has to say that it answers with the weights before the step begins, and who is not waited for. */
function edgesText({ edges }: Pick<Rollout, "edges">): string {
  if (edges === undefined) return "";
  const names = (list: readonly { readonly name: string }[]): string => {
    const shown = list.slice(0, EDGES_MAX).map(({ name }) => name);
    const more = list.length - shown.length;
    return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ");
  };
  const parts = [
    ...(edges.waiting.length === 0
      ? []
      : [`waits for ${names(edges.waiting)} to answer with its weights`]),
    ...(edges.silent.length === 0 ? [] : [`not for ${names(edges.silent)}, silent`]),
  ];
  return parts.join(", ");
}

/** When it ends at the earliest, or what that waits for. */
function endText({
  earliestEndMs,
  promotions,
}: Pick<Rollout, "earliestEndMs" | "promotions">): string {
  if (promotions > 0)
    return promotions === 1 ? "after a promotion" : `after ${promotions} promotions`;
  if (earliestEndMs === undefined) return "";
  return `${new Date(earliestEndMs).toISOString().slice(0, 19)}Z or later`;
}
