// SPDX-License-Identifier: Apache-2.0

// Writes that are no documents (a shift, a fail-back, a reload) are in the audit chain too: as a change set that writes nothing but its
// cause. It is committed before the answer leaves.

import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { routeNeed } from "../access/route-access.ts";
import { member } from "../documents/document-key.ts";
import type { Store } from "../store/store.ts";
import type { Gatekeeper } from "./gatekeeper.ts";

/** What these routes write; pushes of verdicts and latencies come too often, and are no one's decision. */
const audited: ReadonlySet<string> = new Set(["drain", "undrain", "failback", "reload"]);
const BODY_LENGTH_MAX = 4096;

export class WriteAudit {
  readonly #store: Store;
  readonly #keeper: Gatekeeper;

  constructor(store: Store, keeper: Gatekeeper) {
    this.#store = store;
    this.#keeper = keeper;
  }

  install(server: FastifyInstance): void {
    server.addHook("onSend", async (request, reply, payload) => {
      const verb = routeNeed(request.method, request.routeOptions.url ?? "")?.verb;
      if (verb === undefined || !audited.has(verb) || reply.statusCode >= 400) return payload;
      if (member(request.body, "dryRun") === true) return payload;
      const { subject, token, address } = this.#keeper.callerOf(request);
      const asked = JSON.stringify({ query: request.query, body: request.body }) ?? "";
      const cause = {
        verb,
        who: {
          subject,
          ...(token === undefined ? {} : { token }),
          ...(address === "" ? {} : { address }),
        },
        asked: asked.slice(0, BODY_LENGTH_MAX),
      };
      try {
        await this.#store.commit({ id: randomUUID(), writes: [], cause: JSON.stringify(cause) });
      } catch (error) {
        // Moving traffic away must work when the store does not; that it is not audited shows in the log.
        request.log.error(error);
      }
      return payload;
    });
  }
}
