// SPDX-License-Identifier: Apache-2.0
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance } from "fastify";
import { member } from "../documents/document-key.ts";
import type { Gatekeeper } from "../http/gatekeeper.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { Approvals } from "./approvals.ts";

const REASON_LENGTH_MAX = 1024;

interface Shape {
  Querystring: Record<string, string>;
  Params: { readonly id: string };
}

/** Requests that wait for approval, and votes on them. */
export function addApprovalRoutes(
  server: FastifyInstance,
  approvals: Approvals,
  keeper: Gatekeeper,
): void {
  server.get<Shape>("/v1/approvals", ({ query }, reply) => {
    const request = parsePageRequest(query);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(
          approvals.views(),
          request,
          ({ id }) => id,
          (view) => view,
        );
  });
  server.post<Shape>("/v1/approvals/:id", (request) =>
    approvals.vote(request.params.id, keeper.callerOf(request), ballotOf(request.body)),
  );
}

function ballotOf(body: unknown): { readonly approves: boolean; readonly reason: string } {
  const verdict = member(body, "verdict");
  const reason = member(body, "reason") ?? "";
  if (verdict !== "approve" && verdict !== "reject")
    throw refused(`verdict is ${JSON.stringify(verdict)}, expected "approve" or "reject"`);
  if (typeof reason !== "string" || reason.length > REASON_LENGTH_MAX)
    throw refused(`reason is no text of at most ${REASON_LENGTH_MAX} characters`);
  if (verdict === "reject" && reason.trim() === "")
    throw refused("reason is missing, expected why it is rejected");
  return { approves: verdict === "approve", reason };
}

function refused(what: string): RequestRefusal {
  return new RequestRefusal("REQUEST_INVALID", `Cannot vote: ${what}`);
}
