// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Model } from "@meridian/model";
import { CAPACITY_SHIFT } from "@meridian/snapshot";
import { Embedded } from "../embedded.ts";
import { MemoryPersistence, modelOf, silent } from "../testing/control-fixture.ts";
import { secretsAt } from "../secrets/probe-secrets.ts";
import { PoolLoads, type EndpointLoad } from "./pool-loads.ts";

interface FakePrometheus {
  readonly url: string;
  /** Queries in the order in which they came. */
  readonly asked: string[];
  /** How they were logged in. */
  readonly logins: (string | undefined)[];
  /** By query: what its samples say of endpoints, a whole answer, or nothing ever. */
  readonly answers: Map<string, readonly (readonly [string, string])[] | string | undefined>;
}

/** Answers in the form of Prometheus, or never. */
async function startPrometheus(t: TestContext): Promise<FakePrometheus> {
  const fake = {
    ...{ url: "", asked: [] as string[], logins: [] as (string | undefined)[] },
    answers: new Map() as FakePrometheus["answers"],
  };
  const server = createServer((request, response) => {
    void (async () => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(Buffer.from(piece as Uint8Array));
      const query = new URLSearchParams(Buffer.concat(pieces).toString()).get("query") ?? "";
      fake.asked.push(query);
      fake.logins.push(request.headers.authorization);
      const answer = fake.answers.get(query);
      if (answer === undefined) return;
      if (typeof answer === "string") {
        response.writeHead(503).end(answer);
        return;
      }
      const result = answer.map(([endpoint, value]) => ({
        metric: { __name__: "busy", endpoint },
        value: [1_700_000_000.123, value],
      }));
      response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  fake.url = `http://127.0.0.1:${address.port}`;
  return fake;
}

interface PoolText {
  readonly name: string;
  readonly namespace?: string;
  readonly members: string;
  readonly load?: string;
}

function poolsOf(...pools: readonly PoolText[]): Model["pools"] {
  const text = pools
    .map(({ name, namespace = "default", members, load }) => {
      const rest = load === undefined ? "" : `, load: ${load}`;
      return `
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: ${name}, namespace: ${namespace} }
spec: { members: { ${members} }${rest} }
`;
    })
    .join("---");
  return modelOf(text).pools;
}

interface Running {
  readonly loads: PoolLoads;
  readonly read: EndpointLoad[];
  readonly logged: string[];
  /** Where secrets are. */
  readonly environment: Record<string, string>;
}

function makeLoads(t: TestContext, questionMsMax = 30_000): Running {
  const read: EndpointLoad[] = [];
  const logged: string[] = [];
  const log = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const environment: Record<string, string> = {};
  const loads = new PoolLoads({
    secrets: secretsAt({ folder: "/nonexistent", environment }),
    onLoads: (some) => read.push(...some),
    logger: { info: log, warn: log, error: log },
    random: () => 0,
    ...{ intervalMsMin: 10, questionMsMax },
  });
  t.after(() => loads.close());
  return { loads, read, logged, environment };
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `${what}, within a minute`);
    await sleep(5);
  }
}

const members = "a: { address: 192.0.2.1 }, b: { address: 192.0.2.2 }";

test("PoolLoads reads one load a member from one question, and says once what is missing", async (t) => {
  const prometheus = await startPrometheus(t);
  const { loads, read, logged } = makeLoads(t);
  const load = `{ prometheus: { url: "${prometheus.url}", query: busy }, interval: 20ms, scale: 100 }`;
  prometheus.answers.set("busy", [
    ["a", "80"],
    ["b", "5"],
    ["other", "1"],
  ]);
  loads.follow(poolsOf({ name: "gpu", members, load }, { name: "plain", members }));
  await until(() => read.length > 0, "loads are read");
  assert.deepEqual(read.slice(0, 2), [
    ["endpoint/default/gpu/a", 0.8],
    ["endpoint/default/gpu/b", 0.05],
  ]);
  assert.deepEqual([loads.conditions(), logged], [[], []]);

  const conditionIs = (wanted: RegExp): Promise<void> =>
    until(() => wanted.test(loads.conditions()[0]?.message ?? ""), `condition ${wanted.source}`);
  for (const bad of ["NaN", "-1", "+Inf"]) {
    prometheus.answers.set("busy", [
      ["a", "50"],
      ["b", bad],
    ]);
    await conditionIs(/^Cannot read loads: 1 of 2 members .*: "b"$/);
    read.length = 0;
    await until(() => read.length > 1, "the other one is read");
    assert.deepEqual([...new Set(read.map(([key]) => key))], ["endpoint/default/gpu/a"]);
    prometheus.answers.set("busy", []);
    await conditionIs(/the query gives no series/);
  }
  prometheus.answers.set("busy", [
    ["a", "50"],
    ["a", "60"],
    ["b", "1"],
  ]);
  await conditionIs(/1 of 2 members .*: "a"$/);
  prometheus.answers.set("busy", "overloaded");
  await conditionIs(/answered 503/);
  const { length } = prometheus.asked;
  await until(() => prometheus.asked.length > length + 1, "it is asked again");
  assert.equal(logged.filter((line) => line.includes("503")).length, 1);
  prometheus.answers.set("busy", [
    ["a", "50"],
    ["b", "50"],
  ]);
  await until(() => loads.conditions().length === 0, "all is well");
  assert.match(logged.at(-1) ?? "", /^Loads of a pool are read again .*"default\/gpu"/);
});

test("PoolLoads logs in with the secrets of the pool's own namespace, as they are then, and tells nobody of them", async (t) => {
  const prometheus = await startPrometheus(t);
  const { loads, read, logged, environment } = makeLoads(t);
  for (const query of ["token", "basic"])
    prometheus.answers.set(query, [
      ["a", "0.5"],
      ["b", "0.5"],
    ]);
  const loadOf = (query: string, login: string): string =>
    `{ prometheus: { url: "${prometheus.url}", query: ${query}, ${login} }, interval: 20ms }`;
  const place = { namespace: "shop", members };
  loads.follow(
    poolsOf(
      { ...place, name: "one", load: loadOf("token", "token: { env: METRICS }") },
      {
        ...{ ...place, name: "two" },
        load: loadOf("basic", "basic: { user: me, password: { env: METRICS } }"),
      },
    ),
  );
  await until(() => loads.conditions().length === 2, "the secret is missed");
  assert.match(loads.problemOf("shop/one") ?? "", /MERIDIAN_SECRET_SHOP__METRICS is not set/);
  assert.deepEqual([prometheus.asked, read], [[], []], "nothing is asked without it");

  environment["MERIDIAN_SECRET_DEFAULT__METRICS"] = "of-others";
  environment["MERIDIAN_SECRET_SHOP__METRICS"] = "opensesame";
  await until(() => loads.conditions().length === 0, "loads are read");
  const basic = `Basic ${Buffer.from("me:opensesame").toString("base64")}`;
  assert.deepEqual(new Set(prometheus.logins), new Set(["Bearer opensesame", basic]));
  environment["MERIDIAN_SECRET_SHOP__METRICS"] = "changed";
  await until(() => prometheus.logins.includes("Bearer changed"), "the new one is used");
  assert.doesNotMatch(logged.join("\n"), /opensesame|of-others|changed/);
});

test("a pool's Prometheus takes a token or a name and password, not both", () => {
  const both = "token: { env: A }, basic: { user: me, password: { env: B } }";
  const load = `{ prometheus: { url: "http://192.0.2.1", query: up, ${both} } }`;
  assert.throws(() => poolsOf({ name: "one", members, load }), /nothing beside token/);
});

test("a Prometheus that never answers holds up its own pool alone", async (t) => {
  const hung = await startPrometheus(t);
  const prometheus = await startPrometheus(t);
  const { loads, read } = makeLoads(t, 500);
  const ask = (url: string): string =>
    `{ prometheus: { url: "${url}", query: busy }, interval: 20ms }`;
  prometheus.answers.set("busy", [["a", "0.5"]]);
  const one = "a: { address: 192.0.2.1 }";
  const hanging = Array.from({ length: 8 }, (_, at) => ({
    ...{ name: `hung${at}`, namespace: "noisy", members: one, load: ask(hung.url) },
  }));
  loads.follow(
    poolsOf(
      ...hanging,
      { name: "well", members: one, load: ask(prometheus.url) },
      { name: "hung", members: one, load: ask(hung.url) },
    ),
  );
  await until(() => read.length >= 3, "the other pool is read");
  assert.deepEqual(new Set(read.map(([key]) => key)), new Set(["endpoint/default/well/a"]));
  await until(
    () => loads.conditions().some(({ subject }) => subject === "pool/default/hung"),
    "it is said",
  );
  assert.equal(loads.problemOf("default/well"), undefined);
  assert.match(loads.conditions()[0]?.message ?? "", /did not answer in time/);
});

test("PoolLoads asks for what is declared now, and no more once it is closed", async (t) => {
  const prometheus = await startPrometheus(t);
  const { loads, read } = makeLoads(t);
  const ask = (query: string): string =>
    `{ prometheus: { url: "${prometheus.url}", query: ${query} }, interval: 20ms }`;
  for (const query of ["first", "second"])
    prometheus.answers.set(query, [
      ["a", "0.5"],
      ["b", "1"],
    ]);
  loads.follow(poolsOf({ name: "gpu", members, load: ask("first") }));
  await until(() => read.length > 0, "loads are read");
  const { length } = prometheus.asked;
  loads.follow(
    poolsOf({ name: "gpu", members: `${members}, c: { address: 192.0.2.3 }`, load: ask("first") }),
  );
  await until(() => loads.conditions().length > 0, "the new member is missed");
  assert.ok(prometheus.asked.length > length, "at its own pace");
  loads.follow(poolsOf({ name: "gpu", members, load: ask("second") }));
  await until(() => prometheus.asked.includes("second"), "the other query is asked");
  const seconds = prometheus.asked.length;
  await until(() => prometheus.asked.length > seconds + 3, "again and again");
  // One of the other may have been on its way.
  assert.ok(!prometheus.asked.slice(seconds + 1).includes("first"));
  loads.follow(poolsOf({ name: "gpu", members }));
  loads.close();
  read.length = 0;
  const after = prometheus.asked.length;
  await sleep(200);
  assert.ok(prometheus.asked.length <= after + 1);
  assert.deepEqual(read, []);
});

test("loads from Prometheus move the capacity factors of a served pool, and those that grow old do as `onNoData` says", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-pool-loads-"));
  const prometheus = await startPrometheus(t);
  prometheus.answers.set("busy", [
    ["a", "90"],
    ["b", "0"],
  ]);
  const file = join(folder, "model.yaml");
  writeFileSync(
    file,
    `
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: gpu }
spec:
  members: { ${members} }
  load: { prometheus: { url: "${prometheus.url}", query: busy }, interval: 1s, scale: 100 }
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: gpu }
spec:
  root: free
  nodes:
    free: { capacity: { branches: [{ pool: gpu }], maxStep: 1, onNoData: neutral, staleAfter: 3s } }
`,
  );
  const embedded = new Embedded({
    files: [file],
    edge: { publish: () => {} },
    logger: silent,
    persistence: new MemoryPersistence(),
    probing: true,
    allowEmpty: false,
    vantage: "test",
  });
  t.after(async () => {
    await embedded.close();
    rmSync(folder, { recursive: true });
  });
  await embedded.start();
  const factors = (): number[] =>
    [0, 1].map((slot) => (embedded.overlay.read(slot) >>> CAPACITY_SHIFT) & 0x3ff);
  await until(() => (factors()[0] ?? 1000) < 500, "the busy one has less");
  assert.equal(factors()[1], 1000);
  assert.deepEqual(embedded.conditions(), []);
  prometheus.answers.set("busy", "no");
  await until(() => embedded.conditions().length > 0, "what fails is a condition");
  await until(() => factors()[0] === 1000, "an old load does not count");
  assert.deepEqual(embedded.conditions(), [
    {
      subject: "pool/default/gpu",
      message: "Cannot read loads: the Prometheus server answered 503",
    },
  ]);
});
