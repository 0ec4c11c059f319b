// SPDX-License-Identifier: Apache-2.0
import { MeridianError } from "@meridian/core";
import type { FastifyInstance } from "fastify";
import type { Embedded } from "./embedded.ts";
import type { LatencySamples } from "./latency-samples.ts";

/**
 * `POST /v1/latency?dataSet=NAME`: measured round-trip times, as `text/csv` with the columns of a latency data set or as a JSON array of
 * objects with them.
 */
export function addLatencyRoute(
  server: FastifyInstance,
  embedded: Embedded,
  latency: LatencySamples,
): void {
  server.addContentTypeParser("text/csv", { parseAs: "string" }, (_request, body, done) =>
    done(null, body),
  );
  server.post<{ Querystring: Record<string, string> }>("/v1/latency", ({ query, body }, reply) => {
    const name = query["dataSet"] ?? "";
    if (embedded.model?.dataSets.get(name)?.kind !== "latency") {
      const known = [...(embedded.model?.dataSets.values() ?? [])]
        .filter(({ kind }) => kind === "latency")
        .map((dataSet) => dataSet.name);
      return reply.code(404).send({
        error: `No latency data set "${name}", expected one of: ${known.join(", ") || "none here"}`,
      });
    }
    try {
      return { accepted: latency.accept(name, body) };
    } catch (error) {
      if (!(error instanceof MeridianError)) throw error;
      return reply.code(400).send({ error: error.message, code: error.code });
    }
  });
}
