// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import { limits } from "@meridian/model";
import type { Embedded } from "./embedded.ts";
import { shiftReaches, type Shift } from "./shift-effects.ts";

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
  if (typeof target !== "string" || !/^(site|pool|endpoint)\/[^*]+$/.test(target)) {
    return {
      status: 400,
      error: `Target is ${JSON.stringify(target)}, expected site/NAME, pool/NS/NAME or endpoint/NS/POOL/NAME`,
    };
  }
  const percent = field("percent") ?? 100;
  if (typeof percent !== "number" || !(percent > 0 && percent <= 100))
    return {
      status: 400,
      error: `Percent is ${JSON.stringify(percent)}, expected a number above 0 and at most 100`,
    };
  const reason = field("reason");
  if (typeof reason !== "string" || reason.length === 0 || reason.length > 1024)
    return { status: 400, error: "Reason is missing, expected 1 to 1024 characters" };
  const expiresIn = field("expiresIn");
  const lengthMs = typeof expiresIn === "string" ? parseDuration(expiresIn) : undefined;
  if (lengthMs === undefined || lengthMs <= 0 || lengthMs > limits.shiftMsMax)
    return {
      status: 400,
      error: `Expiry is ${JSON.stringify(expiresIn)}, expected a duration up to 72h such as 30m`,
    };
  if (reachedEndpoints(embedded, target).length === 0)
    return { status: 404, error: `Target "${target}" reaches no endpoint` };
  const actor = field("actor");
  return {
    shift: {
      target,
      percent,
      reason,
      actor: typeof actor === "string" ? actor.slice(0, 256) : "unknown",
      expiresAtMs: nowMs + lengthMs,
    },
    isDryRun: field("dryRun") === true,
  };
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
