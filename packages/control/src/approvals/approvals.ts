// SPDX-License-Identifier: Apache-2.0

// Whether an act may go ahead now: what ChangePolicy documents say of it, and which others have approved. An act is known by what it does
// and by whom: who is told that approval is wanted repeats it when it is there, and it is good for one time.

import { randomBytes } from "node:crypto";
import { parseDuration } from "@meridian/core";
import { parseStoreDocument, type ChangePolicyDocument } from "@meridian/model";
import { isCovered, type Caller } from "../access/caller.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { plainDocument } from "../documents/document-text.ts";
import type { Alert } from "../notifications/alert.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import { actHash, shortId, type Act, type ActOptions } from "./act.ts";
import {
  accessTargets,
  isOpen,
  requestOf,
  voted,
  type ApprovalRequest,
  type Vote,
} from "./approval-request.ts";
import { closedBy } from "./change-window.ts";

const DAY_MS = 24 * 3_600_000;
/** What is over is shown for so long. */
const KEPT_MS = 7 * DAY_MS;
const CLEARED_MAX = 100;
/** What may wait for approval at once. */
const REQUESTS_MAX = 1000;
const NAMES_SHOWN_MAX = 5;
const CHANGES_CHARACTERS_MAX = 64 * 1024;
const ATTEMPTS_MAX = 20;
const GLASS_ID_BYTES = 6;

/** What stands between an act and its doing. */
export type Standing =
  /** Nothing. */
  | { readonly kind: "free" }
  /** Others have approved. */
  | { readonly kind: "approved"; readonly request: ApprovalRequest }
  /** A window of time; in words. */
  | { readonly kind: "closed"; readonly policy: string; readonly why: string }
  | { readonly kind: "rejected"; readonly request: ApprovalRequest }
  /** Approval of others; there may be no request yet. */
  | { readonly kind: "wanted"; readonly needed: number; readonly request?: ApprovalRequest };

/** A request as it is shown. */
export interface ApprovalView extends Omit<ApprovalRequest, "act" | "state"> {
  readonly state: ApprovalRequest["state"] | "expired";
  /** Of everything that it is about; empty where that is several, or none. */
  readonly namespace: string;
  readonly about: string;
  readonly approved: number;
}

export class Approvals {
  readonly #state: StateDocuments;
  readonly #nowMs: () => number;
  #policies: {
    readonly of: DocumentSet | undefined;
    readonly all: readonly ChangePolicyDocument[];
  } = { of: undefined, all: [] };

  constructor(state: StateDocuments, nowMs: () => number) {
    this.#state = state;
    this.#nowMs = nowMs;
  }

  /** What stands between an act and its doing now. Asks nobody. */
  standing(act: Act, author: string): Standing {
    const nowMs = this.#nowMs();
    const policies = this.#covering(act);
    for (const { metadata, spec } of policies) {
      const why = spec.windows === undefined ? undefined : closedBy(spec.windows, nowMs);
      if (why !== undefined) return { kind: "closed", policy: metadata.name, why };
    }
    const needed = neededBy(policies);
    if (needed === 0) return { kind: "free" };
    const request = this.#requestFor(act, author);
    if (request === undefined || (request.state !== "rejected" && !isOpen(request, nowMs)))
      return { kind: "wanted", needed };
    if (request.state === "rejected")
      return nowMs < request.expiresAtMs
        ? { kind: "rejected", request }
        : { kind: "wanted", needed };
    // A policy may want more by now than when it was asked for.
    const approvals = request.votes.filter(({ approves }) => approves).length;
    return approvals >= needed
      ? { kind: "approved", request }
      : { kind: "wanted", needed, request };
  }

  /**
   * Resolves with what is to be committed with the act (it uses an approval up, or says that glass was broken); throws where the act may not
   * go ahead now, having asked others where that is what it takes.
   */
  async admit(act: Act, caller: Caller, options: ActOptions = {}): Promise<readonly StateWrite[]> {
    const author = caller.subject;
    const standing = this.standing(act, author);
    if (standing.kind === "free") return [];
    if (standing.kind === "approved") return [this.#write({ ...standing.request, state: "used" })];
    if (options.breakGlass === true) return this.#breakGlass(act, caller, options);
    const what = `Cannot ${act.verb} ${aboutText(act)}`;
    if (standing.kind === "closed")
      throw new RequestRefusal(
        "CHANGE_WINDOW_CLOSED",
        `${what}: ChangePolicy "${standing.policy}" says when, and ${standing.why}`,
      );
    if (standing.kind === "rejected") {
      const { id, votes } = standing.request;
      const by = votes.find(({ approves }) => !approves);
      throw new RequestRefusal(
        "APPROVAL_NEEDED",
        `${what}: request ${id} was rejected by ${by?.by ?? "somebody"}: ${by?.reason ?? ""}`,
      );
    }
    const request = standing.request ?? (await this.#ask(act, caller, options));
    const left = standing.needed - request.votes.filter(({ approves }) => approves).length;
    throw new RequestRefusal(
      "APPROVAL_NEEDED",
      `${what}: ${request.policies.map((name) => `ChangePolicy "${name}"`).join(" and ")} ${request.policies.length === 1 ? "wants" : "want"} approval by ${left} other${left === 1 ? "" : "s"}; request ${request.id} waits for it until ${new Date(request.expiresAtMs).toISOString()}, then do the same again`,
    );
  }

  /** As `admit()`, for acts that are no commit of their own: an approval is used up when it resolves. */
  async allow(act: Act, caller: Caller, options: ActOptions = {}): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const writes = await this.admit(act, caller, options);
      const about = {
        ...{ who: whoOf(caller), act: act.verb, reason: options.reason },
        ...(options.breakGlass === true ? { breakGlass: true } : {}),
      };
      if (writes.length === 0) return;
      if (await this.#state.write(writes, "approved", about)) return;
    }
    throw busy();
  }

  /** Votes on a request by its id, and resolves with what it is then. */
  async vote(
    id: string,
    caller: Caller,
    ballot: { readonly approves: boolean; readonly reason: string },
  ): Promise<ApprovalView> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      await this.#state.refresh();
      const request = this.#request(id);
      if (request === undefined)
        throw new RequestRefusal("DOCUMENT_NOT_FOUND", `There is no request ${JSON.stringify(id)}`);
      const verb = ballot.approves ? "approve" : "reject";
      if (!accessTargets(request).every((each) => caller.may("approve", each)))
        throw new RequestRefusal(
          "ACCESS_DENIED",
          `Cannot ${verb} request ${id}: no role of "${caller.subject}" allows it`,
        );
      const vote: Vote = { by: caller.subject, atMs: this.#nowMs(), ...ballot };
      const after = voted(request, vote);
      if (typeof after === "string")
        throw new RequestRefusal(
          "DOCUMENT_CONFLICT",
          `Cannot ${verb} request ${id}: ${words[after]}`,
        );
      const about = {
        who: whoOf(caller),
        request: id,
        author: request.author,
        reason: ballot.reason,
      };
      if (await this.#state.write([this.#write(after)], verb, about)) return this.#view(after);
    }
    throw busy();
  }

  /** All of them, newest first. */
  views(): ApprovalView[] {
    return this.#requests()
      .map((request) => this.#view(request))
      .toSorted((a, b) => b.createdAtMs - a.createdAtMs);
  }

  /** What somebody has to look at. */
  alerts(): Alert[] {
    const nowMs = this.#nowMs();
    return this.#requests().flatMap((request): Alert[] => {
      const { id, state, author, verb, reason } = request;
      const { namespace, about } = this.#view(request);
      const common = { subject: `approval/${id}`, namespace };
      if (state === "unreviewed")
        return [
          {
            ...{ ...common, event: "break-glass" },
            summary: `${author} broke the glass to ${verb} ${about}: ${reason}; meridian approve ${id} says that it was looked at`,
          },
        ];
      if (state !== "pending" || !isOpen(request, nowMs)) return [];
      const why = reason === "" ? "" : `: ${reason}`;
      const summary = `${author} wants to ${verb} ${about}${why}; meridian approve ${id}`;
      return [{ ...common, event: "approval-wanted", summary }];
    });
  }

  #covering({ targets }: Act): ChangePolicyDocument[] {
    const { documents } = this.#state;
    if (this.#policies.of !== documents)
      this.#policies = { of: documents, all: policiesOf(documents) };
    return this.#policies.all.filter(({ spec }) =>
      targets.some((target) => target.verbs.some((verb) => isCovered(spec.acts, verb, target))),
    );
  }

  #request(id: string): ApprovalRequest | undefined {
    const text = this.#state.get("Approval", id)?.text;
    return text === undefined ? undefined : requestOf(text);
  }

  #requestFor(act: Act, author: string): ApprovalRequest | undefined {
    const hash = actHash(act, author);
    const request = this.#request(shortId(hash));
    return request?.act === hash ? request : undefined;
  }

  #requests(): ApprovalRequest[] {
    return [...this.#state.all("Approval")].flatMap(({ text }) => requestOf(text) ?? []);
  }

  #view({ act: _act, ...request }: ApprovalRequest): ApprovalView {
    const { state, targets, votes } = request;
    const namespaces = new Set(targets.map(({ namespace }) => namespace ?? ""));
    const [namespace = ""] = namespaces;
    const isExpired =
      (state === "pending" || state === "approved") && !isOpen(request, this.#nowMs());
    return {
      ...request,
      state: isExpired ? "expired" : state,
      namespace: namespaces.size === 1 ? namespace : "",
      about: aboutText(request),
      approved: votes.filter(({ approves }) => approves).length,
    };
  }

  #write(request: ApprovalRequest): StateWrite {
    const { id } = request;
    const ifRevision = this.#state.get("Approval", id)?.revision ?? 0;
    return { kind: "Approval", name: id, text: JSON.stringify(request), ifRevision };
  }

  #made(act: Act, caller: Caller, { reason = "" }: ActOptions): ApprovalRequest {
    const nowMs = this.#nowMs();
    const policies = this.#covering(act);
    const withinMs = policies.flatMap(({ spec }) =>
      spec.approvals === undefined ? [] : [parseDuration(spec.approvals.within) ?? DAY_MS],
    );
    const hash = actHash(act, caller.subject);
    return {
      ...{ id: shortId(hash), act: hash, state: "pending", verb: act.verb },
      ...{
        author: caller.subject,
        reason,
        targets: act.targets,
        changes: shown(act.changes ?? []),
      },
      policies: policies.map(({ metadata }) => metadata.name),
      needed: Math.max(1, neededBy(policies)),
      ...{ votes: [], createdAtMs: nowMs, expiresAtMs: nowMs + Math.min(DAY_MS * 30, ...withinMs) },
    };
  }

  async #ask(act: Act, caller: Caller, options: ActOptions): Promise<ApprovalRequest> {
    const request = this.#made(act, caller, options);
    const held = this.#request(request.id);
    // Who votes on an id must not find that it has become another act's.
    if (held !== undefined && held.act !== request.act)
      throw new RequestRefusal(
        "DOCUMENT_CONFLICT",
        `Cannot ask for approval: request ${held.id} is of another act with the same number, expected none; change what is asked for`,
      );
    const all = this.#requests();
    const nowMs = this.#nowMs();
    if (all.filter((each) => isOpen(each, nowMs)).length >= REQUESTS_MAX)
      throw new RequestRefusal(
        "DOCUMENT_CONFLICT",
        `Cannot ask for approval: ${REQUESTS_MAX} requests wait already, expected fewer; reject some`,
      );
    const old = all
      .filter(({ state, expiresAtMs }) => state !== "unreviewed" && expiresAtMs + KEPT_MS < nowMs)
      .slice(0, CLEARED_MAX)
      .map(({ id }): StateWrite => ({ kind: "Approval", name: id, text: undefined }));
    const { id, verb, reason } = request;
    const about = { who: whoOf(caller), request: id, act: verb, reason };
    if (await this.#state.write([this.#write(request), ...old], "ask", about)) return request;
    // Another control was asked the same at the same time.
    return this.#request(id) ?? request;
  }

  /** Each time has a record of its own, which nothing but a review changes; who waited for approval of the same act waits no more. */
  #breakGlass(act: Act, caller: Caller, options: ActOptions): readonly StateWrite[] {
    const { reason = "" } = options;
    if (reason.trim() === "")
      throw new RequestRefusal(
        "REQUEST_INVALID",
        "Cannot break the glass: no reason is given, expected why it cannot wait",
      );
    if (!act.targets.every((each) => caller.may("break-glass", each)))
      throw new RequestRefusal(
        "ACCESS_DENIED",
        `Cannot break the glass to ${act.verb} ${aboutText(act)}: no role of "${caller.subject}" allows it`,
      );
    const id = randomBytes(GLASS_ID_BYTES).toString("hex");
    const made = { ...this.#made(act, caller, options), id, state: "unreviewed" } as const;
    const asked = this.#requestFor(act, caller.subject);
    const isWaiting = asked !== undefined && isOpen(asked, this.#nowMs());
    const withdrawn = isWaiting ? [{ ...this.#write(asked), text: undefined }] : [];
    return [this.#write(made), ...withdrawn];
  }
}

const words = {
  own: "it is your own, expected somebody else",
  again: "you have voted already",
  over: "it is over",
} as const;

function whoOf({ subject, token, address }: Caller): object {
  return {
    subject,
    ...(token === undefined ? {} : { token }),
    ...(address === "" ? {} : { address }),
  };
}

function neededBy(policies: readonly ChangePolicyDocument[]): number {
  return Math.max(0, ...policies.map(({ spec }) => spec.approvals?.count ?? 0));
}

function policiesOf(documents: DocumentSet): ChangePolicyDocument[] {
  return [...documents.ofKind("ChangePolicy")].flatMap(({ text }) => {
    const parsed = parseStoreDocument("ChangePolicy", plainDocument(JSON.parse(text)));
    return "document" in parsed && parsed.document.kind === "ChangePolicy" ? [parsed.document] : [];
  });
}

function aboutText({ targets }: Pick<Act, "targets">): string {
  const all = [...new Set(targets.map(({ name }) => name))];
  const names = all.slice(0, NAMES_SHOWN_MAX);
  const more = all.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Of many changes the first ones, so that a request stays small. */
function shown(changes: readonly unknown[]): unknown[] {
  const kept: unknown[] = [];
  let left = CHANGES_CHARACTERS_MAX;
  for (const change of changes) {
    left -= JSON.stringify(change).length;
    if (left < 0) return [...kept, { more: changes.length - kept.length }];
    kept.push(change);
  }
  return kept;
}

function busy(): RequestRefusal {
  return new RequestRefusal(
    "DOCUMENT_CONFLICT",
    `Cannot take the approval into account: others changed it ${ATTEMPTS_MAX} times meanwhile; try again`,
  );
}
