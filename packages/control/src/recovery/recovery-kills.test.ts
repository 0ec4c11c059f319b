// SPDX-License-Identifier: Apache-2.0

// A control is lost before and after each commit of a run, and another one goes on: what each step does is there once. The one that is lost has its
// commit fail, or done without hearing of it, and does nothing more. `test/proof/recovery-kills.ts` does the same with processes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Caller } from "../access/caller.ts";
import type { Leading } from "../cells/cell-keeper.ts";
import { StateDocuments } from "../state/state-documents.ts";
import type { Store } from "../store/store.ts";
import { ApiFixture } from "../testing/api-fixture.ts";
import { makeRecoveryRuns } from "../testing/recovery-fixture.ts";
import { documentOf as document } from "../testing/two-places.ts";
import type { RecoveryRuns } from "./recovery-runs.ts";
import { isOver, type RecoveryRun } from "./run-state.ts";

const WAIT_MS_MAX = 60_000;

const pool = (name: string, address: string): object =>
  document("Pool", name, { members: { one: { address } } });
const branches = [
  { pool: "eu", weight: 100 },
  { pool: "us", weight: 0 },
];
const documents = (url: string): object[] => [
  document("Zone", "example.org", {
    origin: "example.org",
    nameServers: [{ name: "ns1.example.net" }],
  }),
  ...[pool("eu", "192.0.2.1"), pool("us", "192.0.2.2"), pool("spare", "192.0.2.3")],
  document("TrafficPolicy", "split", { root: "all", nodes: { all: { weighted: { branches } } } }),
  document("Record", "www", { name: "www.example.org", policy: "split" }),
  document("ControlPanel", "shop", {}),
  document("RoutingControl", "spare", { panel: "shop", targets: ["pool/default/spare"] }),
  document("RecoveryPlan", "away", {
    sequence: ["both", "off", "ramp"],
    steps: {
      both: { parallel: { steps: ["tell", "drain"] } },
      tell: { webhook: { url, retries: 50, onRollBack: true } },
      drain: { shift: { target: "pool/default/spare" } },
      off: { controls: { states: { spare: "Off" } } },
      ramp: {
        weights: {
          policy: "split",
          node: "all",
          branches: [
            { pool: "eu", weight: 0 },
            { pool: "us", weight: 100 },
          ],
          over: "200ms",
          every: "100ms",
        },
      },
    },
  }),
];

/** Takes webhooks, and remembers their keys. */
async function receiver(t: TestContext): Promise<{ url: string; keys: Map<string, number> }> {
  const keys = new Map<string, number>();
  const server = createServer((request, response) => {
    const key = String(request.headers["idempotency-key"]).replace(/^[0-9a-f]{8}\//, "");
    keys.set(key, (keys.get(key) ?? 0) + 1);
    request.resume();
    response.writeHead(204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { url: `http://127.0.0.1:${address.port}/`, keys };
}

/** When a control is lost: at which of its commits of a run, and whether that is still done. */
interface Loss {
  readonly at: number;
  readonly isDone: boolean;
}

/** Controls of one store, of which the first leads until it is lost. */
class Controls {
  readonly #api: ApiFixture;
  readonly #all: RecoveryRuns[] = [];
  #leader = 0;
  commits = 0;
  losses = 0;

  constructor(api: ApiFixture) {
    this.#api = api;
  }

  /** One more; with `loss` it is lost then. */
  add(loss?: Loss): RecoveryRuns {
    const { embedded, documents: source, routing, weights, folder } = this.#api;
    const own = this.#all.length;
    const leading = (): Leading => (this.#leader === own ? {} : undefined);
    const store = dying(source.store, async (commit) => {
      if (own < this.#leader) throw new Error("this control is lost");
      this.commits += 1;
      if (this.commits !== loss?.at) return commit();
      if (loss.isDone) await commit();
      this.#lose(own);
      throw new Error("this control is lost");
    });
    const state = new StateDocuments({
      store,
      get documents() {
        return source.documents;
      },
      refresh: () => source.refresh(),
    });
    const places = { embedded, documents: source, routing, weights, folder };
    const runs = makeRecoveryRuns(places, { state, leading, name: `c${own}` });
    this.#all.push(runs);
    runs.start();
    return runs;
  }

  #lose(own: number): void {
    this.#leader = own + 1;
    this.losses += 1;
    void this.#all[own]?.close();
    this.#all[own + 1]?.look();
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((each) => each.close()));
  }
}

/** A store of which commits of runs go another way. */
function dying(
  store: Store,
  around: (commit: () => ReturnType<Store["commit"]>) => unknown,
): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name === "commit")
        return (request: Parameters<Store["commit"]>[0]): unknown => {
          const isRun = request.writes.some(({ key }) => key.kind === "RecoveryRun");
          const commit = (): ReturnType<Store["commit"]> => target.commit(request);
          return isRun ? around(commit) : commit();
        };
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function until(read: () => RecoveryRun | undefined, isIt: (run: RecoveryRun) => boolean) {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const run = read();
    if (run !== undefined && isIt(run)) return run;
    assert.ok(performance.now() < deadlineMs, `still ${JSON.stringify(run)}`);
    await sleep(5);
  }
}

test("whichever commit a control is lost at, another goes on, and each step is done once", async (t) => {
  const { url, keys } = await receiver(t);
  const api = await ApiFixture.start(t, {});
  await api.recovery.close();
  assert.equal((await api.local("POST", "/v1/apply", { body: documents(url) })).status, 200);
  const caller = new Caller("ann", undefined, "", [{ verbs: ["run"], kinds: ["RecoveryPlan"] }]);
  let commits = 0;
  for (let at = 0; at === 0 || at <= commits; at++)
    for (const isDone of at === 0 ? [true] : [false, true]) {
      keys.clear();
      const controls = new Controls(api);
      const first = controls.add(at === 0 ? undefined : { at, isDone });
      const second = controls.add();
      const { revision } = await api.store.head();
      const request = {
        namespace: "default",
        plan: "away",
        mode: "graceful",
        reason: "t",
      } as const;
      await first.begin(request, caller).catch(async () => {
        // Who asked hears nothing, and asks again.
        const again = second.begin(request, caller);
        if (at === 1 && isDone) await assert.rejects(again, /is under way/);
        else await again;
      });
      const newest = (): RecoveryRun | undefined => second.runs()[0];
      const run = await until(newest, isOver);
      if (at === 0) ({ commits } = controls);
      else assert.ok(controls.losses <= 1);
      assert.equal(run.state, "completed", JSON.stringify(run));
      assert.deepEqual([...keys.keys()], ["tell"], "one webhook, whatever its tries");
      const changes = await changesSince(api.store, revision);
      // The node is taken, and changed twice.
      assert.deepEqual(changes, { ControlStates: 1, WeightOverride: 3 }, `lost at ${at} ${isDone}`);
      assert.equal(api.embedded.shifts().length, 1);
      assert.deepEqual(api.weights.of("default/split", "all")?.weights, {
        "pool/default/eu": 0,
        "pool/default/us": 100,
      });
      const order = { order: "rollback", actor: "t", reason: "t" } as const;
      await second.order("default", "away", order, caller);
      await until(newest, ({ state }) => state === "rolled-back");
      assert.deepEqual([...keys.keys()], ["tell", "tell/rollback"]);
      assert.equal(api.embedded.shifts().length, 0);
      assert.equal(api.weights.of("default/split", "all"), undefined);
      await controls.close();
    }
  t.diagnostic(`lost at each of ${commits} commits, before and after`);
  assert.ok(commits >= 6, String(commits));
});

/** How often the store's history has each kind of what steps change. */
async function changesSince(store: Store, from: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { writes } of await store.history({ from: from + 1, limit: 1000 }))
    for (const { key, text, before } of writes)
      if (key.kind !== "RecoveryRun" && key.kind !== "RecoveryMark" && text !== before)
        counts[key.kind] = (counts[key.kind] ?? 0) + 1;
  return counts;
}
