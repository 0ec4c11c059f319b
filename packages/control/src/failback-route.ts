// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance } from "fastify";
import { failbackAct } from "./approvals/target-act.ts";
import type { ShiftRoutes } from "./shift-routes.ts";

/** Latches that a refusal names. */
const LATCHES_NAMED_MAX = 20;

/** Has failover nodes go back to their first tier. */
export function addFailbackRoute(
  server: FastifyInstance,
  { embedded, approvals, keeper }: Pick<ShiftRoutes, "embedded" | "approvals" | "keeper">,
): void {
  server.post<{ Querystring: Record<string, string> }>("/v1/failback", async (asked, reply) => {
    const { node = "", reason, breakGlass } = asked.query;
    const known = embedded.latches().map(({ name }) => name);
    // Nobody is asked to approve what cannot be done.
    if (known.includes(node)) {
      const options = { reason, breakGlass: breakGlass === "true" };
      await approvals.allow(failbackAct(embedded.model, node), keeper.callerOf(asked), options);
      if (await embedded.failback(node)) return { node };
    }
    const named = known.slice(0, LATCHES_NAMED_MAX).join(", ") || "none here";
    return reply.code(404).send({
      error: `No failover node "${node}" holds a latch, expected one of: ${named}`,
    });
  });
}
