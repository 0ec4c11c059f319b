// SPDX-License-Identifier: Apache-2.0

// One control, two edges, a probe and a vantage whose network is broken, as processes over loopback (the broken one lives here): what
// most of them see is what all answer, and edges that lose control judge by themselves.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Pcg32, systemClock } from "@meridian/core";
import { ReportLink, SILENT_LOGGER, readIdentity } from "@meridian/edge";
import { Vantage, probePlanIn } from "@meridian/health";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { latchedDocuments } from "./documents.ts";
import {
  PlaneProcess,
  joinedEdge,
  joinedFolder,
  startPairPlane,
  type JoinPlace,
} from "./edge-processes.ts";
import { busyFactor, freePort, meridian, until } from "./process.ts";

const LOOK_MS_MAX = 30_000;

test("a verdict is what most vantages see, and edges go on judging without control", async (t) => {
  const plane = await startPairPlane(
    t,
    { primary: "127.0.0.51", secondary: "127.0.0.52", intervalMs: 300, timeoutMs: 250 },
    latchedDocuments,
  );
  const { pair, primary, control, url } = plane;
  const ports = [await freePort(), await freePort()];
  const edges = await Promise.all(
    ports.map((port, index) => joinedEdge(t, plane, `edge-${index}`, port)),
  );
  const probeFolder = await joinedFolder(plane, "probe", "probe");
  const probe = new PlaneProcess(t, probeFolder, ["probe", "--control", url, "--site", "far"]);
  await Promise.all([
    ...edges.map((edge) => edge.start(/"msg":"Serving a new revision"/)),
    probe.start(/"msg":"Probing"/),
  ]);
  const { until: untilAll, all } = await clientsOf(t, ports);
  await untilAll("www", pair.primary);
  await untilStates(control, { live: 4 });

  // One vantage that reaches nothing changes nothing.
  const told = await blindVantage(t, plane);
  await until("reports of the blind one", LOOK_MS_MAX, () => told() > 8);
  assert.deepEqual(await all("www"), [[pair.primary], [pair.primary]]);
  const listed = await vantagesOf(control);
  assert.equal(listed.length, 5);
  assert.ok(listed.some(({ name, unhealthyCount }) => name === "blind" && unhealthyCount === 2));

  // What all of the others see is answered by all, and who saw it is told.
  primary.kill();
  await untilAll("www", pair.secondary);
  const history = await meridian("health", "history", "--state", control.stateDir);
  assert.match(
    history.stdout,
    /endpoint\/default\/primary\S* +unhealthy +healthy +\S+, .* of \d vantages: /,
  );
  const explained = await meridian("explain", "www.e2e.example", "--state", control.stateDir);
  assert.match(explained.stdout, /unhealthy since \S+Z: \d of \d vantages: .* \(\S+, \S+/);
  await primary.start();
  await untilAll("www", pair.primary);
  // Its failover does not go back by itself.
  await untilAll("manual", pair.secondary);

  // Control dies, then the endpoint that answers: both edges find out by themselves, and stay on the tier that they went to.
  await meridian("failback", "default/manual/tiers", "--yes", "--state", control.stateDir);
  await untilAll("manual", pair.primary);
  await control.kill();
  primary.kill();
  await untilAll("www", pair.secondary);
  await untilAll("manual", pair.secondary);
  for (const edge of edges) assert.match(edge.log, /"msg":"No control is heard of/);

  // Control is back, with what it remembers from before: nobody goes back to the dead one.
  const seen = watch(() => all("www"));
  await control.start(/"msg":"Serving edges"/);
  await Promise.all(edges.map((edge) => edge.whenLogged(/"msg":"Follows control again"/)));
  assert.deepEqual(await seen(), [pair.secondary]);
  await primary.start();
  await untilAll("www", pair.primary);
});

/** A vantage that reaches nothing at all, and says so; how often it did. */
async function blindVantage(t: TestContext, place: JoinPlace): Promise<() => number> {
  const stateDir = await joinedFolder(place, "blind");
  const identity = readIdentity(stateDir, "edge");
  let reports = 0;
  const vantage = new Vantage({
    name: "blind",
    site: "elsewhere",
    clock: systemClock,
    random: new Pcg32(1),
    onReport: (payload) => {
      reports += 1;
      link.report(payload);
    },
    onTransitions: () => {},
    createProbe: () => ({
      run: (done) => done({ outcome: "fail", reason: "no network" }),
      cancel: () => {},
      close: () => {},
    }),
  });
  const link = new ReportLink({
    url: place.url,
    identity: () => identity,
    version: "test",
    site: "elsewhere",
    logger: SILENT_LOGGER,
    onOpen: () => vantage.tick(),
    onSecrets: () => {},
    onPlan: ({ plan, live }, fetch) => {
      if (live !== undefined) vantage.setLive(place.url, live);
      if (plan === undefined || vantage.targets.size > 0) return;
      void fetch(plan.name, plan.bytes).then((content) => {
        const found = probePlanIn(new TextDecoder().decode(new Uint8Array(content).slice()));
        if (found !== undefined) vantage.setPlan(found, () => undefined);
      });
    },
  });
  t.after(async () => {
    link.close();
    await vantage.close();
  });
  vantage.start();
  link.start();
  return () => reports;
}

interface Clients {
  readonly all: (name: string) => Promise<string[][]>;
  readonly until: (name: string, address: string) => Promise<number>;
}

async function clientsOf(t: TestContext, ports: readonly number[]): Promise<Clients> {
  const clients = await Promise.all(ports.map((port) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  const all = (name: string): Promise<string[][]> =>
    Promise.all(clients.map((client) => ask(client, `${name}.e2e.example`, "A")));
  return {
    all,
    until: (name, address): Promise<number> =>
      until(`the answer ${address} of all`, LOOK_MS_MAX * busyFactor(), async () =>
        (await all(name)).every((found) => found.join(" ") === address),
      ),
  };
}

/** Asks on and on; the different answers until then. */
function watch(askAll: () => Promise<string[][]>): () => Promise<string[]> {
  const seen = new Set<string>();
  let isDone = false;
  const asking = (async () => {
    while (!isDone) {
      for (const found of await askAll()) seen.add(found.join(" "));
      await new Promise((done) => {
        setTimeout(done, 20);
      });
    }
  })();
  return async () => {
    isDone = true;
    await asking;
    return [...seen];
  };
}

interface Listed {
  readonly name: string;
  readonly state: string;
  readonly unhealthyCount: number;
}

async function vantagesOf({ stateDir }: PlaneProcess): Promise<Listed[]> {
  const { stdout } = await meridian("get", "vantages", "--state", stateDir, "-o", "json");
  const rows: Listed[] = JSON.parse(stdout);
  return rows;
}

async function untilStates(control: PlaneProcess, { live }: { live: number }): Promise<void> {
  await until(`${live} live vantages`, LOOK_MS_MAX * busyFactor(), async () => {
    const listed = await vantagesOf(control);
    return listed.filter(({ state }) => state === "live").length === live;
  });
}
