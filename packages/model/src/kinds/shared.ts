// SPDX-License-Identifier: Apache-2.0
// Parts that several kinds have in common.
import { exactlyOne, flag, numberBetween, object, oneOf, wholeNumber } from "../fields.ts";

/** Degrees, north and east positive. */
export const coordinates = object({
  latitude: numberBetween(-90, 90).describe("Degrees north of the equator, -90 to 90."),
  longitude: numberBetween(-180, 180).describe("Degrees east of Greenwich, -180 to 180."),
});

const coarse = { error: "a number of degrees with at most 2 decimals" };

/** Coordinates written in a policy: two decimals at most, which is about a kilometre. */
export const coarseCoordinates = object({
  latitude: numberBetween(-90, 90)
    .refine(hasTwoDecimals, coarse)
    .describe("Degrees north of the equator, -90 to 90, at most 2 decimals."),
  longitude: numberBetween(-180, 180)
    .refine(hasTwoDecimals, coarse)
    .describe("Degrees east of Greenwich, -180 to 180, at most 2 decimals."),
});

/** The continents by the codes of the data sets. */
export const continents = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"] as const;

/** How many must be healthy for a pool or node to count as healthy. */
export const minHealthy = exactlyOne(
  object({
    count: wholeNumber(0, 1024).optional().describe("At least this many, 0 to 1024."),
    percent: numberBetween(1, 100)
      .optional()
      .describe(
        "At least this share of the configured members (under weighted: weight), 1 to 100 %.",
      ),
    perFamily: flag()
      .default(false)
      .describe("Whether IPv4 and IPv6 must each reach it by themselves."),
  }),
  ["count", "percent"],
);

/** The share kept of what was routed here, in percent. */
export const dial = numberBetween(0, 100)
  .default(100)
  .describe("Share kept of what was routed here, 0 to 100 %; the rest goes to the next choice.");

/** How many endpoints one answer may hold. */
export const answers = wholeNumber(1, 32)
  .optional()
  .describe(
    "Endpoints in one answer, 1 to 32; 2 from a plain pool, 8 under multivalue, else 1 when not set.",
  );

/** Where a client is taken to be. */
export const clientLocation = oneOf(["prefer-ecs", "resolver", "ecs-only"])
  .optional()
  .describe("Whether a client is placed by its ECS prefix or by its resolver's address.");

function hasTwoDecimals(value: number): boolean {
  return Math.abs(value * 100 - Math.round(value * 100)) < 1e-9 * Math.max(1, Math.abs(value));
}
