// SPDX-License-Identifier: Apache-2.0

// Rollouts by what Debian's Prometheus measures of HTTP servers that it scrapes: a bad canary rolls itself back and its clients return; a
// good one goes on, also where its counters begin anew; and no data, NaN and a server that is down do what their fields say. Of 4,000
// clients none goes back while the canary's weight grows.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { RRType, ecsOption, encodeMessage, makeQuery, parseName } from "@meridian/dns";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { needs } from "../needs.ts";
import { addressesIn } from "./ask.ts";
import { ServerProcess, freePort, temporaryFolder, until } from "./process.ts";

const CLIENTS = 4000;
const AT_ONCE = 100;
const WAIT_MS_MAX = 60_000;
const [stable, canary] = ["192.0.2.1", "192.0.2.2"];

const document = (kind: string, name: string, spec: object): object => ({
  ...{ apiVersion: "meridian.dev/v1alpha1", kind, metadata: { name }, spec },
});

/** Counters of a service; half of what it answers is wrong where it is bad. */
interface Counters {
  requests: number;
  errors: number;
  readonly isBad: boolean;
}

/** Serves the counters, which grow with each scrape. */
async function service(t: TestContext, counters: Counters): Promise<string> {
  const server = createServer((_request, response) => {
    counters.requests += 100;
    counters.errors += counters.isBad ? 50 : 0;
    response.end(
      `# TYPE requests_total counter\nrequests_total ${counters.requests}\n# TYPE errors_total counter\nerrors_total ${counters.errors}\n`,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return `127.0.0.1:${address.port}`;
}

/** Debian's Prometheus, scraping these; its address. */
async function prometheus(
  t: TestContext,
  folder: string,
  targets: Readonly<Record<string, string>>,
): Promise<string> {
  const home = join(folder, "prometheus");
  mkdirSync(home);
  const jobs = Object.entries(targets).map(([job_name, target]) => ({
    job_name,
    static_configs: [{ targets: [target] }],
  }));
  const config = { global: { scrape_interval: "250ms" }, scrape_configs: jobs };
  // JSON is YAML.
  writeFileSync(join(home, "prometheus.yml"), JSON.stringify(config));
  const port = await freePort();
  const child = spawn(
    "prometheus",
    [
      `--config.file=${join(home, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(home, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  t.after(async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  await until("three scrapes of each service", WAIT_MS_MAX, async () => {
    const query = "count(count_over_time(requests_total[10s]) >= 3)";
    const asked = `${url}/api/v1/query?query=${encodeURIComponent(query)}`;
    const text = await fetch(asked).then(
      (answer) => answer.text(),
      () => "",
    );
    return text.includes(`"${jobs.length}"]`);
  });
  return url;
}

async function post(stateDir: string, path: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const socketPath = join(stateDir, "meridian.sock");
  const asked = request({ socketPath, path, method: "POST", headers });
  const answered = Promise.withResolvers<IncomingMessage>();
  asked.on("response", answered.resolve);
  asked.on("error", answered.reject);
  asked.end(JSON.stringify(body));
  const answer = await answered.promise;
  const text = Buffer.concat(await answer.toArray()).toString();
  assert.equal(answer.statusCode, 200, text);
}

/** Homes of the clients, each a /24 of its own. */
async function homes(client: DnsClient, name: string): Promise<string[]> {
  const wire = parseName(`${name}.e2e.example`);
  assert.ok(wire instanceof Uint8Array);
  const ask = async (index: number): Promise<string> => {
    const options = [ecsOption(Uint8Array.of(10, index >> 8, index & 255, 0), 24)];
    const query = encodeMessage(makeQuery(wire, RRType.A, { edns: { options } }));
    return addressesIn(await client.ask(query)).join();
  };
  const found: string[] = [];
  for (let from = 0; from < CLIENTS; from += AT_ONCE)
    found.push(
      ...(await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => ask(from + index)))),
    );
  return found;
}

const ratio = (job: string): string =>
  `sum(rate(errors_total{job="${job}"}[2s])) / sum(rate(requests_total{job="${job}"}[2s]))`;
const analysis = { success: { below: 0.1 }, interval: "300ms", count: 3 };

test(
  "rollouts go by what Prometheus measures, and no client goes back while the weight grows",
  { skip: needs("prometheus", "prometheus") },
  async (t) => {
    const folder = temporaryFolder(t);
    const good: Counters = { requests: 1e6, errors: 0, isBad: false };
    const targets = {
      good: await service(t, good),
      bad: await service(t, { requests: 0, errors: 0, isBad: true }),
    };
    const [url, dead] = [await prometheus(t, folder, targets), await freePort()];
    const steps = [{ setWeight: 30 }, { analysis: ["a"] }];
    const one = (fields: object, at: string = url): object => ({
      ...{ steps, prometheus: { url: at }, analyses: { a: { ...analysis, ...fields } } },
    });
    const rollouts: Readonly<Record<string, object>> = {
      good: {
        ...one({
          query: ratio("good"),
          minSamples: { query: 'sum(increase(requests_total{job="good"}[2s]))', count: 10 },
        }),
        steps: [
          ...[{ setWeight: 10 }, { pause: {} }, { setWeight: 40 }, { pause: {} }],
          ...[{ analysis: ["a"] }, { setWeight: 75 }, { pause: {} }],
        ],
      },
      bad: {
        ...one({ query: ratio("bad") }),
        steps: [{ setWeight: 30 }, { pause: {} }, { analysis: ["a"] }],
      },
      hold: one({ query: "nothing_of_this_name" }),
      fail: one({ query: "nothing_of_this_name", onNoData: "fail" }),
      nan: one({ query: "vector(0) / vector(0)", onNoData: "pass" }),
      down: one({ query: "up", errorLimit: 1 }, `http://127.0.0.1:${dead}`),
    };
    const names = Object.keys(rollouts);
    const branches = [
      { pool: "stable", weight: 1 },
      { pool: "canary", weight: 0 },
    ];
    const waves = [{ stable: { pool: "stable" }, canary: { pool: "canary" } }];
    const base = [
      document("Zone", "e2e.example", {
        origin: "e2e.example",
        ecsTrust: ["127.0.0.1/32"],
        nameServers: [{ name: "ns.e2e.example", addresses: ["127.0.0.1"] }],
      }),
      ...[stable, canary].map((address, index) =>
        document("Pool", ["stable", "canary"][index] ?? "", { members: { one: { address } } }),
      ),
      ...names.map((name) =>
        document("TrafficPolicy", name, { root: "v", nodes: { v: { sticky: { branches } } } }),
      ),
      ...names.map((name) =>
        document("Record", name, { name: `${name}.e2e.example`, policy: name }),
      ),
    ];
    const files = join(folder, "documents.yaml");
    writeFileSync(files, base.map((each) => JSON.stringify(each)).join("\n---\n"));
    const setup = { files, stateDir: join(folder, "state"), port: await freePort() };
    let server = await ServerProcess.start(t, setup);
    await server.whenLogged(/Compiled the files/);
    const client = await udpClient("127.0.0.1", setup.port);
    t.after(() => client.close());
    await post(
      setup.stateDir,
      "/v1/apply",
      Object.entries(rollouts).map(([name, spec]) =>
        document("Rollout", name, { ...spec, record: `${name}.e2e.example`, waves }),
      ),
    );
    const order = (verb: string, name: string): Promise<void> =>
      post(setup.stateDir, "/v1/rollouts", { verb, name });
    const standings = async (): Promise<ReadonlyMap<string, string>> => {
      const page: unknown = await server.api("/v1/rollouts");
      const items: unknown = Reflect.get(Object(page), "items");
      assert.ok(Array.isArray(items));
      return new Map(
        items.map((each: unknown) => {
          const of = (field: string): string => String(Reflect.get(Object(each), field));
          const last = JSON.stringify(Reflect.get(Object(each), "analyses"));
          return [
            of("name").slice("default/".length),
            `${of("phase")} ${of("weight")}: ${of("reason")} ${last}`,
          ];
        }),
      );
    };
    const stands = (name: string, wanted: RegExp): Promise<unknown> =>
      until(`${name} ${wanted.source}`, WAIT_MS_MAX, async () =>
        wanted.test((await standings()).get(name) ?? ""),
      );

    const before = await homes(client, "good");
    assert.deepEqual([...new Set(before)], [stable]);
    for (const name of names) await order("start", name);
    let last = before;
    // Answers follow what the store says a moment later.
    const grown = async (percent: number): Promise<void> => {
      await stands("good", new RegExp(`^(waiting|succeeded) ${percent}:`));
      await until(`${percent} % of the clients`, WAIT_MS_MAX, async () => {
        const now = await homes(client, "good");
        const back = now.filter((home, index) => last[index] === canary && home !== canary);
        assert.deepEqual(back, [], `at ${percent} %`);
        last = now;
        const share = now.filter((home) => home === canary).length;
        // Six standard deviations of 4,000 clients.
        return Math.abs(share - (CLIENTS * percent) / 100) < 6 * 32;
      });
    };
    const areHome = (name: string, wanted: readonly string[]): Promise<unknown> =>
      until(`${name} at ${wanted.join()}`, WAIT_MS_MAX, async () => {
        const found = new Set(await homes(client, name));
        return found.size === wanted.length && wanted.every((home) => found.has(home));
      });
    await areHome("bad", [stable, canary]);
    await order("promote", "bad");
    await grown(10);
    await order("promote", "good");
    await grown(40);
    // Whoever drives it is killed: what comes after it answers alike, and goes on.
    await server.kill();
    server = await ServerProcess.start(t, setup);
    const held = last;
    await until("clients where they were", WAIT_MS_MAX, async () =>
      isDeepStrictEqual(await homes(client, "good"), held),
    );
    // The service was started anew: its counters begin at 0.
    good.requests = 0;
    // A server answers from its state folder before it has read the documents that a promotion looks at.
    await until("a promotion after the start", WAIT_MS_MAX, () =>
      order("promote", "good").then(
        () => true,
        (error: unknown) => {
          if (!String(error).includes("nothing is served yet")) throw error;
          return false;
        },
      ),
    );
    await grown(75);
    await order("promote", "good");
    await grown(100);

    await stands("bad", /^aborted 0: analysis a failed: 0\.\d+ is not below 0\.1/);
    await areHome("bad", [stable]);
    await stands(
      "fail",
      /^aborted 0: analysis a failed: no data \(onNoData: fail\): the query gives no series/,
    );
    await stands("nan", /^succeeded 100:/);
    await stands(
      "down",
      /^aborted 0: analysis a could not be made: the Prometheus server cannot be reached/,
    );
    await stands("hold", /^progressing 30: .*"empty":([2-9]|\d\d+),.*no data \(onNoData: hold\)/);
  },
);
