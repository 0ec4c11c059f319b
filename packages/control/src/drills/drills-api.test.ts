// SPDX-License-Identifier: Apache-2.0

// Drills over the API and against something that answers as Prometheus does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiFixture } from "../testing/api-fixture.ts";
import { prometheusOf } from "../testing/two-places.ts";

const apiVersion = "meridian.dev/v1alpha1";
const files = {
  "zone.yaml": `apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.net}]}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: web}
spec: {members: {one: {address: 192.0.2.1}, two: {address: 192.0.2.2}}}
`,
};

test("a drill shifts, ends as its alarms say, gives way to people, and is recorded", async (t) => {
  let errors: number | undefined = 0;
  const url = await prometheusOf(t, () => errors);
  const api = await ApiFixture.start(t, files);
  const drill = {
    ...{ apiVersion, kind: "Drill", metadata: { name: "one" } },
    spec: {
      target: "endpoint/default/web/one",
      ...{ lasts: "10m", every: "1h" },
      outcomeAlarms: { errors: { source: { url }, query: "errors", max: 0.01 } },
    },
  };
  // A drill takes traffic away from what it names, whoever's that is.
  const token = await api.tokenOf("writer", [{ verbs: ["apply"], kinds: ["Drill"] }]);
  assert.equal((await api.http("POST", "/v1/apply", { body: [drill], token })).status, 403);
  assert.equal((await api.local("POST", "/v1/apply", { body: [drill] })).status, 200);
  /** Some steps, with alarms asked anew. */
  const go = async (aheadMs: number): Promise<string> => {
    for (let step = 0; step < 4; step++) {
      api.aheadMs += step === 0 ? aheadMs : 6000;
      await api.drills.look();
    }
    return (await api.local("GET", "/v1/drills")).text;
  };
  const order = (wanted: string, reason = "") =>
    api.local("POST", "/v1/drills/default/one", { body: { order: wanted, reason } });
  const shifts = async (): Promise<string> => (await api.local("GET", "/v1/shifts")).text;

  assert.match(await go(0), /"state":"idle"/);
  assert.match(await go(3_600_000), /"state":"running"/);
  assert.match(await shifts(), /"precedence":"drill"/);
  assert.match(await go(600_000), /"state":"idle".*"outcome":"succeeded"/);
  assert.match(await shifts(), /"items":\[\]/);

  assert.equal((await order("run")).status, 200);
  assert.match(await go(0), /"state":"running"/);
  assert.match((await order("run")).body.error, /it is running already/);
  errors = undefined;
  assert.match(
    await go(0),
    /"outcome":"failed","reason":"alarm errors is red: the query gives no series"/,
  );
  assert.equal(api.drills.alerts()[0]?.event, "drill-failed");
  assert.match((await order("run")).body.error, /outcome alarm errors is red/);

  errors = 0;
  api.aheadMs += 6000;
  assert.equal((await order("run")).status, 200);
  assert.match(await go(0), /"state":"running"/);
  const body = { target: "endpoint/default/web/one", percent: 10, reason: "r", expiresIn: "24h" };
  assert.equal((await api.local("POST", "/v1/shifts", { body })).status, 200);
  assert.match(
    await go(0),
    /"outcome":"interrupted","reason":"shift [0-9a-f]+ of the same target began"/,
  );
  assert.match(await shifts(), /"items":\[[^\]]*"manual"[^\]]*\]/);
  await api.local("DELETE", `/v1/shifts?target=${body.target}`);

  assert.equal((await order("run")).status, 200);
  assert.match(await go(0), /"state":"running"/);
  assert.equal((await order("cancel", "the phone rings")).status, 200);
  assert.match(await go(0), /"reason":"local: the phone rings"/);
  assert.match((await order("cancel")).body.error, /it is not running/);

  assert.equal((await order("run")).status, 200);
  await go(0);
  assert.equal((await api.local("DELETE", "/v1/documents/Drill/default/one")).status, 200);
  await go(0);
  assert.match(await shifts(), /"items":\[\]/);
  assert.equal((await order("run")).status, 404);
});
