// SPDX-License-Identifier: Apache-2.0

// A fenced hand-over between real processes: an edge stands still in the middle of it, and the control that drives it dies. Clients never see both
// sides; the edge, when it goes on, answers what is true then.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LEASE_MS } from "@meridian/snapshot";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 60_000;
const ASK_PAUSE_MS = 20;
const LEFT = "192.0.2.101";
const RIGHT = "192.0.2.102";
const apiVersion = "apiVersion: meridian.dev/v1alpha1";

const files = `${apiVersion}
kind: Zone
metadata: { name: fenced.example }
spec:
  origin: fenced.example
  nameServers: [{ name: ns.fenced.example, addresses: [192.0.2.53] }]
---
${apiVersion}
kind: Pool
metadata: { name: left }
spec: { members: { one: { address: ${LEFT} } } }
---
${apiVersion}
kind: Pool
metadata: { name: right }
spec: { members: { one: { address: ${RIGHT} } } }
---
${apiVersion}
kind: TrafficPolicy
metadata: { name: sides }
spec:
  root: order
  nodes:
    order: { failover: { tiers: [{ branches: [{ pool: left }] }, { branches: [{ pool: right }] }] } }
---
${apiVersion}
kind: Record
metadata: { name: www }
spec: { name: www.fenced.example, policy: sides }
`;

const controls = `${apiVersion}
kind: ControlPanel
metadata: { name: sides }
spec: { handover: fenced }
---
${apiVersion}
kind: RoutingControl
metadata: { name: left }
spec: { panel: sides, targets: [pool/default/left] }
---
${apiVersion}
kind: RoutingControl
metadata: { name: right }
spec: { panel: sides, targets: [pool/default/right] }
`;

interface Seen {
  readonly edge: number;
  readonly askedAtMs: number;
  readonly atMs: number;
  readonly answer: string;
}

/** Asks edges without a pause worth mentioning; keeps what each answers. */
class Watch {
  readonly seen: Seen[] = [];
  #isOver = false;
  readonly #running: Promise<unknown>;

  constructor(clients: readonly DnsClient[]) {
    this.#running = Promise.all(clients.map((client, edge) => this.#run(client, edge)));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  /** Those that came after a moment. */
  after(atMs: number, edge?: number): readonly string[] {
    return this.seen
      .filter((each) => each.atMs > atMs && (edge === undefined || each.edge === edge))
      .map(({ answer }) => answer);
  }

  async #run(client: DnsClient, edge: number): Promise<void> {
    while (!this.#isOver) {
      const askedAtMs = performance.now();
      const found = await ask(client, "www.fenced.example", "A").catch(() => ["nothing"]);
      const answer = found.join(" ");
      this.seen.push({ edge, askedAtMs, atMs: performance.now(), answer });
      await sleep(ASK_PAUSE_MS);
    }
  }
}

/** Asks a process for its controls, or has it set some, over the socket of its state folder: a command takes a part of a term to start. */
async function controlsOf(stateDir: string, states?: object): Promise<string> {
  const asked = request({
    ...{ socketPath: join(stateDir, "meridian.sock"), path: "/v1/routing-controls" },
    method: states === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json" },
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  asked.on("response", answered.resolve);
  asked.on("error", answered.reject);
  asked.end(states === undefined ? "" : JSON.stringify({ states, reason: "test" }));
  const answer = await answered.promise;
  const text = Buffer.concat(await answer.toArray()).toString();
  return answer.statusCode === 200 ? text : "";
}

test("a fenced hand-over: an edge stands still, control dies, and nobody sees both sides", async (t) => {
  const folder = temporaryFolder(t);
  const documents = join(folder, "files.yaml");
  writeFileSync(documents, files);
  const listen = `127.0.0.1:${await freePort()}`;
  const control = new PlaneProcess(t, join(folder, "control"), [
    ...["control", "-f", documents, "--edges", listen, "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const place = { folder, control, url: `https://${listen}` };
  const edges: PlaneProcess[] = [];
  const clients: DnsClient[] = [];
  for (const name of ["eu", "us"]) {
    const port = await freePort();
    const edge = await joinedEdge(t, place, name, port);
    await edge.start(/"msg":"Serving a new revision"/);
    const client = await udpClient("127.0.0.1", port);
    t.after(() => client.close());
    edges.push(edge);
    clients.push(client);
  }
  const [eu, us] = edges;
  assert.ok(eu !== undefined && us !== undefined);
  const here = ["--state", control.stateDir];
  /** Looks until it is so; returns what it saw. A process that does not answer is asked again. */
  const look = async (
    what: string,
    isSo: (text: string) => boolean,
    { stateDir }: PlaneProcess = control,
    states?: object,
  ): Promise<string> => {
    let text = "";
    await until(what, LOOK_MS_MAX, async () => {
      text = await controlsOf(stateDir, states).catch(() => "");
      return text !== "" && isSo(text);
    });
    return text;
  };
  const set = (states: object): Promise<string> =>
    look("control to turn what is wanted", () => true, control, states);
  const isSettled = (text: string): boolean => !text.includes('"handover"');
  const settled = (): Promise<string> => look("the hand-over to be done", isSettled);
  const panel = join(folder, "controls.yaml");
  writeFileSync(panel, controls);
  const applied = await meridian("apply", "-f", panel, ...here);
  assert.equal(applied.code, 0, applied.stderr);
  await set({ right: "Off" });
  await settled();

  // Both edges are there: it is done when they have said so.
  const watch = new Watch(clients);
  t.after(() => watch.end());
  await set({ left: "Off", right: "On" });
  await settled();
  await until("both edges to answer right", LOOK_MS_MAX, () =>
    edges.every((_, edge) => watch.after(performance.now() - 1000, edge).at(-1) === RIGHT),
  );

  // One stands still: the other side waits until that one's lease has run out.
  us.signal("SIGSTOP");
  const stoppedAtMs = performance.now();
  const turned = await set({ left: "On", right: "Off" });
  assert.match(turned, /"handover":{"wanted":"On"/);
  const waited = await look(
    "who is waited for",
    (text) => text.includes('"edge us"') || isSettled(text),
  );
  const isTold = /"name":"default\/left"[^}]*"handover":{"wanted":"On"/;
  await look("an edge that is told", (text) => isTold.test(text), eu);
  await control.kill();
  assert.match(waited, /"who":"edge us","why":"has not said that it answers none of it","forMs":/);
  // What it was is known at the edges.
  const { stdout: told } = await meridian("control", "get", "--state", eu.stateDir);
  assert.match(told, /As this edge was told: revision \d+ of epoch 1 of the store, \d+s old/);
  assert.match(told, /default\/left +sides +Off, to be On/);
  await control.start(/"msg":"Serving edges"/);
  // In words, once the edges are known again: where the machine is so slow that nobody is waited for any more, it is On.
  await until("words on who is waited for", LOOK_MS_MAX, async () => {
    const { stdout: words } = await meridian("control", "get", ...here);
    return /\(at most \d+s\)|default\/left +sides +On /.test(words);
  });
  await until("left to be answered", LOOK_MS_MAX, () => watch.after(stoppedAtMs).includes(LEFT));
  const leftAtMs = watch.seen.find(
    ({ answer, atMs }) => answer === LEFT && atMs > stoppedAtMs,
  )?.atMs;
  // The lease may be some seconds old when the edge stands still.
  assert.ok(leftAtMs !== undefined && leftAtMs - stoppedAtMs > LEASE_MS / 2, "it waited");
  // Questions that came while it stood still are answered first when it goes on.
  us.signal("SIGCONT");
  const wentOnAtMs = performance.now();
  await until("the other edge to answer left", LOOK_MS_MAX, () =>
    watch.after(wentOnAtMs, 1).includes(LEFT),
  );
  await settled();
  await watch.end();
  assert.ok(!watch.after(wentOnAtMs).includes(RIGHT), "right is answered by nobody any more");
  const late = watch.seen.filter(
    ({ answer, askedAtMs }) => answer === RIGHT && askedAtMs > leftAtMs,
  );
  assert.deepEqual(late, []);
  assert.match(control.log, /"msg":"A hand-over is done"/);
});
