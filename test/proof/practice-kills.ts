// SPDX-License-Identifier: Apache-2.0

// A drill and a rollout go on when the control that leads is killed (SIGKILL) in the middle of them: of two controls on one store the other one
// does what is left, nothing twice, and nothing is left over. By hand, some minutes:
//
//   node --test test/proof/practice-kills.ts      MERIDIAN_ROUNDS=N rounds (3); MERIDIAN_OUT=FILE writes the figures

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster, etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { PlaneProcess } from "../e2e/edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "../e2e/process.ts";

const WAIT_MS_MAX = 120_000;
const LOOK_MS = 100;
const ROUNDS = Number(process.env["MERIDIAN_ROUNDS"] ?? 3);
const WEIGHTS = [20, 60, 90];

const documents = `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: practice.example }
spec: { origin: practice.example, nameServers: [{ name: ns.practice.example, addresses: [192.0.2.53] }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: old }
spec: { members: { one: { address: 192.0.2.1 }, two: { address: 192.0.2.2 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: new }
spec: { members: { one: { address: 192.0.2.3 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: shop }
spec:
  root: version
  nodes:
    version: { sticky: { branches: [{ pool: old, weight: 100 }, { pool: new, weight: 0 }] } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.practice.example, policy: shop }
---
apiVersion: meridian.dev/v1alpha1
kind: Drill
metadata: { name: practice }
spec: { target: endpoint/default/old/one, lasts: 20s, every: 168h }
---
apiVersion: meridian.dev/v1alpha1
kind: Rollout
metadata: { name: shop }
spec:
  policy: shop
  waves: [{ stable: { pool: old }, canary: { pool: new } }]
  steps: [${WEIGHTS.map((weight) => `{ setWeight: ${weight} }, { pause: { for: 8s } }`).join(", ")}]
`;

type Row = Readonly<Record<string, unknown>>;

/** Two controls on one store; which one leads changes. */
class Pair {
  readonly controls: readonly PlaneProcess[];

  constructor(controls: readonly PlaneProcess[]) {
    this.controls = controls;
  }

  /** Asks a control; undefined where it does not answer now. */
  async ask(index: number, path: string): Promise<Row | undefined> {
    const socketPath = join(this.controls[index]?.stateDir ?? "", "meridian.sock");
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const asked = request({ socketPath, path, timeout: 2000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve(response.statusCode === 200 ? text : undefined));
      response.on("error", () => resolve(undefined));
    });
    asked.on("error", () => resolve(undefined));
    asked.on("timeout", () => asked.destroy());
    asked.end();
    const text = await promise;
    if (text === undefined) return undefined;
    const answer: Row = JSON.parse(text);
    return answer;
  }

  async rows(index: number, path: string): Promise<readonly Row[]> {
    const answer: unknown = await this.ask(index, path);
    const items: unknown =
      typeof answer === "object" && answer !== null ? Reflect.get(answer, "items") : [];
    const rows: readonly Row[] = Array.isArray(items) ? items : [];
    return rows;
  }

  /** Which one leads, as the living say. */
  async leader(): Promise<number> {
    let found = -1;
    await until("a leader", WAIT_MS_MAX, async () => {
      for (const index of this.controls.keys())
        for (const { name, role } of await this.rows(index, "/v1/controls"))
          if (role === "leader") found = Number(String(name).slice(1));
      return found >= 0;
    });
    return found;
  }
}

async function startPair(t: TestContext): Promise<Pair> {
  const folder = temporaryFolder(t);
  const etcd = await EtcdCluster.start({ members: 1 });
  t.after(() => etcd.close());
  const store = `etcd://${etcd.endpoints()}/practice`;
  const ports = [await freePort(), await freePort()];
  const controls = ports.map(
    (port, index) =>
      new PlaneProcess(t, join(folder, `control-${index}`), [
        ...["control", "--store", store, "--edges", `127.0.0.1:${port}`, "--http", "none"],
        ...["--name", `c${index}`],
      ]),
  );
  const [first, second] = controls;
  assert.ok(first !== undefined && second !== undefined);
  await first.start(/"msg":"Serving edges"/);
  mkdirSync(join(second.stateDir, "identity"), { recursive: true, mode: 0o700 });
  const key = join("identity", "sealing.key");
  copyFileSync(join(first.stateDir, key), join(second.stateDir, key));
  await second.start(/"msg":"Serving edges"/);
  const file = join(folder, "documents.yaml");
  writeFileSync(file, documents);
  await run(first, "apply", "-f", file);
  return new Pair(controls);
}

async function run(control: PlaneProcess, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await meridian(...words, "--state", control.stateDir);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Writes of the audit log with a verb, oldest first. */
async function writes(control: PlaneProcess, verb: string): Promise<readonly Row[]> {
  const text = await run(control, "audit", "list", "--count", "1000", "--output", "json");
  const rows: readonly Row[] = JSON.parse(text);
  return rows.filter((row) => row["verb"] === verb).toReversed();
}

/** What both controls say of shifts until it is stopped. */
class Watch {
  readonly ids = new Set<string>();
  most = 0;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(pair: Pair) {
    this.#running = this.#run(pair);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(pair: Pair): Promise<void> {
    while (!this.#isOver) {
      for (const index of pair.controls.keys()) {
        const shifts = await pair.rows(index, "/v1/shifts");
        this.most = Math.max(this.most, shifts.length);
        for (const { id } of shifts) this.ids.add(String(id));
      }
      await sleep(LOOK_MS);
    }
  }
}

test(
  "a drill and a rollout go on when their leader is killed",
  { skip: etcdMissing() },
  async (t) => {
    const pair = await startPair(t);
    const figures: Row[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const leader = await pair.leader();
      const [lost, left] = [pair.controls[leader], pair.controls[1 - leader]];
      assert.ok(lost !== undefined && left !== undefined);

      const watch = new Watch(pair);
      await run(left, "drill", "run", "practice");
      await until("its shift", WAIT_MS_MAX, () => watch.ids.size > 0);
      const killedAtMs = Date.now();
      await lost.kill();
      await until("its end", WAIT_MS_MAX, async () => {
        const [drill] = await pair.rows(1 - leader, "/v1/drills");
        return Array.isArray(drill?.["past"]) && drill["past"].length === round + 1;
      });
      const drillMs = Date.now() - killedAtMs;
      await watch.end();
      const [drill] = await pair.rows(1 - leader, "/v1/drills");
      const past: readonly Row[] = Array.isArray(drill?.["past"]) ? drill["past"] : [];
      const [last] = past;
      assert.equal(last?.["outcome"], "succeeded");
      assert.deepEqual([...watch.ids], [last["id"]], "one shift, that of the run");
      assert.equal(watch.most, 1);
      assert.deepEqual(await pair.rows(1 - leader, "/v1/shifts"), [], "nothing is left over");
      const lastsMs = Number(last["endedAtMs"]) - Number(last["startedAtMs"]);
      assert.ok(lastsMs >= 20_000, `it lasted ${lastsMs} ms`);

      await lost.start(/"msg":"Serving edges"/);
      const second = await pair.leader();
      const [lostNow, leftNow] = [pair.controls[second], pair.controls[1 - second]];
      assert.ok(lostNow !== undefined && leftNow !== undefined);
      const before = (await writes(leftNow, "rollout")).length;
      await run(leftNow, "rollout", "start", "shop");
      const killedAt = WEIGHTS[round % WEIGHTS.length];
      const weightNow = async (): Promise<number> =>
        Number((await pair.rows(1 - second, "/v1/rollouts"))[0]?.["weight"]);
      await until(`weight ${killedAt}`, WAIT_MS_MAX, async () => (await weightNow()) === killedAt);
      const rolloutKilledMs = Date.now();
      await lostNow.kill();
      const seen: number[] = [];
      await until("the end of the rollout", WAIT_MS_MAX, async () => {
        const [rollout] = await pair.rows(1 - second, "/v1/rollouts");
        const weight = Number(rollout?.["weight"]);
        if (seen.at(-1) !== weight) seen.push(weight);
        return rollout?.["phase"] === "succeeded";
      });
      const rolloutMs = Date.now() - rolloutKilledMs;
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => a - b),
        "the weight never falls",
      );
      const all = (await writes(leftNow, "rollout")).slice(before);
      // Begun, each weight once and that edges have it, and the end: a step that was taken twice would have more writes.
      const count = all.length;
      assert.equal(count, 2 * WEIGHTS.length + 2, JSON.stringify(all));
      await run(leftNow, "rollout", "abort", "shop", "--yes", "--reason", "the next round");
      await lostNow.start(/"msg":"Serving edges"/);
      figures.push({ round, drillMs, lastsMs, killedAt, rolloutMs, seen, writes: count });
    }
    t.diagnostic(JSON.stringify(figures));
    const out = process.env["MERIDIAN_OUT"];
    if (out !== undefined)
      writeFileSync(out, `${JSON.stringify({ rounds: figures }, undefined, 2)}\n`);
  },
);
