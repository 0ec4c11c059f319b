// SPDX-License-Identifier: Apache-2.0

// Three members of etcd, three controls on them and two edges, as processes of their own, with DNS asked throughout: who dies, what clients
// see, and what controls say of it.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster, etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { PlaneProcess } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 30_000;
const ASK_PAUSE_MS = 20;

type Row = Readonly<Record<string, unknown>>;

interface Controls {
  readonly folder: string;
  readonly etcd: EtcdCluster;
  readonly controls: readonly PlaneProcess[];
  readonly urls: readonly string[];
}

function documents(address: string): string {
  return `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: controls.example }
spec:
  origin: controls.example
  nameServers: [{ name: ns.controls.example, addresses: [192.0.2.53] }]
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec:
  members:
    one: { address: ${address} }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: spare }
spec:
  members:
    one: { address: 192.0.2.99 }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.controls.example, pool: web }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: left }
spec: { members: { one: { address: 192.0.2.101 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: right }
spec: { members: { one: { address: 192.0.2.102 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: sides }
spec:
  root: order
  nodes:
    order: { failover: { tiers: [{ branches: [{ pool: left }] }, { branches: [{ pool: right }] }] } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: switched }
spec: { name: switched.controls.example, policy: sides }
---
apiVersion: meridian.dev/v1alpha1
kind: ControlPanel
metadata: { name: sides }
spec: {}
---
apiVersion: meridian.dev/v1alpha1
kind: RoutingControl
metadata: { name: left }
spec: { panel: sides, targets: [pool/default/left] }
---
apiVersion: meridian.dev/v1alpha1
kind: RoutingControl
metadata: { name: right }
spec: { panel: sides, targets: [pool/default/right] }
---
apiVersion: meridian.dev/v1alpha1
kind: SafetyRule
metadata: { name: somewhere }
spec:
  panel: sides
  assertion: { controls: [left, right] }
  require: { any: {} }
`;
}

async function startControls(t: TestContext): Promise<Controls> {
  const folder = temporaryFolder(t);
  const etcd = await EtcdCluster.start({ members: 3 });
  t.after(() => etcd.close());
  const ports = await Promise.all(Array.from({ length: 3 }, () => freePort()));
  const store = `etcd://${etcd.endpoints()}/controls`;
  const controls = ports.map((port, index) => {
    const stateDir = join(folder, `control-${index}`);
    const listen = `127.0.0.1:${port}`;
    const given = ["control", "--store", store, "--edges", listen, "--http", "none"];
    return new PlaneProcess(t, stateDir, [...given, "--name", `c${index}`]);
  });
  const [first, ...others] = controls;
  assert.ok(first !== undefined);
  await first.start(/"msg":"Serving edges"/);
  // What seals the store's secrets is brought to each further control by who runs it.
  for (const { stateDir } of others) {
    mkdirSync(join(stateDir, "identity"), { recursive: true, mode: 0o700 });
    const key = join("identity", "sealing.key");
    copyFileSync(join(first.stateDir, key), join(stateDir, key));
  }
  await Promise.all(others.map((control) => control.start(/"msg":"Serving edges"/)));
  return { folder, etcd, controls, urls: ports.map((port) => `https://127.0.0.1:${port}`) };
}

/** An edge that knows all controls; invited by one of them, it joins by another. */
async function startEdge(
  t: TestContext,
  { folder, controls, urls }: Controls,
  name: string,
  [invitedBy, joinedBy]: readonly [number, number],
): Promise<{ readonly process: PlaneProcess; readonly client: DnsClient }> {
  const stateDir = join(folder, name);
  const made = await meridian(
    ...["token", "create", name, "--edge", "--state", controls[invitedBy]?.stateDir ?? ""],
  );
  assert.equal(made.code, 0, made.stderr);
  const target = `${made.stdout.trim()}@${urls[joinedBy]}`;
  const joined = await meridian("edge", "join", target, "--state", stateDir);
  assert.equal(joined.code, 0, joined.stderr);
  const port = await freePort();
  const known = urls.flatMap((_, index) => ["--control", urls[(index + joinedBy) % 3] ?? ""]);
  const process = new PlaneProcess(t, stateDir, [
    ...["edge", ...known, "--listen", `127.0.0.1:${port}`, "--workers", "1"],
  ]);
  await process.start(/"msg":"Serving a new revision"/);
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  return { process, client };
}

/** Asks without a pause worth mentioning; what was answered wrongly or not at all is kept. */
class Questions {
  readonly failed: string[] = [];
  allowed: ReadonlySet<string> = new Set();
  count = 0;
  #isOver = false;
  readonly #running: Promise<unknown>;

  constructor(clients: readonly DnsClient[]) {
    this.#running = Promise.all(clients.map((client) => this.#run(client)));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(client: DnsClient): Promise<void> {
    while (!this.#isOver) {
      try {
        const found = (await ask(client, "www.controls.example", "A")).join(" ");
        this.count += 1;
        if (!this.allowed.has(found)) this.failed.push(found);
      } catch (error) {
        this.failed.push(String(error));
      }
      await sleep(ASK_PAUSE_MS);
    }
  }
}

test(
  "controls on one store: any may die, and the store; clients see nothing",
  { skip: etcdMissing() },
  async (t) => {
    const scene = await startControls(t);
    const { controls, etcd, folder } = scene;
    const apply = (control: number, address: string): ReturnType<typeof meridian> => {
      const file = join(folder, "documents.yaml");
      writeFileSync(file, documents(address));
      return meridian("apply", "-f", file, "--state", controls[control]?.stateDir ?? "");
    };
    const first = await apply(1, "192.0.2.1");
    assert.equal(first.code, 0, first.stderr);
    const edges = [
      await startEdge(t, scene, "eu-0", [0, 1]),
      await startEdge(t, scene, "eu-1", [2, 0]),
    ];
    const clients = edges.map(({ client }) => client);
    const answered = async (address: string, name = "www"): Promise<void> => {
      await until(`${address} of all edges`, LOOK_MS_MAX, async () => {
        const found = await Promise.all(
          clients.map((each) => ask(each, `${name}.controls.example`, "A")),
        );
        return found.every(([only]) => only === address);
      });
    };
    await answered("192.0.2.1");
    const questions = new Questions(clients);
    t.after(() => questions.end());

    /** Applies another address at a control and waits for all edges to answer it. */
    const change = async (control: number, from: string, to: string): Promise<void> => {
      questions.allowed = new Set([from, to]);
      await until(`apply at control ${control}`, LOOK_MS_MAX, async () => {
        const { code, stderr } = await apply(control, to);
        if (code !== 0) assert.match(stderr, /store|lease|head/i);
        return code === 0;
      });
      await answered(to);
    };
    questions.allowed = new Set(["192.0.2.1"]);
    await change(2, "192.0.2.1", "192.0.2.2");

    // Whoever is asked knows all controls and all edges, and what was drained at another.
    const list = async (kind: string, control: number): Promise<Row[]> => {
      const { stdout } = await meridian(
        ...["get", kind, "--state", controls[control]?.stateDir ?? "", "-o", "json"],
      );
      const rows: unknown = JSON.parse(stdout);
      assert.ok(Array.isArray(rows));
      return rows.map((row: unknown) => Object.fromEntries(Object.entries(row ?? {})));
    };
    const roles = (await list("controls", 1)).map(({ name, role, standing }) => ({
      name,
      role,
      standing,
    }));
    assert.deepEqual(
      roles.map(({ name }) => name),
      ["c0", "c1", "c2"],
    );
    assert.equal(roles.filter(({ role }) => role === "leader").length, 1);
    assert.ok(roles.every(({ standing }) => standing === "agrees"));
    const known = (await list("edges", 2)).map(({ name, connected }) => ({ name, connected }));
    assert.deepEqual(known, [
      { name: "eu-0", connected: true },
      { name: "eu-1", connected: true },
    ]);
    const drained = await meridian(
      ...["drain", "pool/default/spare", "--reason", "test", "--yes"],
      ...["--state", controls[0]?.stateDir ?? ""],
    );
    assert.equal(drained.code, 0, drained.stderr);
    const shifted = async (control: number): Promise<void> => {
      await until(`the shift at control ${control}`, LOOK_MS_MAX, async () => {
        const endpoint = (await list("endpoints", control)).find(({ endpoint: name }) =>
          String(name).startsWith("endpoint/default/spare/"),
        );
        return endpoint?.["admin"] === "drained";
      });
    };
    for (const control of controls.keys()) await shifted(control);

    // A switch is turned at one control, and refused at another where a safety rule objects.
    const turn = (control: number, change: string): ReturnType<typeof meridian> =>
      meridian(
        ...["control", "set", change, "--reason", "test"],
        ...["--state", controls[control]?.stateDir ?? ""],
      );
    const turned = await turn(0, "left=Off");
    assert.equal(turned.code, 0, turned.stderr);
    await answered("192.0.2.102", "switched");
    const unsafe = await turn(1, "right=Off");
    assert.equal(unsafe.code, 3, unsafe.stderr);
    assert.match(unsafe.stderr, /SafetyRule "somewhere" wants at least 1 of left, right On/);

    // The leader dies; another leads, and edges that followed it go on to another control.
    const leader = controls.findIndex(({ log }) => /"msg":"Leads the controls/.test(log));
    assert.ok(leader >= 0);
    await controls[leader]?.kill();
    const other = (leader + 1) % 3;
    await change(other, "192.0.2.2", "192.0.2.3");

    // Two of three members of etcd die: what is served stays, nothing is written, reads say how old they are.
    const member = etcd.leader();
    const dead = [member, (member + 1) % 3];
    for (const index of dead) await etcd.kill(index);
    const refused = await apply(other, "192.0.2.9");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /^Cannot .*etcd/);
    await answered("192.0.2.3");
    const unturned = await turn(other, "left=On");
    assert.notEqual(unturned.code, 0);
    assert.match(unturned.stderr, /^Cannot .*etcd/);
    await answered("192.0.2.102", "switched");
    // What switches were last is known at every edge, with its age.
    for (const { process } of edges) {
      const { stdout } = await meridian("control", "get", "--state", process.stateDir);
      assert.match(stdout, /default\/left +sides +Off/);
      assert.match(stdout, /As this edge was told: revision \d+ of epoch 1 of the store, \d+s old/);
    }
    for (const index of dead) etcd.startMember(index);
    await etcd.ready();
    await change(other, "192.0.2.3", "192.0.2.4");

    // All controls die, and come back to what they had published.
    await Promise.all(controls.map((control) => control.kill()));
    await answered("192.0.2.4");
    await Promise.all(controls.map((control) => control.start(/"msg":"Serving edges"/)));
    await change(leader, "192.0.2.4", "192.0.2.5");
    for (const control of controls.keys()) await shifted(control);
    await answered("192.0.2.102", "switched");
    const returned = await turn(leader, "left=On");
    assert.equal(returned.code, 0, returned.stderr);
    await answered("192.0.2.101", "switched");

    // A store is restored to what it was: its revisions are lower, its epoch is later, and edges follow.
    const backup = join(folder, "backup.jsonl");
    const store = `etcd://${etcd.endpoints()}/controls`;
    assert.equal((await meridian("store", "backup", backup, "--store", store)).code, 0);
    await change(leader, "192.0.2.5", "192.0.2.6");
    const restored = await meridian("store", "restore", backup, "--store", store, "--force");
    assert.equal(restored.code, 0, restored.stderr);
    await answered("192.0.2.5");
    await change(other, "192.0.2.5", "192.0.2.7");

    await questions.end();
    assert.deepEqual(questions.failed, []);
    assert.ok(questions.count > 100);
  },
);
