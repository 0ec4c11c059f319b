// SPDX-License-Identifier: Apache-2.0
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance } from "fastify";
import type { Caller } from "../access/caller.ts";
import { denied } from "../documents/change-plan.ts";
import { member } from "../documents/document-key.ts";
import type { Gatekeeper } from "../http/gatekeeper.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { RecoveryRuns } from "./recovery-runs.ts";
import { renderReportPage } from "./report-page.ts";
import { runOrders, type Order, type RunOrder } from "./run-orders.ts";
import { reportOf, type RecoveryReport } from "./run-report.ts";
import type { RecoveryRun, RunMode } from "./run-state.ts";

const TEXT_LENGTH_MAX = 1024;
const approvals: readonly RunOrder[] = ["approve", "decline"];
const ownOrders: readonly RunOrder[] = runOrders.filter((each) => !approvals.includes(each));

interface Asked {
  Querystring: Record<string, string>;
}

/** Plans with how they stand, their runs, and what is done to them. */
export function addRecoveryRoutes(
  server: FastifyInstance,
  runs: RecoveryRuns,
  keeper: Gatekeeper,
): void {
  const report = (run: RecoveryRun): RecoveryReport =>
    reportOf(run, runs.propagatedAtMs(run), (index) => runs.detailOf(run, index));
  server.get<Asked>("/v1/recoveryplans", ({ query }, reply) => {
    const request = parsePageRequest(query);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(
          runs.plans(),
          request,
          ({ name }) => name,
          (view) => view,
        );
  });
  server.get<Asked>("/v1/recoveryruns", ({ query }, reply) => {
    const request = parsePageRequest(query);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(runs.runs().map(report), request, ({ name }) => name, rowOf);
  });
  server.get<Asked>("/v1/recoveryreport", (request) => {
    const { namespace = "default", run = "", page } = request.query;
    const caller = keeper.callerOf(request);
    const target = { kind: "RecoveryPlan", namespace };
    if (!caller.may("get", target)) throw denied(caller, "get", { ...target, name: run });
    const found = report(runs.find(namespace, run));
    return page === "true" ? { ...found, page: renderReportPage(found, Date.now()) } : found;
  });
  const begin = async (body: unknown, caller: Caller): Promise<RecoveryReport> => {
    const mode = member(body, "mode") ?? "graceful";
    if (mode !== "graceful" && mode !== "ungraceful")
      throw refused(`mode is ${JSON.stringify(mode)}, expected "graceful" or "ungraceful"`);
    const wanted: RunMode = mode;
    const [namespace, plan] = [text(body, "namespace", "default"), text(body, "plan")];
    const breakGlass = member(body, "breakGlass") === true;
    const sinceMs = sinceOf(member(body, "since"));
    const asked = {
      namespace,
      plan,
      mode: wanted,
      reason: text(body, "reason"),
      sinceMs,
      breakGlass,
    };
    return report(await runs.begin(asked, caller));
  };
  const order = async (
    body: unknown,
    caller: Caller,
    orders: readonly RunOrder[],
  ): Promise<RecoveryReport> => {
    const wanted = member(body, "order");
    const found = orders.find((each) => each === wanted);
    if (found === undefined)
      throw refused(`order is ${JSON.stringify(wanted)}, expected one of ${orders.join(", ")}`);
    const step = member(body, "step") === undefined ? undefined : text(body, "step");
    const asked: Order = {
      order: found,
      step,
      actor: caller.subject,
      reason: text(body, "reason"),
    };
    const [namespace, run] = [text(body, "namespace", "default"), text(body, "run")];
    return report(await runs.order(namespace, run, asked, caller));
  };
  server.post("/v1/recoveryruns", (request) => begin(request.body, keeper.callerOf(request)));
  server.put("/v1/recoveryruns", (request) =>
    order(request.body, keeper.callerOf(request), ownOrders),
  );
  server.post("/v1/recoveryapprovals", (request) =>
    order(request.body, keeper.callerOf(request), approvals),
  );
}

function rowOf({ steps, phases: _, events: __, ...report }: RecoveryReport): object {
  const current = steps.filter(({ state }) => ["running", "undoing", "failed"].includes(state));
  return {
    ...report,
    steps: steps.length,
    done: steps.filter(({ state }) => state === "done" || state === "skipped").length,
    current: current.map(({ name, detail }) => `${name}: ${detail}`).join("; "),
  };
}

function text(body: unknown, name: string, usual?: string): string {
  const value = member(body, name) ?? usual;
  if (typeof value === "string" && value.trim() !== "" && value.length <= TEXT_LENGTH_MAX)
    return value;
  throw refused(`${name} is missing, expected text of 1 to ${TEXT_LENGTH_MAX} characters`);
}

function sinceOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const atMs = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isFinite(atMs)) return atMs;
  throw refused(`since is ${JSON.stringify(value)}, expected a time such as 2026-01-31T12:00:00Z`);
}

function refused(what: string): RequestRefusal {
  return new RequestRefusal("REQUEST_INVALID", `Cannot change recovery runs: ${what}`);
}
