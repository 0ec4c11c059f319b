// SPDX-License-Identifier: Apache-2.0

// What has to be said or waited for before something is changed: approval by others (four eyes), and windows of time.

import type * as z from "zod";
import { list, object, positiveDuration, text, wholeNumber } from "../fields.ts";
import { accessRule } from "./access.ts";
import { changeWindows } from "./change-windows.ts";
import { clusterMetadata, document } from "./metadata.ts";

const APPROVALS_MAX = 10;

/** Which acts need the approval of others, or are possible at certain times only. Every policy that covers an act counts. */
export const changePolicySchema = document(
  "ChangePolicy",
  clusterMetadata,
  object({
    description: text(1024).optional().describe("What it is for, for those whom it stops."),
    acts: list(accessRule, 1, 64).describe(
      "What it covers, as the rules of a Role say what is allowed: verbs such as apply, delete, rollback, drain, undrain, set and failback.",
    ),
    approvals: object({
      count: wholeNumber(1, APPROVALS_MAX).describe(
        "How many others than its author have to approve an act, 1 to 10.",
      ),
      within: positiveDuration()
        .default("24h")
        .describe("How long it may take from the request to the act."),
    })
      .optional()
      .describe("Approval by others."),
    windows: changeWindows.optional().describe("When the acts are possible at all."),
  }).refine(({ approvals, windows }) => approvals !== undefined || windows !== undefined, {
    error: "approvals, windows or both",
  }),
);

export type ChangePolicyDocument = z.output<typeof changePolicySchema>;
