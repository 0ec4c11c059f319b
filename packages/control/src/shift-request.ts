// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import { limits } from "@meridian/model";
import type { Embedded } from "./embedded.ts";
import { shiftReaches, type Shift } from "./shift-effects.ts";

const TARGET_CHARACTERS_MAX = 512;
const REASON_CHARACTERS_MAX = 1024;
const ACTOR_CHARACTERS_MAX = 256;
const EXCERPT_CHARACTERS_MAX = 80;

/** A shift as it is asked for. */
export type ShiftRequest =
  | { readonly shift: Omit<Shift, "id" | "createdAtMs">; readonly isDryRun: boolean }
  | { readonly status: 400 | 404; readonly error: string };

/** Reads `{target, percent?, reason, actor, expiresIn, dryRun?}`; every value is checked, and the target must reach something. */
export function parseShiftRequest(embedded: Embedded, body: unknown, nowMs: number): ShiftRequest {
  if (typeof body !== "object" || body === null)
    return { status: 400, error: "Body is no object, expected {target, reason, expiresIn}" };
  const field = (name: string): unknown => Reflect.get(body, name);
  const target = field("target");
  if (
    typeof target !== "string" ||
    target.length > TARGET_CHARACTERS_MAX ||
    !/^(site|pool|endpoint)\/[^*]+$/.test(target)
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
  const expiresIn = field("expiresIn");
  const lengthMs = typeof expiresIn === "string" ? parseDuration(expiresIn) : undefined;
  if (lengthMs === undefined || lengthMs <= 0 || lengthMs > limits.shiftMsMax)
    return {
      status: 400,
      error: `Expiry is ${excerpt(expiresIn)}, expected a duration up to 72h such as 30m`,
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
      expiresAtMs: nowMs + lengthMs,
    },
    isDryRun: field("dryRun") === true,
  };
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
