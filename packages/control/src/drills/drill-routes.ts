// SPDX-License-Identifier: Apache-2.0
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { accessTargetOf } from "../documents/document-access.ts";
import { denied } from "../documents/change-plan.ts";
import { formatKey, member } from "../documents/document-key.ts";
import type { DocumentService } from "../documents/document-service.ts";
import type { Gatekeeper } from "../http/gatekeeper.ts";
import type { Approvals } from "../approvals/approvals.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { DrillKeeper } from "./drill-keeper.ts";

export interface DrillRoutes {
  readonly drills: DrillKeeper;
  readonly documents: Pick<DocumentService, "documents">;
  readonly approvals: Approvals;
  readonly keeper: Gatekeeper;
}

interface Shape {
  Querystring: Record<string, string>;
  Params: { readonly namespace: string; readonly name: string };
}

/** Drills with their runs; begins and ends them. */
export function addDrillRoutes(server: FastifyInstance, routes: DrillRoutes): void {
  const { drills } = routes;
  server.get<Shape>("/v1/drills", ({ query }, reply) => {
    const request = parsePageRequest(query);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(
          drills.views(),
          request,
          ({ name }) => name,
          (view) => view,
        );
  });
  server.post<Shape>("/v1/drills/:namespace/:name", (request) => order(routes, request));
}

async function order(
  { drills, documents, approvals, keeper }: DrillRoutes,
  request: FastifyRequest<Shape>,
): Promise<object> {
  const { namespace, name } = request.params;
  const { body } = request;
  const caller = keeper.callerOf(request);
  const key = { kind: "Drill", namespace, name };
  const raw: unknown = JSON.parse(documents.documents.get(key)?.text ?? "{}");
  const target = accessTargetOf(key, raw);
  if (!caller.may("run", target)) throw denied(caller, "run", key);
  const wanted = member(body, "order");
  const reason = member(body, "reason");
  const text = typeof reason === "string" ? reason : "";
  if (wanted === "cancel") return drills.cancel(`${namespace}/${name}`, caller.subject, text);
  if (wanted !== "run")
    throw new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot order ${formatKey(key)}: order is ${JSON.stringify(wanted)}, expected "run" or "cancel"`,
    );
  const about = { ...target, verbs: ["run" as const], name: formatKey(key) };
  const how = { reason: text, breakGlass: member(body, "breakGlass") === true };
  // What cannot begin uses no approval up, and what it does now is what was approved.
  await drills.mayRun(`${namespace}/${name}`);
  const content = { ...key, spec: member(raw, "spec") };
  await approvals.allow({ verb: "run", targets: [about], content }, caller, how);
  return drills.run(`${namespace}/${name}`, caller.subject);
}
