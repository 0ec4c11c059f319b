// SPDX-License-Identifier: Apache-2.0

// What may become of the routing controls of a panel: one pure step, after AWS Application Recovery Controller's UpdateRoutingControlStates
// and its safety rules. A change is done as a whole or not at all.

import { formatDuration, parseDuration } from "@meridian/core";
import type { SafetyRuleDocument } from "@meridian/model";

export type ControlState = "On" | "Off";

/** What a control is, and since when. One that was never set is On. */
export interface ControlStanding {
  readonly state: ControlState;
  /** Unix milliseconds; 0 for one that was never set. */
  readonly changedAtMs: number;
  readonly actor: string;
  readonly reason: string;
}

export const unset: ControlStanding = { state: "On", changedAtMs: 0, actor: "", reason: "" };

/** The controls of one panel, by name. */
export type Standings = ReadonlyMap<string, ControlStanding>;

/** A wanted change. */
export interface ControlRequest {
  readonly states: ReadonlyMap<string, ControlState>;
  /** Names of rules that are not to object. */
  readonly override: ReadonlySet<string>;
  readonly actor: string;
  readonly reason: string;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** Why a change is not done: the rule that objects, and what it wants. */
export interface Objection {
  readonly rule: string;
  readonly why: string;
}

export type ControlOutcome =
  | { readonly objections: readonly Objection[] }
  /** `changed` names those that are another now: a state that a control has already is no change, so that a request may be repeated. */
  | { readonly standings: Standings; readonly changed: readonly string[] };

/** What becomes of the controls of a panel by a change, under its rules. Every rule that objects is told of. */
export function changeControls(
  standings: Standings,
  rules: readonly SafetyRuleDocument[],
  request: ControlRequest,
): ControlOutcome {
  const { nowMs, actor, reason } = request;
  const changed = [...request.states]
    .filter(([name, state]) => stateOf(standings, name) !== state)
    .map(([name]) => name);
  const after = new Map(standings);
  for (const name of changed) {
    const state = request.states.get(name) ?? "On";
    after.set(name, { state, changedAtMs: nowMs, actor, reason });
  }
  if (changed.length === 0) return { standings, changed };
  const objections = rules
    .filter(({ metadata }) => !request.override.has(metadata.name))
    .flatMap((rule): Objection[] => {
      const why = objectionOf(rule, { before: standings, after, changed, nowMs });
      return why === undefined ? [] : [{ rule: rule.metadata.name, why }];
    });
  return objections.length > 0 ? { objections } : { standings: after, changed };
}

interface Change {
  readonly before: Standings;
  readonly after: Standings;
  readonly changed: readonly string[];
  readonly nowMs: number;
}

function objectionOf(
  { spec }: SafetyRuleDocument,
  { before, after, changed, nowMs }: Change,
): string | undefined {
  const guarded = spec.assertion?.controls ?? spec.gating?.targets ?? [];
  const touched = changed.filter((name) => guarded.includes(name));
  if (touched.length === 0) return undefined;
  if (spec.gating !== undefined && !isMet(spec, spec.gating.gates, before))
    return `${requirementText(spec, spec.gating.gates)} to change ${touched.join(", ")}; now ${statesText(spec.gating.gates, before)}`;
  if (spec.assertion !== undefined && !isMet(spec, spec.assertion.controls, after))
    return `${requirementText(spec, spec.assertion.controls)}; the change leaves ${statesText(spec.assertion.controls, after)}`;
  const waitMs = parseDuration(spec.waitPeriod) ?? 0;
  const lastMs = Math.max(...guarded.map((name) => before.get(name)?.changedAtMs ?? 0));
  const leftMs = lastMs + waitMs - nowMs;
  // A clock that was set back does not keep anybody waiting for longer than the period.
  return leftMs > 0 && leftMs <= waitMs
    ? `it has one change in ${spec.waitPeriod}; the next is possible in ${formatDuration(Math.ceil(leftMs))}`
    : undefined;
}

/** Whether the controls named are as a rule requires (ARC RuleConfig: AND, OR, ATLEAST, Inverted). */
export function isMet(
  { require, inverted }: SafetyRuleDocument["spec"],
  names: readonly string[],
  standings: Standings,
): boolean {
  const on = names.filter((name) => stateOf(standings, name) === "On").length;
  const isSo =
    require.all !== undefined
      ? on === names.length
      : require.any !== undefined
        ? on > 0
        : on >= (require.atLeast ?? 0);
  return isSo !== inverted;
}

function stateOf(standings: Standings, name: string): ControlState {
  return (standings.get(name) ?? unset).state;
}

function requirementText(
  { require, inverted }: SafetyRuleDocument["spec"],
  names: readonly string[],
): string {
  const words =
    require.all !== undefined ? "all" : require.any !== undefined ? "any" : `${require.atLeast}`;
  const count = { all: "all of", any: "at least 1 of" }[words] ?? `at least ${words} of`;
  return `wants ${inverted ? "not " : ""}${count} ${names.join(", ")} On`;
}

function statesText(names: readonly string[], standings: Standings): string {
  return names.map((name) => `${name} ${stateOf(standings, name)}`).join(", ");
}
