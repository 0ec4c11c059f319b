// SPDX-License-Identifier: Apache-2.0
import { limits } from "@meridian/model";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ActOptions } from "./approvals/act.ts";
import type { Approvals } from "./approvals/approvals.ts";
import { shiftAct } from "./approvals/target-act.ts";
import { fieldsOf, member } from "./documents/document-key.ts";
import type { DocumentService } from "./documents/document-service.ts";
import type { Embedded } from "./embedded.ts";
import type { Gatekeeper } from "./http/gatekeeper.ts";
import { RequestRefusal } from "./request-refusal.ts";
import type { RoutingControls } from "./routing/routing-controls.ts";
import type { Shift } from "./shift-effects.ts";
import { lengthMsOf, parseShiftRequest, reachedEndpoints } from "./shift-request.ts";
import { loweringOf } from "./shift-views.ts";
import { capacityLacks } from "./traffic/capacity-check.ts";
import { weighedProfiles } from "./traffic/weighed-profiles.ts";

const LACKS_SHOWN_MAX = 5;

interface Asked {
  Querystring: Record<string, string>;
}

export interface ShiftRoutes {
  readonly embedded: Embedded;
  readonly approvals: Approvals;
  readonly keeper: Gatekeeper;
  readonly documents: Pick<DocumentService, "documents">;
  readonly routing: Pick<RoutingControls, "off">;
}

/** Starts shifts, has them last longer, and ends them. */
export function addShiftRoutes(server: FastifyInstance, routes: ShiftRoutes): void {
  server.post("/v1/shifts", (request, reply) => start(routes, request, reply));
  server.put("/v1/shifts", (request, reply) => extend(routes, request, reply));
  server.delete<Asked>("/v1/shifts", (request) => end(routes, request));
}

async function start(
  routes: ShiftRoutes,
  asked: FastifyRequest,
  reply: FastifyReply,
): Promise<object> {
  const { embedded, approvals, keeper } = routes;
  const { body } = asked;
  const request = parseShiftRequest(embedded, body, Date.now());
  if ("error" in request) return reply.code(request.status).send({ error: request.error });
  const { shift, isDryRun } = request;
  const reached = reachedEndpoints(embedded, shift.target);
  if (embedded.shifts().length >= limits.shiftsMax)
    return reply.code(409).send({
      error: `Cannot shift "${shift.target}": ${limits.shiftsMax} shifts are running, expected fewer; end some with "meridian undrain"`,
    });
  const { startsAtMs: atMs = Date.now() } = shift;
  const added = { ...shift, id: "", createdAtMs: Math.min(atMs, Date.now()) };
  const lacks = await lacksOf(routes, [...embedded.shifts(), added], atMs);
  if (isDryRun) return { reached, lacks, ...loweringOf(embedded, added) };
  const isForced = member(body, "force") === true;
  refuseLacking(`drain ${shift.target}`, lacks, isForced);
  const { percent, precedence } = shift;
  const { expiresIn, startsAt, return: back } = fieldsOf(body);
  const content = { percent, precedence, expiresIn, startsAt, return: back, isForced };
  const act = shiftAct(embedded.model, "drain", [shift.target], content);
  await approvals.allow(act, keeper.callerOf(asked), optionsOf(body));
  const begun = await embedded.addShift(shift);
  return { shift: { ...begun, ...loweringOf(embedded, begun) }, reached };
}

async function extend(
  { embedded, approvals, keeper }: ShiftRoutes,
  asked: FastifyRequest,
  reply: FastifyReply,
): Promise<object> {
  const { body } = asked;
  const expiresIn = member(body, "expiresIn");
  const length = lengthMsOf(expiresIn);
  if (typeof length === "string") return reply.code(400).send({ error: length });
  const named = member(body, "target");
  const target = typeof named === "string" ? named : "";
  const act = shiftAct(embedded.model, "drain", targetsOf(embedded, target), { extend: expiresIn });
  await approvals.allow(act, keeper.callerOf(asked), optionsOf(body));
  return { extended: someOf(await embedded.extendShifts(target, length), target) };
}

async function end(routes: ShiftRoutes, asked: FastifyRequest<Asked>): Promise<object> {
  const { embedded, approvals, keeper } = routes;
  const { target = "", reason, breakGlass, now, force } = asked.query;
  const how = { isAtOnce: now === "true", isForced: force === "true" };
  const act = shiftAct(embedded.model, "undrain", targetsOf(embedded, target), how);
  const left = embedded.shifts().filter((each) => each.id !== target && each.target !== target);
  const lacks = await lacksOf(routes, left, Date.now());
  refuseLacking(`undrain ${target}`, lacks, how.isForced);
  const options = { reason, breakGlass: breakGlass === "true" };
  await approvals.allow(act, keeper.callerOf(asked), options);
  return { removed: someOf(await embedded.removeShifts(target, how.isAtOnce), target) };
}

/** What would be lacking with other shifts, at a moment. */
async function lacksOf(
  { embedded, documents, routing }: ShiftRoutes,
  shifts: readonly Shift[],
  atMs: number,
): Promise<string[]> {
  const weighed = await weighedProfiles(embedded, documents.documents, Date.now());
  const { model, world } = embedded;
  if (model === undefined || world === undefined || weighed === undefined) return [];
  const served = { model, world, overlay: embedded.overlay, off: routing.off(), ...weighed };
  const before = { shifts: embedded.shifts(), atMs: Date.now() };
  return capacityLacks(served, before, { shifts, atMs });
}

function refuseLacking(what: string, lacks: readonly string[], isForced: boolean): void {
  if (isForced || lacks.length === 0) return;
  const shown = lacks.slice(0, LACKS_SHOWN_MAX);
  const more = lacks.length - shown.length;
  throw new RequestRefusal(
    "CAPACITY_LACKING",
    `Cannot ${what}: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}; force it to do it all the same`,
  );
}

/** What the shifts are about that a target or an id names. */
function targetsOf(embedded: Embedded, targetOrId: string): string[] {
  const found = embedded
    .shifts()
    .filter(({ id, target }) => id === targetOrId || target === targetOrId);
  return [...new Set(someOf(found, targetOrId).map(({ target }) => target))];
}

function someOf(shifts: readonly Shift[], target: string): readonly Shift[] {
  if (shifts.length > 0) return shifts;
  throw new RequestRefusal("DOCUMENT_NOT_FOUND", `No shift of "${target}" is running`);
}

function optionsOf(body: unknown): ActOptions {
  const reason = member(body, "reason");
  return {
    ...(typeof reason === "string" ? { reason } : {}),
    breakGlass: member(body, "breakGlass") === true,
  };
}
