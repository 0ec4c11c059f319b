// SPDX-License-Identifier: Apache-2.0

// Whether an edge answers clients worse from a revision than from the one before: what it finds by asking itself are some hundred names
// and four types; clients ask for what they ask for.

import type { AnswerSums, EdgeAnswers } from "./edge-answers.ts";

/** Of fewer queries no share is taken. */
const QUERIES_MIN = 50;
/** How much greater the shares of SERVFAIL and of empty answers may be than before: hardly any of the former is right. */
const SERVFAIL_SHARE_MAX = 0.01;
const EMPTY_SHARE_MAX = 0.05;

/** How an edge answers from one revision, beside the one that it served before. */
export interface WatchedAnswers {
  readonly before: AnswerSums | undefined;
  /** Undefined until the edge has said something of it. */
  readonly now: AnswerSums | undefined;
}

/** What is known of `revision` at an edge. */
export function watchedAnswers(
  answers: Pick<EdgeAnswers, "current" | "before"> | undefined,
  { epoch, revision }: Pick<AnswerSums, "epoch" | "revision">,
): WatchedAnswers {
  const current = answers?.current;
  const isNow = current?.epoch === epoch && current.revision === revision;
  return isNow ? { before: answers?.before, now: current } : { before: current, now: undefined };
}

/** What speaks against it; undefined for nothing, also where too little was asked. */
export function worsening({ before, now }: WatchedAnswers): string | undefined {
  if (before === undefined || now === undefined) return undefined;
  if (before.queries < QUERIES_MIN || now.queries < QUERIES_MIN) return undefined;
  const [failedWas, failedIs] = [before.servfail / before.queries, now.servfail / now.queries];
  if (failedIs > failedWas + SERVFAIL_SHARE_MAX)
    return `SERVFAIL for ${percent(failedIs)} of what clients ask, ${percent(failedWas)} before`;
  const [emptyWas, emptyIs] = [before.empty / before.queries, now.empty / now.queries];
  if (emptyIs > emptyWas + EMPTY_SHARE_MAX)
    return `no answers for ${percent(emptyIs)} of what clients ask, ${percent(emptyWas)} before`;
  return undefined;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
