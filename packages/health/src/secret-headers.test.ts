// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultHttpFields, defaultTiming, type CheckSpec, type ProbeTarget } from "./check.ts";
import type { ProbeResult } from "./probe.ts";
import { heldProbe, secretsIn, withSecrets } from "./secret-headers.ts";

const http: CheckSpec = {
  kind: "http",
  ...defaultTiming,
  ...defaultHttpFields,
  headers: { "X-A": "1" },
};
const secret: CheckSpec = { ...http, secretHeaders: { Authorization: "shop/file/token" } };
const target = (key: string, check: CheckSpec): ProbeTarget => ({
  ...{ key, check, checkName: "shop/web", address: "192.0.2.1", port: 80 },
});
const plan = { targets: [target("a", http), target("b", secret), target("c", secret)], rules: [] };

test("secretsIn() lists what a plan names", () => {
  assert.deepEqual(secretsIn(plan), new Set(["shop/file/token"]));
});

test("withSecrets() puts values in, for targets of one check once", () => {
  const filled = withSecrets(plan, new Map([["shop/file/token", "Bearer x"]]));
  const [a, b, c] = filled.targets;
  assert.equal(a?.check, http);
  assert.deepEqual(b?.check, { ...http, headers: { "X-A": "1", Authorization: "Bearer x" } });
  assert.equal(b?.check, c?.check);
  assert.deepEqual(secretsIn(filled), new Set());
});

test("what lacks a secret, or has one that no header may hold, is held and says which", () => {
  for (const value of [undefined, "two\r\nX-B: lines", ""]) {
    const secrets = new Map(value === undefined ? [] : [["shop/file/token", value]]);
    const [, held] = withSecrets(plan, secrets).targets;
    const probe = heldProbe(held?.check ?? http);
    let result: ProbeResult | undefined;
    probe?.run((found) => (result = found));
    assert.deepEqual(result, { outcome: "hold", reason: "the secret shop/file/token is not here" });
  }
  assert.equal(heldProbe(http), undefined);
});
