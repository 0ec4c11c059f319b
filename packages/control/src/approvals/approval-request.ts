// SPDX-License-Identifier: Apache-2.0

// A request that others approve an act: one state document each, which only changes by compare-and-set.
//
//   pending ─► approved ─► used            an act that breaks the glass: unreviewed ─► reviewed
//      └─► rejected

import type { AccessTarget } from "../access/caller.ts";
import { member } from "../documents/document-key.ts";
import type { ActTarget } from "./act.ts";

export type ApprovalState =
  | "pending"
  | "approved"
  | "rejected"
  | "used"
  | "unreviewed"
  | "reviewed";

export interface Vote {
  readonly by: string;
  readonly atMs: number;
  readonly approves: boolean;
  readonly reason: string;
}

export interface ApprovalRequest {
  readonly id: string;
  /** `actHash()` of its act: an approval is good for nothing else. */
  readonly act: string;
  readonly state: ApprovalState;
  readonly verb: string;
  readonly author: string;
  readonly reason: string;
  readonly targets: readonly ActTarget[];
  readonly changes: readonly unknown[];
  readonly policies: readonly string[];
  /** How many others have to approve. */
  readonly needed: number;
  readonly votes: readonly Vote[];
  /** Unix milliseconds. */
  readonly createdAtMs: number;
  /** What is not done by then has to be asked for again. */
  readonly expiresAtMs: number;
}

/** Why a vote does not count. */
export type VoteRefusal = "own" | "again" | "over";

/** What becomes of a request by a vote: one rejection is enough, approvals are counted by whom. */
export function voted(request: ApprovalRequest, vote: Vote): ApprovalRequest | VoteRefusal {
  const isReview = request.state === "unreviewed";
  if (!isReview && !isOpen(request, vote.atMs)) return "over";
  if (vote.by === request.author) return "own";
  if (request.votes.some(({ by }) => by === vote.by)) return "again";
  const votes = [...request.votes, vote];
  const approvals = votes.filter(({ approves }) => approves).length;
  const state = isReview
    ? votes.length >= request.needed
      ? "reviewed"
      : "unreviewed"
    : !vote.approves
      ? "rejected"
      : approvals >= request.needed
        ? "approved"
        : "pending";
  return { ...request, votes, state };
}

/** Whether it still matters to its act. */
export function isOpen(
  { state, expiresAtMs }: Pick<ApprovalRequest, "state" | "expiresAtMs">,
  nowMs: number,
): boolean {
  return (state === "pending" || state === "approved") && nowMs < expiresAtMs;
}

/** What it is about, for roles: without what is only shown. */
export function accessTargets({ targets }: ApprovalRequest): AccessTarget[] {
  return targets.map(({ kind, namespace, labels, domain }) => ({
    ...{ kind, namespace },
    ...(labels === undefined ? {} : { labels }),
    ...(domain === undefined ? {} : { domain }),
  }));
}

/** Reads what Meridian has written itself. */
export function requestOf(text: string): ApprovalRequest | undefined {
  const raw: unknown = JSON.parse(text);
  return isRequest(raw) ? raw : undefined;
}

function isRequest(raw: unknown): raw is ApprovalRequest {
  const areTexts = ["id", "act"].every((name) => typeof member(raw, name) === "string");
  return areTexts && Array.isArray(member(raw, "votes"));
}
