// SPDX-License-Identifier: Apache-2.0

// `meridian control get|set`: routing controls of a server here or elsewhere.

import type { ItemOf } from "../api-requests.ts";
import { clientOf } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import { complain, field, formatAge, hasColours, print, printJson, tableLines } from "../output.ts";

type Control = ItemOf<"/v1/routing-controls">;

/** Shows routing controls. */
export async function getControls(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const controls = namedControls(await api.list("/v1/routing-controls"), input);
  if (input.isJson()) printJson(controls);
  else {
    show(controls);
    // An edge has what control told it last.
    const { asOf } = await api.get("/v1/routing-controls", { limit: "1" });
    if (asOf !== undefined)
      print(
        `As this edge was told: revision ${asOf.revision} of epoch ${asOf.epoch} of the store, ${formatAge(asOf.ageMs)} old`,
      );
  }
  return ExitCode.done;
}

/** Turns routing controls. Refused with everything that safety rules say against it. */
export async function setControls(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const reason = input.text("reason") ?? "";
  if (reason.trim() === "")
    throw new CommandError(
      ExitCode.invalid,
      'Cannot set routing controls: no reason is given, expected --reason "TEXT"',
    );
  const states = Object.fromEntries(input.arguments.map(stateOf));
  const override = input.list("override");
  if (override.length > 0) {
    complain(`Safety rules that are not to object: ${override.join(", ")}`);
    await confirm(`Set ${input.arguments.join(" ")}?`, input.flag("yes"));
  }
  const namespace = input.requiredText("namespace");
  const answer = await api.post("/v1/routing-controls", {
    ...{ namespace, states, override, reason },
    ...(input.flag("breakGlass") ? { breakGlass: true } : {}),
  });
  if (input.isJson()) printJson(answer);
  else {
    if (answer.changed.length === 0) print("Nothing changes: they are so already");
    show(answer.controls);
  }
  return ExitCode.done;
}

function stateOf(text: string): [name: string, state: "On" | "Off"] {
  const at = text.lastIndexOf("=");
  const state = { on: "On" as const, off: "Off" as const }[text.slice(at + 1).toLowerCase()];
  if (at > 0 && state !== undefined) return [text.slice(0, at), state];
  throw new CommandError(
    ExitCode.invalid,
    `Cannot set routing controls: "${text}" is no change, expected NAME=On or NAME=Off`,
  );
}

function namedControls(controls: readonly Control[], input: CommandInput): Control[] {
  const namespace = `${input.requiredText("namespace")}/`;
  const inside = controls.filter(({ name }) => name.startsWith(namespace));
  const names = input.arguments;
  const missing = names.find((each) => !inside.some(({ name }) => name === namespace + each));
  if (missing !== undefined)
    throw new CommandError(
      ExitCode.notFound,
      `There is no routing control "${namespace}${missing}"; meridian control get shows all of them`,
    );
  return names.length === 0
    ? inside
    : inside.filter(({ name }) => names.includes(name.slice(namespace.length)));
}

function show(controls: readonly Control[]): void {
  const nowMs = Date.now();
  const rows = controls.map(({ changedAtMs, targets, rules, handover, ...control }) => ({
    ...control,
    state: handover?.wanted === "On" ? "Off, to be On" : control.state,
    age: changedAtMs === 0 ? "" : formatAge(nowMs - changedAtMs),
    targets: targets.join(" "),
    rules: rules.join(" "),
  }));
  const columns = [
    field("CONTROL", "name"),
    field("PANEL", "panel"),
    field("STATE", "state"),
    field("AGE", "age", true),
    field("BY", "actor"),
    field("REASON", "reason"),
    field("TARGETS", "targets"),
    field("RULES", "rules"),
  ];
  for (const line of tableLines(rows, columns, hasColours())) print(line);
  for (const line of handOverLines(controls, nowMs)) print(line);
}

/** Who hand-overs that are under way wait for, one panel after the other. */
function handOverLines(controls: readonly Control[], nowMs: number): string[] {
  const panels = Map.groupBy(
    controls.filter(({ handover }) => handover !== undefined),
    ({ name, panel }) => `${name.slice(0, name.indexOf("/"))}/${panel}`,
  );
  return [...panels].flatMap(([panel, [first]]) => {
    const { startedAtMs = 0, waitsFor = [] } = first?.handover ?? {};
    const age = formatAge(nowMs - startedAtMs);
    return [
      `Hand-over of ${panel}, for ${age}: ${waitsFor.length === 0 ? "edges are looked at" : "waits for"}`,
      ...waitsFor.map(({ who, why, forMs }) => {
        const until = forMs === undefined ? "until it is heard" : `at most ${formatAge(forMs)}`;
        return `  ${who}: ${why} (${until})`;
      }),
    ];
  });
}
