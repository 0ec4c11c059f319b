// SPDX-License-Identifier: Apache-2.0
import { MeridianError, reasonOf } from "@meridian/core";
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance, FastifyReply } from "fastify";
import { bindKeyFiles } from "./bind-key-files.ts";
import type { KeyRole } from "./rolled-key.ts";
import type { ZoneKeeper } from "./zone-keeper.ts";
import { signedZoneView, type SignedZoneView } from "./zone-views.ts";

const roles: readonly KeyRole[] = ["ksk", "zsk", "csk"];

interface Query {
  Querystring: Record<string, string>;
}

/** What is known of signed zones, and orders to their keys. */
export function addDnssecRoutes(server: FastifyInstance, keeper: ZoneKeeper): void {
  server.get<Query>("/v1/dnssec", ({ query }, reply) => {
    const { zone, ...rest } = query;
    const request = parsePageRequest(rest);
    if (typeof request === "string") return reply.code(400).send({ error: request });
    return pageOf(
      viewsOf(keeper, zone),
      request,
      ({ name }) => name,
      (view) => view,
    );
  });
  server.post<Query>("/v1/dnssec/roll", async ({ query }, reply) => {
    const role = roles.find((each) => each === query["role"]);
    if (role === undefined && query["role"] !== undefined)
      return reply.code(400).send({
        error: `Parameter "role" is "${query["role"]}", expected one of ${roles.join(", ")}`,
      });
    return guarded(reply, async () => {
      const zone = originOf(query["zone"]);
      return { zone, rolls: await keeper.roll(zone, role) };
    });
  });
  server.post<Query>("/v1/dnssec/export", ({ query }, reply) =>
    guarded(reply, () => {
      const origin = originOf(query["zone"]);
      const { zone } = keeper.found(origin);
      const files = zone.keys.flatMap((key) =>
        bindKeyFiles(origin, key, keeper.privateKey(origin, key)),
      );
      return Promise.resolve({ zone: origin, files });
    }),
  );
}

function viewsOf(keeper: ZoneKeeper, zone: string | undefined): SignedZoneView[] {
  const wanted = zone === undefined ? undefined : originOf(zone);
  return [...keeper.zones].flatMap(([origin, { zone: stored }]) =>
    stored.keys.length === 0 || (wanted !== undefined && wanted !== origin)
      ? []
      : [signedZoneView(origin, stored, keeper.isParentHeard(origin))],
  );
}

/** A zone as it is called, of a view or not, with or without the last dot of its origin. */
function originOf(text: string | undefined): string {
  const lower = (text ?? "").toLowerCase();
  return lower === "." ? lower : lower.replace(/(?<=.)\.(?=$|@)/, "");
}

async function guarded(reply: FastifyReply, work: () => Promise<object>): Promise<object> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MeridianError) || error.causedBy !== "user") throw error;
    const status = error.code === "DNSSEC_UNKNOWN_ZONE" ? 404 : 400;
    return reply.code(status).send({ error: reasonOf(error) });
  }
}
