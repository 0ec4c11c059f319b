// SPDX-License-Identifier: Apache-2.0

import type { FastifyInstance } from "fastify";
import { openApi } from "./openapi.ts";
import { referencePage } from "./reference-page.ts";

/** The description of the API for programs, and the same for people. */
export function addDescriptionRoutes(server: FastifyInstance, version: string): void {
  let description: object | undefined;
  const made = (): object => (description ??= openApi(version));
  server.get("/v1/openapi.json", () => made());
  server.get("/v1/reference", (_request, reply) =>
    reply
      .type("text/html; charset=utf-8")
      .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
      .send(referencePage(version)),
  );
}
