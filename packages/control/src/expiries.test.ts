// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiFixture } from "./testing/api-fixture.ts";

test("metrics say how long tokens hold, and a rule of Prometheus can tell those about to end", async (t) => {
  const api = await ApiFixture.start(t, {});
  const names: string[] = [];
  for (const expiresIn of ["24h", "1h"]) {
    const body = { subject: "ci", roles: ["viewer"], expiresIn };
    names.push((await api.local("POST", "/v1/tokens", { body })).body.name);
  }
  const { text } = await api.local("GET", "/metrics");
  const seconds = [
    ...text.matchAll(/^meridian_expires_seconds\{subject="token\/(\w+)"\} (\S+)$/gm),
  ];
  assert.deepEqual(
    seconds.map(([, name]) => name),
    names.toReversed(),
  );
  const [hour, day] = seconds.map(([, , value]) => Number(value));
  assert.ok(hour !== undefined && hour > 0 && hour <= 3600, String(hour));
  assert.ok(day !== undefined && day > 80_000 && day <= 86_400, String(day));
});
