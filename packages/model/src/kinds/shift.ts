// SPDX-License-Identifier: Apache-2.0
import { formatDuration, parseDuration } from "@meridian/core";
import type * as z from "zod";
import { duration, numberBetween, object, oneOf, text, textLike, time } from "../fields.ts";
import { limits } from "../limits.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { shiftPrecedences } from "./shift-precedence.ts";

const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
/** What a Shift or RoutingControl is about. */
export const targetForm: RegExp = new RegExp(
  `^(site/${label}|pool/${label}/${label}|endpoint/${label}/${label}/${label})$`,
);

export const targetWanted = "site/NAME, pool/NAMESPACE/NAME or endpoint/NAMESPACE/POOL/NAME";

/** A temporary, expiring move of traffic away from a site, pool or endpoint; never in files. */
export const shiftSchema = document(
  "Shift",
  namespacedMetadata,
  object({
    target: textLike(targetForm, targetWanted).describe("What traffic leaves."),
    percent: numberBetween(0, 100)
      .default(100)
      .describe("Share that leaves, 0 to 100 %; 100 drains."),
    reason: text(1024).describe("Why, for those who ask later."),
    actor: text(256).describe("Who asked for it."),
    precedence: oneOf(shiftPrecedences)
      .default("manual")
      .describe("Who moves it: of several shifts of one target the one named first here decides."),
    startsAt: time().optional().describe("When traffic begins to leave; at once unless given."),
    expiresAt: time().describe("When traffic comes back, at most 72 h after it has left."),
    return: object({
      percent: numberBetween(1, 99).describe("Share of all traffic that comes back, 1 to 99 %."),
      every: duration().describe("How often, from expiresAt on."),
    })
      .optional()
      .describe("Traffic comes back step by step; all of it at once unless given."),
  }),
);

export type ShiftSpec = z.output<typeof shiftSchema>["spec"];

/** The key of the slot that a Shift turns, by its target. */
export type ShiftTarget =
  | { readonly kind: "site"; readonly name: string }
  | { readonly kind: "pool"; readonly namespace: string; readonly name: string }
  | {
      readonly kind: "endpoint";
      readonly namespace: string;
      readonly pool: string;
      readonly name: string;
    };

/** The parts of a target, or undefined where the text is none. */
export function parseTarget(target: string): ShiftTarget | undefined {
  if (!targetForm.test(target)) return undefined;
  const [kind, first = "", second = "", third = ""] = target.split("/");
  if (kind === "site") return { kind, name: first };
  if (kind === "pool") return { kind, namespace: first, name: second };
  return { kind: "endpoint", namespace: first, pool: second, name: third };
}

/** How long a Shift is to last: above 0, at most 72 h; `1d` is no duration here. */
export function parseShiftLength(
  value: string,
): { readonly ms: number } | { readonly wanted: string } {
  const ms = parseDuration(value);
  const most = formatDuration(limits.shiftMsMax);
  if (ms === undefined) return { wanted: `a duration such as 90m, at most ${most}` };
  if (ms === 0) return { wanted: `more than 0, at most ${most}` };
  return ms > limits.shiftMsMax ? { wanted: `at most ${most}` } : { ms };
}

/** How long a Shift made now (Unix milliseconds) lasts by its `expiresAt`; the same bounds hold. */
export function shiftLengthUntil(
  expiresAt: string,
  nowMs: number,
): { readonly ms: number } | { readonly wanted: string } {
  const ms = Date.parse(expiresAt) - nowMs;
  if (ms > 0 && ms <= limits.shiftMsMax) return { ms };
  return { wanted: `a time in the future, at most ${formatDuration(limits.shiftMsMax)} from now` };
}
