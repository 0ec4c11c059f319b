// SPDX-License-Identifier: Apache-2.0

// A Prometheus server as documents name one whose expressions decide something.

import type * as z from "zod";
import { httpUrl, object, text } from "../fields.ts";
import { secret } from "./shared.ts";

export const prometheusSource = object({
  url: httpUrl().describe("Base address; `/api/v1/query` is added."),
  token: secret.optional().describe("Bearer token to send with it."),
  basic: object({
    user: text(253).describe("User name."),
    password: secret.describe("Password."),
  })
    .optional()
    .describe("Name and password to send with it, in place of a token."),
}).refine(({ token, basic }) => token === undefined || basic === undefined, {
  path: ["basic"],
  error: "nothing beside token",
});

export type PrometheusSource = z.output<typeof prometheusSource>;
