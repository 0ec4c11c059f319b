// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { listedRoutes, routeNeed } from "../access/route-access.ts";
import { ApiFixture } from "../testing/api-fixture.ts";
import { apiOperations } from "./api-operations.ts";
import { openApi } from "./openapi.ts";
import { renderApiReference } from "./reference-page.ts";

test("the description is OpenAPI 3.1, by a validator of others", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate({ ...openApi("0.1.0") });
  assert.deepEqual([valid, errors], [true, undefined]);
  assert.equal(validator.version, "3.1");
});

test("every route under /v1 is described", () => {
  const described = new Set(
    apiOperations.map(
      ({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/\{([a-z]+)\}/g, ":$1")}`,
    ),
  );
  const describing = new Set(["GET /v1/openapi.json", "GET /v1/reference"]);
  const served = listedRoutes.filter((route) => route.includes(" /v1/"));
  const missing = served.filter((route) => !described.has(route) && !describing.has(route));
  assert.deepEqual(missing, []);
});

test("docs/reference/api.md is what the operations say", () => {
  const page = new URL("../../../../docs/reference/api.md", import.meta.url);
  const rendered = renderApiReference();
  if (process.env["UPDATE_TESTDATA"] === "1") writeFileSync(page, rendered);
  assert.equal(readFileSync(page, "utf8"), rendered, "run with UPDATE_TESTDATA=1");
});

test("every operation has a route that is guarded, and the description and its page are served to all", async (t) => {
  const api = await ApiFixture.start(t, {});
  for (const { method, path } of apiOperations) {
    const pattern = path.replaceAll(/\{([a-z]+)\}/g, ":$1");
    assert.ok(routeNeed(method.toUpperCase(), pattern) !== undefined, `${method} ${path}`);
    const answer = await api.local(method.toUpperCase(), path.replaceAll(/[{}]/g, ""), {
      body: {},
    });
    assert.ok(!answer.text.includes("Nothing is at"), `${method} ${path}`);
  }
  const page = await api.http("GET", "/v1/reference");
  assert.match(page.text, /<h2><code>POST \/v1\/apply/);
  assert.doesNotMatch(page.text, /(src|href)="(https?:)?\/\//);
  assert.equal((await api.http("GET", "/v1/openapi.json")).body.openapi, "3.1.0");
});
