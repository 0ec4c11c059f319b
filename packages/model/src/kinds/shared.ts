// SPDX-License-Identifier: Apache-2.0
// Parts that several kinds have in common.
import type * as z from "zod";
import {
  exactlyOne,
  flag,
  numberBetween,
  object,
  oneOf,
  textLike,
  wholeNumber,
} from "../fields.ts";

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

/** Where a secret is found, as documents never hold one. */
export const secret = exactlyOne(
  object({
    file: textLike(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/, "the name of a file")
      .optional()
      .describe("File `NAMESPACE/NAME` of control's folder of secrets (`secrets` in its state)."),
    env: textLike(/^[A-Z0-9]+(_[A-Z0-9]+)*$/, "capitals, digits and single underscores")
      .optional()
      .describe("Variable `MERIDIAN_SECRET_NAMESPACE__NAME` of control's environment."),
    kubernetesSecret: object({
      name: textLike(
        /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
        "the name of a Secret, of lower-case letters, digits, hyphens and dots",
      ).describe("Name of the Secret."),
      key: textLike(
        /^[A-Za-z0-9._-]{1,253}$/,
        "a key of a Secret, of letters, digits, hyphens, dots and underscores",
      ).describe("Key in it."),
    })
      .optional()
      .describe("Secret of the namespace of Kubernetes that has the name of this one."),
  }),
  ["file", "env", "kubernetesSecret"],
);

export type SecretReference = z.output<typeof secret>;
