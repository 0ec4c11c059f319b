// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { limits } from "@meridian/model";
import { RefusalLog } from "./access/refusal-log.ts";
import { Api } from "./api.ts";
import { DocumentService } from "./documents/document-service.ts";
import { consistencyKey } from "./http/consistency-key.ts";
import { openStore } from "./store/open-store.ts";
import { DiskPersistence } from "./disk-persistence.ts";
import type { EdgeFigures } from "@meridian/snapshot/surface";
import { Embedded } from "./embedded.ts";
import type { Shift } from "./shift-effects.ts";
import { StateDir } from "@meridian/snapshot/disk";
import { makeRolloutKeeper } from "./testing/rollout-fixture.ts";
import { WeightOverrides } from "./weights/weight-overrides.ts";
import { DrillKeeper } from "./drills/drill-keeper.ts";
import { Secrets } from "./secrets/secrets.ts";
import { Approvals } from "./approvals/approvals.ts";
import { RoutingControls } from "./routing/routing-controls.ts";
import { StateDocuments } from "./state/state-documents.ts";
import { silent } from "./testing/control-fixture.ts";
import { makeRecoveryRuns } from "./testing/recovery-fixture.ts";
import { makeSecondaryKeeper } from "./testing/secondary-keeper-fixture.ts";
import { makeZoneKeeper } from "./testing/zone-keeper-fixture.ts";
import { makeNotifier } from "./testing/notifier-fixture.ts";
import { TransitionHistory } from "@meridian/health";

const POOLS = 5;
const documents = Array.from(
  { length: POOLS },
  (_, at) => `
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: p${at}}
spec: {members: {one: {address: 192.0.2.${at + 1}}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: r${at}}
spec: {name: r${at}.example.org, pool: p${at}}
---`,
).join("");
const zone = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: example}
spec: {origin: example.org, nameServers: [{name: ns.example.org, addresses: [192.0.2.53]}]}
`;

const noFigures: EdgeFigures = {
  totals: {},
  rcodes: {},
  zones: new Float64Array(0),
  policies: new Float64Array(0),
  pools: new Float64Array(0),
  endpoints: new Float64Array(0),
  nodes: new Float64Array(0),
  branches: new Float64Array(0),
  audiences: new Float64Array(0),
  transport: "none",
  workers: [],
  addresses: [],
};

type Ask = (
  method: string,
  path: string,
  body?: string,
) => Promise<{ code: number; json: unknown }>;

async function running(context: TestContext): Promise<Ask> {
  const folder = mkdtempSync(join(tmpdir(), "meridian-api-"));
  writeFileSync(join(folder, "model.yaml"), documents + zone);
  const directory = new StateDir(join(folder, "state"));
  directory.lock();
  const persistence = new DiskPersistence(directory, silent, () => Date.now());
  persistence.saveShifts(almostAllShifts());
  const embedded = new Embedded({
    files: [join(folder, "model.yaml")],
    edge: { publish: () => {} },
    logger: silent,
    persistence,
    probing: false,
    allowEmpty: false,
    vantage: "test",
  });
  const store = await openStore(
    { kind: "sqlite", path: join(folder, "store.sqlite"), isReadOnly: false },
    () => {},
  );
  const service = new DocumentService(() => store, embedded);
  const transitions = new TransitionHistory();
  const state = new StateDocuments(service);
  const routing = new RoutingControls(state, Date.now, () => Promise.resolve(true));
  const weights = new WeightOverrides(state, () => Promise.resolve());
  const notifier = makeNotifier(embedded, service, transitions, folder);
  const api = new Api({
    embedded,
    documents: service,
    notifier,
    handOvers: { figures: { running: 0, done: 0, seconds: 0, confirmedAgeMs: undefined } },
    rollouts: makeRolloutKeeper(embedded, state, weights, notifier),
    zoneKeys: makeZoneKeeper(embedded, service, folder),
    secondaries: makeSecondaryKeeper(embedded, service),
    approvals: new Approvals(state, Date.now),
    weights,
    drills: new DrillKeeper({
      ...{ state, embedded, off: () => [], leading: () => ({}) },
      secrets: new Secrets(folder, {}),
      ...{ logger: silent, nowMs: Date.now },
    }),
    routing,
    recovery: makeRecoveryRuns({ embedded, documents: service, routing, weights, folder }),
    documentStore: () => store,
    refusals: new RefusalLog(join(folder, "audit")),
    consistencyKey: () => consistencyKey(folder),
    edge: { figures: () => noFigures, topNames: () => [] },
    transitions,
    journal: persistence.journal,
    store: persistence.store,
    version: "test",
    http: undefined,
    socketPath: directory.socketPath,
  });
  await embedded.start();
  await api.start();
  context.after(async () => {
    await Promise.all([api.close(), embedded.close()]);
    await store.close();
    persistence.close();
    directory.unlock();
    rmSync(folder, { recursive: true });
  });
  return asker(directory.socketPath);
}

/** One fewer than there may be. */
function almostAllShifts(): Shift[] {
  return Array.from({ length: limits.shiftsMax - 1 }, (_, at) => ({
    id: `shift-${at}`,
    target: "pool/default/p1",
    percent: 1,
    reason: "test",
    actor: "test",
    createdAtMs: Date.now(),
    expiresAtMs: Date.now() + 3_600_000,
  }));
}

function asker(socketPath: string): Ask {
  return async (method, path, body) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const asked = request({ socketPath, path, method, agent: false, headers });
    const answered = Promise.withResolvers<IncomingMessage>();
    asked.on("response", answered.resolve);
    asked.on("error", answered.reject);
    asked.end(body);
    const response = await answered.promise;
    const text = Buffer.concat(await response.toArray()).toString();
    const json: unknown = JSON.parse(text);
    return { code: response.statusCode ?? 0, json };
  };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function shift(more: object): string {
  return JSON.stringify({ target: "pool/default/p0", reason: "test", expiresIn: "1h", ...more });
}

test("lists come in pages; numbers of shifts and sizes of requests are bounded, and refusals name the field", async (context) => {
  const ask = await running(context);

  for (const [kind, field] of [
    ["records", "name"],
    ["pools", "pool"],
    ["endpoints", "endpoint"],
  ] as const) {
    const names: unknown[] = [];
    let pages = 0;
    for (let token: string | undefined = ""; token !== undefined; pages++) {
      const { json } = await ask("GET", `/v1/${kind}?limit=2&continue=${token}`);
      const items = memberOf(json, "items");
      assert.ok(Array.isArray(items));
      names.push(...items.map((item: unknown) => memberOf(item, field)));
      const next = memberOf(json, "continue");
      token = typeof next === "string" ? next : undefined;
    }
    assert.equal(pages, 3, kind);
    assert.equal(new Set(names).size, POOLS, kind);
  }

  const refusals: readonly (readonly [string, string, string | undefined, number, RegExp])[] = [
    ["GET", "/v1/records?limit=many", undefined, 400, /^Limit is "many", expected/],
    ["GET", "/v1/records?continue=x", undefined, 400, /^Continue is "x", expected/],
    ["GET", "/v1/top/names?count=-1", undefined, 400, /^Parameter "count" is "-1", expected/],
    ["GET", `/v1/explain?name=${"a".repeat(2000)}`, undefined, 400, /^Parameter "name" has 2000 /],
    ["GET", "/v1/nothing", undefined, 404, /^Nothing is at GET \/v1\/nothing$/],
    ["POST", "/v1/shifts", "{", 400, /^Cannot read the request: Body /],
    ["POST", "/v1/shifts", JSON.stringify("a".repeat(2 ** 20)), 413, /body is too large, expected/],
    ["POST", "/v1/shifts", shift({ reason: "a".repeat(1025) }), 400, /^Reason is "a+… \(1027 /],
    ["POST", "/v1/shifts", shift({ actor: "a".repeat(257) }), 400, /^Actor is "a+… \(259 /],
    ["POST", "/v1/shifts", shift({ target: `pool/${"a".repeat(600)}` }), 400, /^Target is "pool/],
    ["POST", "/v1/shifts", shift({ percent: "all" }), 400, /^Percent is "all", expected/],
    ["POST", "/v1/shifts", shift({ expiresIn: "1w" }), 400, /^Expiry is "1w", expected/],
  ];
  for (const [method, path, body, code, wording] of refusals) {
    const answer = await ask(method, path, body);
    assert.equal(answer.code, code, path);
    assert.match(String(memberOf(answer.json, "error")), wording);
  }

  assert.equal((await ask("POST", "/v1/shifts", shift({}))).code, 200);
  const full = await ask("POST", "/v1/shifts", shift({}));
  assert.equal(full.code, 409);
  assert.match(String(memberOf(full.json, "error")), /: 1000 shifts are running, expected fewer;/);
});
