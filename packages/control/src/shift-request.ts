// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import { limits, shiftPrecedences } from "@meridian/model";
import type { Embedded } from "./embedded.ts";
import type { ShiftReturn } from "./shift-course.ts";
import { shiftReaches, type Shift } from "./shift-effects.ts";

const TARGET_CHARACTERS_MAX = 512;
const REASON_CHARACTERS_MAX = 1024;
const ACTOR_CHARACTERS_MAX = 256;
const EXCERPT_CHARACTERS_MAX = 80;
const RETURN_MS_MIN = 1000;

/** A shift as it is asked for. */
export type ShiftRequest =
  | { readonly shift: Omit<Shift, "id" | "createdAtMs">; readonly isDryRun: boolean }
  | { readonly status: 400 | 404; readonly error: string };

/** Reads `{target, percent?, reason, actor, expiresIn, startsAt?, return?, precedence?, dryRun?}`; every value is checked, and the target must reach something. */
export function parseShiftRequest(embedded: Embedded, body: unknown, nowMs: number): ShiftRequest {
  if (typeof body !== "object" || body === null)
    return { status: 400, error: "Body is no object, expected {target, reason, expiresIn}" };
  const field = (name: string): unknown => Reflect.get(body, name);
  const target = field("target");
  if (
    typeof target !== "string" ||
    target.length > TARGET_CHARACTERS_MAX ||
    !/^(site\/[^*/]+|pool(\/[^*/]+){2}|endpoint(\/[^*/]+){3})$/.test(target)
  ) {
    return {
      status: 400,
      error: `Target is ${excerpt(target)}, expected site/NAME, pool/NS/NAME or endpoint/NS/POOL/NAME`,
    };
  }
  const percent = field("percent") ?? 100;
  if (typeof percent !== "number" || !(percent > 0 && percent <= 100))
    return {
      status: 400,
      error: `Percent is ${excerpt(percent)}, expected a number above 0 and at most 100`,
    };
  const reason = field("reason");
  if (typeof reason !== "string" || reason.length === 0 || reason.length > REASON_CHARACTERS_MAX)
    return {
      status: 400,
      error: `Reason is ${excerpt(reason)}, expected 1 to ${REASON_CHARACTERS_MAX} characters`,
    };
  const lengthMs = lengthMsOf(field("expiresIn"));
  if (typeof lengthMs === "string") return { status: 400, error: lengthMs };
  const startsAtMs = startOf(field("startsAt"), nowMs);
  if (typeof startsAtMs === "string") return { status: 400, error: startsAtMs };
  const back = returnOf(field("return"));
  if (typeof back === "string") return { status: 400, error: back };
  const precedence = shiftPrecedences.find((each) => each === (field("precedence") ?? "manual"));
  if (precedence === undefined)
    return {
      status: 400,
      error: `Precedence is ${excerpt(field("precedence"))}, expected one of ${shiftPrecedences.join(", ")}`,
    };
  const actor = field("actor") ?? "unknown";
  if (typeof actor !== "string" || actor.length === 0 || actor.length > ACTOR_CHARACTERS_MAX)
    return {
      status: 400,
      error: `Actor is ${excerpt(actor)}, expected 1 to ${ACTOR_CHARACTERS_MAX} characters`,
    };
  if (reachedEndpoints(embedded, target).length === 0)
    return { status: 404, error: `Target "${target}" reaches no endpoint` };
  return {
    shift: {
      target,
      percent,
      reason,
      actor,
      precedence,
      expiresAtMs: (startsAtMs ?? nowMs) + lengthMs,
      ...(startsAtMs === undefined ? {} : { startsAtMs }),
      ...(back === undefined ? {} : { return: back }),
    },
    isDryRun: field("dryRun") === true,
  };
}

/** How long a shift is to last, milliseconds; a text says what is wrong. */
export function lengthMsOf(value: unknown): number | string {
  const lengthMs = typeof value === "string" ? parseDuration(value) : undefined;
  return lengthMs === undefined || lengthMs <= 0 || lengthMs > limits.shiftMsMax
    ? `Expiry is ${excerpt(value)}, expected a duration up to 72h such as 30m`
    : lengthMs;
}

/** When a shift is to start; undefined for now, and a text says what is wrong. */
export function startOf(value: unknown, nowMs: number): number | string | undefined {
  if (value === undefined) return undefined;
  const startsAtMs = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return startsAtMs > nowMs && startsAtMs <= nowMs + limits.shiftLeadMsMax
    ? startsAtMs
    : `Start is ${excerpt(value)}, expected a time in the next 168h such as 2026-01-31T12:00:00Z`;
}

/** How traffic comes back; undefined for all of it at once. */
function returnOf(value: unknown): ShiftReturn | string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === "string" ? value : "";
  const [, share, every] = /^([1-9][0-9]?)%\/([0-9]+(?:ms|s|m|h))$/.exec(text) ?? [];
  const percent = Number(share);
  const everyMs = parseDuration(every ?? "") ?? 0;
  const isShort = Math.ceil(100 / percent) * everyMs <= limits.shiftMsMax;
  return everyMs >= RETURN_MS_MIN && isShort
    ? { percent, everyMs }
    : `Return is ${excerpt(value)}, expected steps of at least 1s that are done in 72h, such as 10%/1m`;
}

/** A value as it is shown in a refusal: not all of a long one. */
function excerpt(value: unknown): string {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > EXCERPT_CHARACTERS_MAX
    ? `${text.slice(0, EXCERPT_CHARACTERS_MAX)}… (${text.length} characters)`
    : text;
}

/** Names of the endpoints that a shift of `target` moves traffic away from. */
export function reachedEndpoints(embedded: Embedded, target: string): string[] {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return [];
  const reached: string[] = [];
  for (let endpoint = 0; endpoint < world.pools.endpointCount; endpoint++) {
    if (shiftReaches(model, world, target, endpoint)) reached.push(world.endpointName(endpoint));
  }
  return reached;
}
