// SPDX-License-Identifier: Apache-2.0
import { MeridianError, reasonOf } from "@meridian/core";
import type { FastifyInstance } from "fastify";
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import { edgesOf } from "./control-peers.ts";
import type { EdgeView } from "./edge-hub.ts";
import type { EdgeGateway } from "./edge-gateway.ts";
import type { PublicationView } from "./publication-state.ts";

const NO_EDGES =
  'This process has no edges but its own, expected one that was started with "meridian control"';

/** The edges that have joined, or the one of a process that answers by itself, and invitations of more. */
export function addEdgeRoutes(
  server: FastifyInstance,
  gateway: () => EdgeGateway | undefined,
  ownEdge: () => EdgeView,
  publication: (revision: number | undefined) => Promise<PublicationView>,
): void {
  server.get<{ Querystring: Record<string, string> }>("/v1/publication", ({ query }, reply) => {
    const text = query["revision"];
    const revision = Number(text);
    if (text === undefined) return publication(undefined);
    if (!Number.isSafeInteger(revision) || revision < 0)
      return reply
        .code(400)
        .send({ error: `Parameter "revision" is "${text}", expected a whole number` });
    return publication(revision);
  });
  server.get<{ Querystring: Record<string, string> }>("/v1/controls", async ({ query }, reply) => {
    const statuses = (await gateway()?.controls()) ?? [];
    const request = parsePageRequest(query);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(
          statuses.map(({ control }) => control),
          request,
          ({ name }) => name,
          (control) => control,
        );
  });
  server.get<{ Querystring: Record<string, string> }>("/v1/edges", async ({ query }, reply) => {
    const statuses = await gateway()?.controls();
    const edges = statuses === undefined ? [ownEdge()] : edgesOf(statuses);
    const request = parsePageRequest(query);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(
          edges,
          request,
          ({ name }) => name,
          (edge) => edge,
        );
  });
  server.get<{ Querystring: Record<string, string> }>("/v1/shards", ({ query }, reply) => {
    const { zone, ...rest } = query;
    const shards = gateway()?.shards(zone?.toLowerCase().replace(/\.$/, "")) ?? [];
    const request = parsePageRequest(rest);
    return typeof request === "string"
      ? reply.code(400).send({ error: request })
      : pageOf(
          shards,
          request,
          ({ name }) => name,
          (shard) => shard,
        );
  });
  server.delete<{ Params: Record<string, string> }>(
    "/v1/edges/:name",
    async ({ params }, reply) => {
      const edges = gateway();
      if (edges === undefined) return reply.code(404).send({ error: NO_EDGES });
      const name = params["name"] ?? "";
      return (await edges.revoke(name))
        ? { revoked: name }
        : reply.code(404).send({ error: `No edge "${name}" has joined` });
    },
  );
  server.delete<{ Params: Record<string, string> }>(
    "/v1/controls/:name",
    async ({ params }, reply) => {
      const edges = gateway();
      if (edges === undefined) return reply.code(404).send({ error: NO_EDGES });
      const name = params["name"] ?? "";
      const isForgotten = await edges.forgetControl(name);
      if (isForgotten === "running")
        return reply
          .code(409)
          .send({ error: `Control "${name}" answers, expected one that is away` });
      return isForgotten
        ? { forgotten: name }
        : reply.code(404).send({ error: `No control "${name}" is known` });
    },
  );
  server.post("/v1/edges/invitations", async ({ body }, reply) => {
    const edges = gateway();
    if (edges === undefined) return reply.code(404).send({ error: NO_EDGES });
    const member = (name: string): unknown =>
      typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
    try {
      return await edges.invite(
        String(member("edge")),
        Number(member("forMs")),
        member("role") === "probe" ? "probe" : "edge",
      );
    } catch (error) {
      // Without a quorum nobody can be invited: a status of its own says so.
      if (!(error instanceof MeridianError) || error.code !== "EDGE_INVITATION_INVALID")
        throw error;
      return reply.code(400).send({ error: reasonOf(error) });
    }
  });
}
