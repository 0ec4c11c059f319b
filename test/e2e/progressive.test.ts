// SPDX-License-Identifier: Apache-2.0

// A change that takes its answers from a name: an edge that gets it first refuses it, the others never see it, and the documents go back.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { udpClient } from "../conformance/dns-client.ts";
import { ask, queryFor } from "./ask.ts";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until, type Ended } from "./process.ts";

const LOOK_MS_MAX = 60_000;
const BURST = 10;
const BURST_PAUSE_MS = 50;
const BASELINE_MS = 2500;
/** Longer than an edge counts as heard of. */
const SILENT_MS = 5000;

/** A control, two edges that follow it, and what is done with them. */
interface Plane {
  readonly control: PlaneProcess;
  readonly edges: readonly PlaneProcess[];
  /** Where these answer. */
  readonly ports: readonly number[];
  /** What the edges answer for the name, each. */
  readonly answers: () => Promise<string>;
  /** Applies the zone with these records. */
  readonly apply: (records: string, ...more: readonly string[]) => Promise<Ended>;
}

async function startPlane(t: TestContext): Promise<Plane> {
  const folder = temporaryFolder(t);
  const files = join(folder, "site.yaml");
  writeFileSync(
    files,
    "apiVersion: meridian.dev/v1alpha1\nkind: Site\nmetadata: {name: eu}\nspec: {}\n",
  );
  const controlPort = await freePort();
  const url = `https://127.0.0.1:${controlPort}`;
  const control = new PlaneProcess(t, join(folder, "control"), [
    ...["control", "-f", files, "--edges", `127.0.0.1:${controlPort}`, "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const ports = [await freePort(), await freePort()];
  const edges = await Promise.all(
    ports.map((port, index) => joinedEdge(t, { folder, control, url }, `eu-${index}`, port)),
  );
  await Promise.all(edges.map((edge) => edge.start(/"msg":"Serving a new revision"/)));
  const clients = await Promise.all(ports.map((port) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  const answers = async (): Promise<string> => {
    const found = await Promise.all(clients.map((client) => ask(client, "www.e2e.example", "A")));
    return found.map((addresses) => addresses.join("+")).join(" ");
  };
  const apply = async (records: string, ...more: readonly string[]): Promise<Ended> => {
    const path = join(folder, "zone.yaml");
    writeFileSync(path, zoneDocument(records));
    return meridian("apply", "-f", path, "--state", control.stateDir, ...more);
  };
  return { control, edges, ports, answers, apply };
}

test("a revision that empties a name is taken back before it has gone to all edges", async (t) => {
  const plane = await startPlane(t);
  const { control, answers } = plane;
  const apply = (records: string, ...more: readonly string[]): Promise<Ended> =>
    plane.apply(records, "--wait", ...more);

  const first = await apply('{name: www, type: A, values: ["192.0.2.1"]}');
  assert.match(first.stderr, /is live on 2 edges/);
  assert.equal(await answers(), "192.0.2.1 192.0.2.1");

  // What every name changes goes to one edge first, which finds it good.
  const second = await apply('{name: www, type: A, values: ["192.0.2.2"]}');
  assert.match(second.stderr, /is live on 2 edges/);
  assert.equal(await answers(), "192.0.2.2 192.0.2.2");

  // The name is there still, and has nothing that anybody asks for.
  const bad = await apply('{name: www, type: SRV, values: ["0 0 1 ns.e2e.example."]}');
  assert.equal(bad.code, 3);
  assert.match(
    bad.stderr,
    /was taken back: edge "eu-[01]" refused it: no answers any more for www\.e2e\.example/,
  );
  assert.equal(await answers(), "192.0.2.2 192.0.2.2");
  await until("the documents of before", LOOK_MS_MAX, async () => {
    const shown = await meridian("describe", "Zone/e2e.example", "--state", control.stateDir);
    return shown.stdout.includes("192.0.2.2");
  });
  const history = await meridian("history", "--state", control.stateDir);
  assert.match(history.stdout, /rollback .*meridian/);

  // Who means it says so.
  const meant = await apply(
    '{name: www, type: SRV, values: ["0 0 1 ns.e2e.example."]}',
    ...["--publish", "immediate"],
  );
  assert.match(meant.stderr, /is live on 2 edges/);
  assert.equal(await answers(), " ");
});

test("an edge that clients get no answers from is noticed, though it found nothing itself", async (t) => {
  const { edges, control, ports, apply } = await startPlane(t);
  const address = '{name: www, type: A, values: ["192.0.2.1"]}';
  // Nothing of this type is asked when an edge asks itself.
  await apply(`${address}, {name: www, type: SRV, values: ["0 0 1 ns.e2e.example."]}`, "--wait");
  const clients = await Promise.all(ports.map((port) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  const query = queryFor("www.e2e.example", "SRV");
  let isOver = false;
  const asking = clients.map(async (client) => {
    while (!isOver) {
      // On a busy machine one may get lost: what counts is what edges say.
      await Promise.allSettled(Array.from({ length: BURST }, () => client.ask(query)));
      await sleep(BURST_PAUSE_MS);
    }
  });
  t.after(async () => {
    isOver = true;
    await Promise.all(asking);
  });
  // A baseline: each second edges say how they answer.
  await sleep(BASELINE_MS);
  const bad = await apply(address, "--publish", "progressive", "--wait");
  assert.equal(bad.code, 3, bad.stderr);
  assert.match(
    bad.stderr,
    /taken back: edge "eu-[01]" answers worse from it: no answers for [0-9.]+ % of what clients ask, 0\.0 % before/,
  );
  const served = edges.filter(({ log }) => /"msg":"Serving a new revision","revision":3/.test(log));
  assert.ok(served.length <= 1, "the other edge never served it");
  await until("the documents of before", LOOK_MS_MAX, async () => {
    const shown = await meridian("describe", "Zone/e2e.example", "--state", control.stateDir);
    return shown.stdout.includes("SRV");
  });
});

test("edges that fall silent while they check a revision take nothing back", async (t) => {
  const { control, edges, answers, apply } = await startPlane(t);
  await apply('{name: www, type: A, values: ["192.0.2.1"]}', "--wait");
  for (const edge of edges) edge.signal("SIGSTOP");
  const meant = await apply('{name: www, type: A, values: ["192.0.2.2"]}');
  assert.equal(meant.code, 0, meant.stderr);
  await sleep(SILENT_MS);
  for (const edge of edges) edge.signal("SIGCONT");
  await until("the new answers", LOOK_MS_MAX, async () => {
    return (await answers()) === "192.0.2.2 192.0.2.2";
  });
  assert.doesNotMatch(control.log, /taken back/);
});

test("a control that is killed while edges check a revision goes on with that", async (t) => {
  const { control, edges, answers, apply } = await startPlane(t);
  await apply('{name: www, type: A, values: ["192.0.2.1"]}', "--wait");
  assert.equal(await answers(), "192.0.2.1 192.0.2.1");
  // The edge that goes first says nothing about it until control is gone.
  for (const edge of edges) edge.signal("SIGSTOP");
  const bad = await apply('{name: www, type: SRV, values: ["0 0 1 ns.e2e.example."]}');
  assert.equal(bad.code, 0, bad.stderr);
  await control.kill();
  for (const edge of edges) edge.signal("SIGCONT");
  await control.start(/"msg":"Serving edges"/);
  await until("the revision to be taken back", LOOK_MS_MAX, async () => {
    assert.equal(await answers(), "192.0.2.1 192.0.2.1");
    return /A revision is taken back/.test(control.log);
  });
  assert.match(control.log, /refused it: no answers any more for www\.e2e\.example/);
  await until("the documents of before", LOOK_MS_MAX, async () => {
    const shown = await meridian("describe", "Zone/e2e.example", "--state", control.stateDir);
    return shown.stdout.includes("192.0.2.1");
  });
  const next = await apply('{name: www, type: A, values: ["192.0.2.2"]}', "--wait");
  assert.match(next.stderr, /is live on 2 edges/);
  assert.equal(await answers(), "192.0.2.2 192.0.2.2");
});

function zoneDocument(records: string): string {
  return `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: e2e.example}
spec:
  origin: e2e.example
  nameServers: [{name: ns.e2e.example, addresses: [127.0.0.1]}]
  records: [${records}]
`;
}
