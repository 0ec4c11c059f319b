// SPDX-License-Identifier: Apache-2.0

// Switches that people throw, and what has to stay true of them (AWS Application Recovery Controller: control panels, routing controls,
// safety rules). Documents say which there are; whether one is On is state of its own, changed by `meridian control set` alone.

import type * as z from "zod";
import {
  duration,
  exactlyOne,
  flag,
  list,
  name,
  object,
  oneOf,
  text,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { limits } from "../limits.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { targetForm, targetWanted } from "./shift.ts";

const TARGETS_MAX = 256;

/** Routing controls that are changed together: the unit of a transaction and of safety rules. */
export const controlPanelSchema = document(
  "ControlPanel",
  namespacedMetadata,
  object({
    description: text(1024).optional().describe("What it is for, for those who switch."),
    handover: oneOf(["atomic", "fenced"])
      .default("atomic")
      .describe(
        "How traffic goes over when controls are turned: atomic, each edge follows at once, by itself; fenced, nothing is turned On before every edge has stopped answering what is Off, and an edge that hears no control answers none of it.",
      ),
  }),
);

/** A switch. Off, what it is bound to gets no traffic, whatever its health. */
export const routingControlSchema = document(
  "RoutingControl",
  namespacedMetadata,
  object({
    panel: name().describe("ControlPanel of the same namespace that it belongs to, for good."),
    targets: list(textLike(targetForm, targetWanted), 0, TARGETS_MAX)
      .default([])
      .describe(
        "What gets no traffic while it is Off; a control that is only the gate of a rule has none.",
      ),
  }),
);

const controls = (words: string) =>
  list(name(), 1, limits.controlsMax)
    .refine((names) => new Set(names).size === names.length, { error: "each name once" })
    .describe(words);

/** What has to stay true of the controls of a panel. */
export const safetyRuleSchema = document(
  "SafetyRule",
  namespacedMetadata,
  exactlyOne(
    object({
      panel: name().describe("ControlPanel of the same namespace whose controls it is about."),
      assertion: object({
        controls: controls("Controls that the requirement is about, as a change would leave them."),
      })
        .optional()
        .describe("A change that leaves the requirement unmet is refused."),
      gating: object({
        gates: controls("Controls that the requirement is about, as they are before a change."),
        targets: controls("Controls that may be changed only while it is met."),
      })
        .optional()
        .describe("While the requirement is unmet, a change of a target is refused."),
      require: exactlyOne(
        object({
          all: object({}).optional().describe("Every one of the controls is On."),
          any: object({}).optional().describe("At least one of the controls is On."),
          atLeast: wholeNumber(0, limits.controlsMax)
            .optional()
            .describe("So many of the controls, 0 to 100, or more are On."),
        }),
        ["all", "any", "atLeast"],
      ).describe("What is required."),
      inverted: flag().default(false).describe("Requires the opposite."),
      waitPeriod: duration()
        .default("5s")
        .describe(
          "How long after a change of one of its controls (of a gating rule: targets) none of them is changed again.",
        ),
    }),
    ["assertion", "gating"],
  ).superRefine((spec, context) => {
    const never = neverHolds(spec);
    if (never !== undefined)
      context.addIssue({ code: "custom", path: ["require"], message: never, input: spec.require });
  }),
);

export type ControlPanelDocument = z.output<typeof controlPanelSchema>;
export type RoutingControlDocument = z.output<typeof routingControlSchema>;
export type SafetyRuleDocument = z.output<typeof safetyRuleSchema>;

/** What was wanted of a requirement that no state of the controls can meet; undefined where some state does. */
function neverHolds({
  assertion,
  gating,
  require,
  inverted,
}: {
  readonly assertion?: { readonly controls: readonly string[] } | undefined;
  readonly gating?:
    | { readonly gates: readonly string[]; readonly targets: readonly string[] }
    | undefined;
  readonly require: {
    readonly all?: object | undefined;
    readonly any?: object | undefined;
    readonly atLeast?: number | undefined;
  };
  readonly inverted: boolean;
}): string | undefined {
  const gates = gating?.gates ?? [];
  const needed =
    require.atLeast ??
    (require.all !== undefined ? gates.length : require.any !== undefined ? 1 : 0);
  const isOwnTarget = (each: string): boolean => gating?.targets.includes(each) === true;
  const own = gates.filter(isOwnTarget).length;
  // Gates that are targets stay as they are while the gate is shut: the others alone have to be able to open it.
  const isStuck = inverted ? own >= needed : gates.length - own < needed;
  if (own > 0 && isStuck)
    return "gates that are no targets to be enough: once it is shut, it would keep itself so";
  const { atLeast } = require;
  if (atLeast === undefined) return undefined;
  const count = (assertion?.controls ?? gating?.gates ?? []).length;
  if (inverted)
    return atLeast === 0 ? "atLeast of 1 or more: fewer than 0 are never On" : undefined;
  return atLeast > count ? `atLeast of ${count} or fewer: it names ${count} controls` : undefined;
}
