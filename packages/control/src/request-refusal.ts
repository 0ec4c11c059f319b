// SPDX-License-Identifier: Apache-2.0

// What the API refuses, with the HTTP status it is refused with: one table, so that every surface says the same.

import { MeridianError } from "@meridian/core";
import type { DocumentProblem } from "./documents/document-problem.ts";

/** HTTP status of each code; those of the store among them. */
const statuses = [
  ["REQUEST_INVALID", 400],
  ["DOCUMENTS_INVALID", 400],
  ["ACCESS_UNAUTHENTICATED", 401],
  ["ACCESS_ISSUER_UNREACHABLE", 503],
  ["ACCESS_DENIED", 403],
  ["NAME_NOT_OWNED", 403],
  ["QUOTA_EXCEEDED", 403],
  ["REFERENCE_NOT_GRANTED", 403],
  ["CELL_FULL", 409],
  ["DOCUMENT_NOT_FOUND", 404],
  ["DOCUMENT_CONFLICT", 409],
  ["DOCUMENT_OWNED", 409],
  ["DOCUMENT_REFERENCED", 409],
  ["CONSISTENCY_UNMET", 412],
  ["REQUEST_TOO_LARGE", 413],
  ["ACCESS_LIMITED", 429],
  ["DOCUMENTS_SHRINK", 409],
  ["SAFETY_RULE_OBJECTS", 409],
  ["APPROVAL_NEEDED", 409],
  ["CAPACITY_LACKING", 409],
  ["CHANGE_WINDOW_CLOSED", 409],
  ["RECOVERY_REFUSED", 409],
  ["ROLLOUT_REFUSED", 409],
  ["STORE_CONFLICT", 409],
  ["STORE_FENCED", 409],
  ["STORE_COMPACTED", 410],
  ["STORE_TOO_LARGE", 413],
  ["STORE_UNAVAILABLE", 503],
  ["STORE_REVISION_UNKNOWN", 404],
  ["STORE_REQUEST_INVALID", 400],
] as const;

export type RefusalCode = Exclude<(typeof statuses)[number][0], `STORE_${string}`>;

/** What a refusal says beside its message. */
export interface RefusalDetails {
  /** Everything that is wrong, at once. */
  readonly problems?: readonly DocumentProblem[];
  /** `KIND/NAMESPACE/NAME` or `FILE:LINE` of what names the document. */
  readonly referrers?: readonly string[];
}

/** A request that is not done, for a reason that its sender can do something about. */
export class RequestRefusal extends MeridianError {
  override readonly name: string = "RequestRefusal";
  readonly details: RefusalDetails;

  constructor(code: RefusalCode, message: string, details: RefusalDetails = {}) {
    super(code, "user", message);
    this.details = details;
  }
}

/** The HTTP status of an error; 500 for what is nobody's refusal. */
export function statusOf(error: unknown): number {
  if (!(error instanceof MeridianError)) return 500;
  return statuses.find(([code]) => code === error.code)?.[1] ?? 500;
}

/** The body of an answer that refuses. */
export function refusalBody(error: unknown): object {
  if (!(error instanceof MeridianError))
    return { error: "Something failed inside; the log has it" };
  return {
    error: error.message,
    code: error.code,
    ...(error instanceof RequestRefusal ? error.details : {}),
  };
}
