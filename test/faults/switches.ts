// SPDX-License-Identifier: Apache-2.0

// How soon every edge of the fault set-up answers what a routing control says, by hand and as root: `node test/faults/switches.ts
// [--turns N] [--save]`. A turn is one request that turns two controls of a panel (one Off, one On), sent to one control after the other; it counts
// from before the request until the last of the four edges, one of them 80 to 160 ms away from all controls, answers the other place. Then a
// rule refuses, the store loses its quorum, and what was switched last has to be answered on.

import { writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { ask } from "../e2e/ask.ts";
import { document } from "../e2e/documents.ts";
import { Cluster, SERVICE_NAME, askControl, type ControlAnswer, type Member } from "./cluster.ts";
import { Lab } from "./lab.ts";
import { Preloads } from "./preloads.ts";

const DNS_PORT = 53;
const PAUSE_MS = 50;
const ASK_MS = 2;
const TURN_MS_MAX = 10_000;
const HELD_MS = 3000;

const { values } = parseArgs({
  options: { turns: { type: "string", default: "250" }, save: { type: "boolean", default: false } },
});

interface Edge {
  readonly name: string;
  readonly client: DnsClient;
}

const lab = Lab.open();
try {
  const cluster = await Cluster.start(lab, new Preloads(lab.folder));
  await run(cluster, Number(values.turns));
} finally {
  await lab.close();
}

async function run(
  { controls, edges: members, places, stores }: Cluster,
  turns: number,
): Promise<void> {
  const [one, other] = places.map(({ machine }) => machine.address);
  if (one === undefined || other === undefined) throw new Error("There are no two places");
  const applied = await askControl(controls[0]!, {
    ...{ method: "POST", path: "/v1/apply", body: documents(places) },
  });
  if (applied.status !== 200) throw new Error(applied.body);
  const edges = await Promise.all(
    members.map(async ({ name, machine }) => ({
      name,
      client: await udpClient(machine.address, DNS_PORT),
    })),
  );
  await Promise.all(edges.map((edge) => answered(edge, one)));
  const times: number[] = [];
  const byEdge = new Map(edges.map(({ name }) => [name, [] as number[]]));
  const acknowledged: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const wanted = turn % 2 === 0 ? other : one;
    const states = { place0: turn % 2 === 0 ? "Off" : "On", place1: turn % 2 === 0 ? "On" : "Off" };
    const fromMs = performance.now();
    const asked = switchTo(controls[turn % controls.length]!, states).then((answer) => {
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`);
      acknowledged.push(performance.now() - fromMs);
    });
    const seen = edges.map(async (edge) => {
      await answered(edge, wanted);
      byEdge.get(edge.name)?.push(performance.now() - fromMs);
    });
    await Promise.all([asked, ...seen]);
    times.push(performance.now() - fromMs);
    await sleep(PAUSE_MS);
  }
  const last = turns % 2 === 0 ? one : other;
  const both = await switchTo(controls[0]!, { place0: "Off", place1: "Off" });
  if (both.status !== 409) throw new Error(`A rule did not object: ${both.status} ${both.body}`);
  for (const store of stores.slice(1)) await store.kill();
  const without = await switchTo(controls[0]!, { place0: "Off", place1: "On" });
  if (without.status === 200) throw new Error("A switch was turned without a quorum");
  const untilMs = performance.now() + HELD_MS;
  while (performance.now() < untilMs)
    for (const { name, client } of edges) {
      const [address] = await ask(client, SERVICE_NAME, "A");
      if (address !== last) throw new Error(`${name} answered ${address}, expected ${last}`);
    }
  for (const { client } of edges) client.close();
  report({
    turns,
    everyEdgeMs: figures(times),
    acknowledgedMs: figures(acknowledged),
    edgesMs: Object.fromEntries([...byEdge].map(([name, each]) => [name, figures(each)])),
    refused: both.body,
    withoutQuorum: { status: without.status, body: without.body },
  });
}

function switchTo(control: Member, states: object): Promise<ControlAnswer> {
  return askControl(control, {
    ...{ method: "POST", path: "/v1/routing-controls" },
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ states, reason: "measured" }),
  });
}

async function answered({ name, client }: Edge, wanted: string): Promise<void> {
  const untilMs = performance.now() + TURN_MS_MAX;
  for (;;) {
    const [address] = await ask(client, SERVICE_NAME, "A");
    if (address === wanted) return;
    if (performance.now() > untilMs) throw new Error(`${name} answers ${address}, not ${wanted}`);
    await sleep(ASK_MS);
  }
}

function documents(places: readonly Member[]): string {
  const names = places.map(({ name }) => name);
  return [
    document("ControlPanel", "service", {}),
    ...names.map((name) =>
      document("RoutingControl", name, { panel: "service", targets: [`pool/default/${name}`] }),
    ),
    document("SafetyRule", "somewhere", {
      ...{ panel: "service", assertion: { controls: names }, require: { any: {} } },
      waitPeriod: "0s",
    }),
  ].join("");
}

function figures(times: readonly number[]): object {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? 0) * 10) / 10;
  return { median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

function report(result: object): void {
  const date = new Date().toISOString();
  const full = {
    scenario: "switches",
    date,
    processors: availableParallelism(),
    load: loadavg(),
    ...result,
  };
  const text = `${JSON.stringify(full, undefined, 2)}\n`;
  process.stdout.write(text);
  if (!values.save) return;
  const name = `${date.slice(0, 10)}-switches.json`;
  writeFileSync(join(import.meta.dirname, "../../bench/results", name), text);
}
