// SPDX-License-Identifier: Apache-2.0

// A recovery plan with a step of each kind moves a service between two sets of real HTTP servers under load, while the control that leads is
// killed (SIGKILL) as soon as the store says that a step has begun, that it is done, or that its webhook has come. By hand, a few minutes:
//
//   node --test test/proof/recovery-kills.ts      MERIDIAN_OUT=FILE writes the figures; KUBEBUILDER_ASSETS adds a step of Kubernetes

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, get, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../packages/control/src/store/open-store.ts";
import { parseStoreLocation } from "../../packages/control/src/store/store-location.ts";
import {
  KubeApiServer,
  kubernetesMissing,
} from "../../packages/control/src/testing/kube-api-server.ts";
import { EtcdCluster, etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { addressesIn, queryFor } from "../e2e/ask.ts";
import { joinedFolder, PlaneProcess } from "../e2e/edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "../e2e/process.ts";

const NAME = "www.recovery.example";
const OLD = "127.0.71.1";
const NEW = "127.0.71.2";
const TTL_MS = 3000;
/** Their TTLs end one after another, so that of each edge one asks every 50 ms. */
const CLIENTS = 120;
const REQUEST_EVERY_MS = 100;
/** So long before its answer ends a client sends one more request, as the last of them says when it is served again. */
const LAST_MS = 10;
const WAIT_MS_MAX = 60_000;
const PORT = 18_571;
const ROUNDS = Number(process.env["MERIDIAN_ROUNDS"] ?? 2);

function documents(): string {
  return `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: recovery.example }
spec: { origin: recovery.example, nameServers: [{ name: ns.recovery.example, addresses: [192.0.2.53] }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: old }
spec: { members: { one: { address: ${OLD} } } }
---
apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata: { name: web }
spec: { http: { port: ${PORT}, path: / }, interval: 500ms }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: new }
spec: { healthCheck: web, members: { one: { address: ${NEW} } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: spare }
spec: { members: { one: { address: 127.0.71.3 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: order }
spec:
  root: order
  nodes:
    order: { failover: { tiers: [{ branches: [{ pool: old }] }, { branches: [{ pool: new }] }] } }
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: mix }
spec:
  root: mix
  nodes: { mix: { weighted: { branches: [{ pool: spare, weight: 100 }, { pool: new, weight: 0 }] } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: mix }
spec: { name: mix.recovery.example, policy: mix }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: ${NAME}, policy: order, ttl: { min: ${TTL_MS / 1000}s, max: ${TTL_MS / 1000}s } }
---
apiVersion: meridian.dev/v1alpha1
kind: ControlPanel
metadata: { name: shop }
spec: {}
---
apiVersion: meridian.dev/v1alpha1
kind: RoutingControl
metadata: { name: old }
spec: { panel: shop, targets: [pool/default/old] }
`;
}

/** A step of each kind; the one that moves the service comes last, so that recovery ends with it. */
function plans(outside: string, hasKubernetes: boolean): string {
  const grow = `
    grow:
      kubernetes:
        kubeconfig: { env: KUBECONFIG_TEXT }
        apiVersion: apps/v1
        resource: deployments
        namespace: default
        name: web
        scale: { replicas: 5 }`;
  return `apiVersion: meridian.dev/v1alpha1
kind: RecoveryPlan
metadata: { name: spare }
spec:
  sequence: [drain, w6, undrain]
  steps:
    w6: { wait: { for: 300ms } }
    drain: { shift: { target: pool/default/spare } }
    undrain: { endShift: { target: pool/default/spare } }
---
apiVersion: meridian.dev/v1alpha1
kind: RecoveryPlan
metadata: { name: back }
spec:
  sequence: [own]
  steps:
    own:
      weights:
        policy: mix
        node: mix
        branches: [{ pool: spare, weight: 100 }, { pool: new, weight: 0 }]
---
apiVersion: meridian.dev/v1alpha1
kind: RecoveryPlan
metadata: { name: to-new }
spec:
  objective: { recoveryTime: 10m }
  names: [${NAME}]
  sequence: [ready, w1, alarm, w2${hasKubernetes ? ", grow" : ""}, w3, ask, w4, both, w5, child, w7, ramp, w8, move]
  steps:
    w1: { wait: { for: 300ms } }
    w2: { wait: { for: 300ms } }
    w3: { wait: { for: 300ms } }
    w4: { wait: { for: 300ms } }
    w5: { wait: { for: 300ms } }
    w7: { wait: { for: 300ms } }
    w8: { wait: { for: 300ms } }
    ready: { waitForHealth: { target: pool/default/new } }
    alarm: { waitForPrometheus: { source: { url: ${outside} }, query: up, above: 0 } }${hasKubernetes ? grow : ""}
    ask: { approval: { prompt: move? } }
    both: { parallel: { steps: [tell, call] } }
    tell: { webhook: { url: ${outside}tell, retries: 50 } }
    call: { webhook: { url: ${outside}call, retries: 50 } }
    child: { plan: { name: spare } }
    ramp:
      weights:
        policy: mix
        node: mix
        branches: [{ pool: spare, weight: 0 }, { pool: new, weight: 100 }]
        over: 2s
        every: 1s
    move: { controls: { states: { old: Off } } }
`;
}

/** What comes from outside: a receiver that remembers keys, and something that speaks Prometheus's API. */
class Outside {
  readonly calls: string[] = [];
  readonly done = new Map<string, number>();
  onCall: () => void = () => {};

  readonly listener: RequestListener = (request, response) => {
    const path = request.url ?? "";
    request.resume();
    if (path.startsWith("/api/v1/query")) {
      const result = [{ metric: {}, value: [1, "1"] }];
      response.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
      return;
    }
    const key = String(request.headers["idempotency-key"]);
    this.calls.push(key);
    const isNew = !this.done.has(key);
    if (isNew) this.done.set(key, 1);
    // The effect is there; whether its control hears of that is another matter.
    if (isNew) this.onCall();
    setTimeout(() => response.writeHead(204).end(), 50);
  };
}

async function listening(t: TestContext, address: string, port: number, listener: RequestListener) {
  const server = createServer(listener);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, address, resolve);
  await promise;
  t.after(() => stop(server));
  return server;
}

function stop(server: Server): void {
  server.closeAllConnections();
  server.close();
}

/** A client with a cache of its own, as a resolver's: it asks again when the TTL is over, and not before. */
class Client {
  lastFailureMs = 0;
  requests = 0;
  failures = 0;
  #address = "";
  #untilMs = 0;

  async run(dns: DnsClient, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const nowMs = Date.now();
      if (nowMs >= this.#untilMs) await this.#resolve(dns);
      const began = Date.now();
      this.requests++;
      if (!(await isServed(this.#address))) {
        this.failures++;
        this.lastFailureMs = began;
      }
      const leftMs = this.#untilMs - LAST_MS - Date.now();
      await sleep(leftMs > 0 ? Math.min(REQUEST_EVERY_MS, leftMs) : REQUEST_EVERY_MS);
    }
  }

  async #resolve(dns: DnsClient): Promise<void> {
    try {
      const bytes = await dns.ask(queryFor(NAME, "A"));
      const [address] = addressesIn(bytes);
      this.#address = address ?? this.#address;
      this.#untilMs = Date.now() + TTL_MS;
    } catch {
      // An edge that does not answer in time is asked again.
    }
  }
}

function isServed(address: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asked = get({ host: address, port: PORT, agent: false, timeout: 2000 }, (response) => {
    response.resume();
    response.on("end", () => resolve(response.statusCode === 200));
  });
  asked.on("error", () => resolve(false));
  asked.on("timeout", () => asked.destroy());
  return promise;
}

/** The controls, of which the leader is killed again and again. */
class Controls {
  readonly processes: readonly PlaneProcess[];
  kills = 0;
  readonly #restarts = new Set<Promise<void>>();
  readonly #dying = new Set<PlaneProcess>();

  constructor(processes: readonly PlaneProcess[]) {
    this.processes = processes;
  }

  /** Kills the one that leads; it is started again at once. */
  killLeader(): void {
    const leader = this.processes.find(
      (each) =>
        !this.#dying.has(each) &&
        each.log.lastIndexOf("Leads the controls") > each.log.lastIndexOf("Does not lead"),
    );
    if (leader === undefined) return;
    this.#dying.add(leader);
    this.kills++;
    const restart = leader.kill().then(async () => {
      const started = leader.start(/"msg":"Serving edges"/);
      this.#dying.delete(leader);
      await started;
    });
    this.#restarts.add(restart);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#restarts);
  }

  nth(index: number): PlaneProcess {
    return this.processes[index % this.processes.length] ?? assert.fail("none");
  }
}

test(
  "a recovery plan survives its control being killed before and after each step",
  {
    skip: etcdMissing(),
  },
  async (t) => {
    const folder = temporaryFolder(t);
    const outside = new Outside();
    const port = await freePort();
    await listening(t, "127.0.0.1", port, outside.listener);
    const serve: RequestListener = (_request, response) => response.end("ok");
    let old = await listening(t, OLD, PORT, serve);
    await listening(t, NEW, PORT, serve);
    const kubernetes = kubernetesMissing() === false ? await KubeApiServer.start({}) : undefined;
    t.after(() => kubernetes?.close());
    process.env["MERIDIAN_SECRET_DEFAULT__KUBECONFIG_TEXT"] = kubeconfigOf(kubernetes);
    const etcd = await EtcdCluster.start({ members: 1 });
    t.after(() => etcd.close());
    const location = `etcd://${etcd.endpoints()}/recovery`;
    const ports = [await freePort(), await freePort(), await freePort()];
    const webs = [await freePort(), await freePort(), await freePort()];
    const controls = new Controls(
      ports.map(
        (each, index) =>
          new PlaneProcess(t, join(folder, `control-${index}`), [
            ...["control", "--store", location, "--edges", `127.0.0.1:${each}`],
            ...["--http", `127.0.0.1:${webs[index] ?? 0}`, "--name", `c${index}`],
          ]),
      ),
    );
    const [first, ...others] = controls.processes;
    assert.ok(first !== undefined);
    await first.start(/"msg":"Serving edges"/);
    for (const { stateDir } of others) {
      mkdirSync(join(stateDir, "identity"), { recursive: true, mode: 0o700 });
      const key = join("identity", "sealing.key");
      copyFileSync(join(first.stateDir, key), join(stateDir, key));
    }
    await Promise.all(others.map((control) => control.start(/"msg":"Serving edges"/)));
    const commandAt = async (
      place: (attempt: number) => readonly string[],
      given: readonly string[],
    ): Promise<string> => {
      for (let attempt = 0; ; attempt++) {
        const { code, stdout, stderr } = await meridian(...given, ...place(attempt));
        // It was done, and its control killed before it could say so.
        if (code === 0 || stderr.includes("moves RecoveryPlan/default/to-new, too")) return stdout;
        if (stderr.includes("no step comes into question")) return stdout;
        assert.ok(attempt < 20, `meridian ${given.join(" ")}: ${stderr}`);
        await sleep(500);
      }
    };
    const command = (...given: readonly string[]): Promise<string> =>
      commandAt((attempt) => ["--state", controls.nth(attempt).stateDir], given);
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, await command("token", "create", "ann", "--role", "admin"));
    // Nobody approves what he began.
    const asAnn = (...given: readonly string[]): Promise<string> =>
      commandAt((attempt) => {
        const server = `http://127.0.0.1:${webs[attempt % webs.length] ?? 0}`;
        return ["--server", server, "--token-file", tokenFile];
      }, given);
    const file = join(folder, "documents.yaml");
    writeFileSync(file, documents());
    await command("apply", "-f", file);
    const planFile = join(folder, "plans.yaml");
    writeFileSync(planFile, plans(`http://127.0.0.1:${port}/`, kubernetes !== undefined));
    await command("apply", "-f", planFile);
    const edges = await Promise.all(
      ["e0", "e1"].map(async (name, index) => {
        const url = `https://127.0.0.1:${ports[index] ?? 0}`;
        const stateDir = await joinedFolder({ folder, control: first, url }, name);
        const listen = await freePort();
        const known = ports.flatMap((each) => ["--control", `https://127.0.0.1:${each}`]);
        const edge = new PlaneProcess(t, stateDir, [
          ...["edge", ...known, "--listen", `127.0.0.1:${listen}`, "--workers", "1"],
          ...["--http", "none"],
        ]);
        await edge.start(/"msg":"Serving a new revision"/);
        return udpClient("127.0.0.1", listen);
      }),
    );
    t.after(() => {
      for (const edge of edges) edge.close();
    });
    const store = await openStore(parseStoreLocation(location), () => {});
    t.after(() => store.close());
    const results = [];
    for (let round = 1; round <= ROUNDS; round++) {
      await command("control", "set", "old=On", "--reason", "start");
      if (round > 1) {
        old = await listening(t, OLD, PORT, serve);
        await command("recovery", "run", "back", "--yes", "--reason", "start", "--wait");
      }
      if (kubernetes !== undefined) await remade(kubernetes);
      outside.calls.length = 0;
      outside.done.clear();
      const load = new AbortController();
      t.after(() => load.abort());
      const clients = Array.from({ length: CLIENTS }, () => new Client());
      const loads = clients.map(async (client, index) => {
        // Their TTLs end one after another.
        await sleep((index * TTL_MS) / CLIENTS);
        await client.run(edges[index % 2] ?? assert.fail(), load.signal);
      });
      await sleep(TTL_MS * 2);
      assert.equal(
        clients.reduce((sum, { failures }) => sum + failures, 0),
        0,
      );
      const before = controls.kills;
      const { revision: from } = await store.head();
      outside.onCall = () => controls.killLeader();
      const watching = new AbortController();
      t.after(() => watching.abort());
      const killed: string[] = [];
      const states = new Map<string, string>();
      const watch = (async () => {
        try {
          for await (const { writes } of store.watch(from, watching.signal))
            for (const { key, text } of writes) {
              if (key.kind !== "RecoveryRun" || text === undefined) continue;
              const found: unknown = Reflect.get(JSON.parse(text), "steps");
              for (const step of Array.isArray(found) ? found : []) {
                const [name, state] = [Reflect.get(step, "name"), Reflect.get(step, "state")].map(
                  String,
                );
                if (name === undefined || states.get(name) === state || state === "waiting")
                  continue;
                states.set(name, state ?? "");
                killed.push(`${name} ${state}`);
                controls.killLeader();
              }
            }
        } catch (error) {
          if (!watching.signal.aborted) throw error;
        }
      })();
      stop(old);
      const sinceMs = Date.now();
      await command(
        ...["recovery", "run", "to-new", "--yes", "--reason", "old is gone"],
        ...["--since", new Date(sinceMs).toISOString()],
      );
      await until("a step that asks", WAIT_MS_MAX * 4, () => states.get("ask") === "running");
      await asAnn("recovery", "approve", "to-new", "--reason", "yes");
      await until("the last step", WAIT_MS_MAX * 4, () => states.get("move") === "done");
      await controls.settled();
      const report = await measured(command);
      load.abort();
      watching.abort();
      await Promise.all([...loads, watch]);
      const observedMs = Math.max(...clients.map(({ lastFailureMs }) => lastFailureMs)) - sinceMs;
      const reportedMs = Number(report["recoveryMs"]);
      const history = await effectsSince(store, from);
      const result = {
        round,
        kills: controls.kills - before,
        stepsSeen: killed,
        requests: clients.reduce((sum, { requests }) => sum + requests, 0),
        failures: clients.reduce((sum, { failures }) => sum + failures, 0),
        reportedMs,
        observedMs,
        differenceMs: reportedMs - observedMs,
        webhookCalls: outside.calls.length,
        webhookEffects: outside.done.size,
        phases: report["phases"],
        ...history,
        ...(kubernetes === undefined ? {} : { generation: await generation(kubernetes) }),
      };
      t.diagnostic(JSON.stringify(result));
      results.push(result);
      assert.equal(outside.done.size, 2);
      // A node is taken, and changed twice.
      const once = { shiftsStarted: 1, shiftsEnded: 1, controlsTurned: 1, weightsGiven: 3 };
      assert.deepEqual(history, once);
      if (kubernetes !== undefined) assert.equal(await generation(kubernetes), 2);
    }
    const out = process.env["MERIDIAN_OUT"];
    if (out !== undefined) writeFileSync(out, `${JSON.stringify({ results }, undefined, 2)}\n`);
    for (const { differenceMs } of results)
      assert.ok(Math.abs(differenceMs) <= 250, `${differenceMs}`);
    assert.ok(results.reduce((sum, { kills }) => sum + kills, 0) >= 15 * ROUNDS);
  },
);

async function measured(
  command: (...given: readonly string[]) => Promise<string>,
): Promise<Readonly<Record<string, unknown>>> {
  for (;;) {
    const raw: unknown = JSON.parse(await command("recovery", "report", "to-new", "-o", "json"));
    const report = Object.fromEntries(Object.entries(raw ?? {}));
    if (report["recoveryMs"] !== undefined) return report;
    await sleep(200);
  }
}

type OpenStore = Awaited<ReturnType<typeof openStore>>;

/** What the store's history has of a run's steps. */
async function effectsSince(store: OpenStore, from: number) {
  const counts = { shiftsStarted: 0, shiftsEnded: 0, controlsTurned: 0, weightsGiven: 0 };
  for (const { writes } of await store.history({ from: from + 1, limit: 1000 }))
    for (const { key, text, before } of writes) {
      if (key.kind === "RunningShift" && text !== undefined) counts.shiftsStarted++;
      if (key.kind === "RunningShift" && text === undefined) counts.shiftsEnded++;
      if (key.kind === "ControlStates" && text !== before) counts.controlsTurned++;
      if (key.kind === "WeightOverride" && text !== before) counts.weightsGiven++;
    }
  return counts;
}

function kubeconfigOf(kubernetes: KubeApiServer | undefined): string {
  if (kubernetes === undefined) return "none";
  const cluster = {
    server: `https://127.0.0.1:${kubernetes.port}`,
    "certificate-authority-data": Buffer.from(kubernetes.ca).toString("base64"),
  };
  return JSON.stringify({
    "current-context": "a",
    contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
    clusters: [{ name: "a", cluster }],
    users: [{ name: "a", user: { token: "admin" } }],
  });
}

const deployments = "/apis/apps/v1/namespaces/default/deployments";

async function remade(kubernetes: KubeApiServer): Promise<void> {
  await kubernetes.ask("DELETE", `${deployments}/web`);
  const labels = { app: "web" };
  const body = {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "none" }] } },
    },
  };
  await until("the deployment", WAIT_MS_MAX, async () => {
    const status = await kubernetes.ask("POST", deployments, { body });
    return status === 201;
  });
}

/** Changes of what is wanted of the deployment, its making included. */
async function generation(kubernetes: KubeApiServer): Promise<number> {
  const text = await kubernetes.text(`${deployments}/web`);
  return Number(/"generation":(\d+)/.exec(text)?.[1]);
}
