// SPDX-License-Identifier: Apache-2.0

// A Prometheus server as documents name one whose expressions decide something.

import type * as z from "zod";
import { httpUrl, object, text } from "../fields.ts";
import { secret } from "./shared.ts";

const members = {
  url: httpUrl().describe("Base address; `/api/v1/query` is added."),
  token: secret.optional().describe("Bearer token to send with it."),
  basic: object({
    user: text(253).describe("User name."),
    password: secret.describe("Password."),
  })
    .optional()
    .describe("Name and password to send with it, in place of a token."),
};

const onlyOne = { path: ["basic"], error: "nothing beside token" };

export const prometheusSource = object(members).refine(isOneLogin, onlyOne);

/** A server with what it is asked for. */
export const prometheusQuestion = object({
  ...members,
  query: text(8192).describe(
    "Query whose samples name members by the label `endpoint`, 0 idle to 1 full.",
  ),
}).refine(isOneLogin, onlyOne);

function isOneLogin({
  token,
  basic,
}: {
  readonly token?: object | undefined;
  readonly basic?: object | undefined;
}): boolean {
  return token === undefined || basic === undefined;
}

export type PrometheusSource = z.output<typeof prometheusSource>;
