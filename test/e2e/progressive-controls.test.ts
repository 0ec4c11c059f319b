// SPDX-License-Identifier: Apache-2.0

// Two controls on one store. The one that has the edges dies while they check a revision: the other, which had nobody to ask, neither
// sends it to all, nor forgets it. And a change that is to be checked, whatever its size, is so at the other control.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { EtcdCluster, etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { udpClient } from "../conformance/dns-client.ts";
import { askControl } from "../faults/cluster.ts";
import { ask } from "./ask.ts";
import { PlaneProcess, joinedFolder } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until, type Ended } from "./process.ts";

const LOOK_MS_MAX = 60_000;
/** One name more or less of them is a small change. */
const NAMES = 200;

interface Scene {
  readonly controls: readonly PlaneProcess[];
  readonly edges: readonly PlaneProcess[];
  readonly answers: () => Promise<string>;
  readonly apply: (control: number, records: string, ...more: string[]) => Promise<Ended>;
}

async function startScene(t: TestContext): Promise<Scene> {
  const folder = temporaryFolder(t);
  const etcd = await EtcdCluster.start({ members: 1 });
  t.after(() => etcd.close());
  const ports = [await freePort(), await freePort()];
  const store = `etcd://${etcd.endpoints()}/staged`;
  const controls = ports.map((port, index) => {
    const given = ["control", "--store", store, "--edges", `127.0.0.1:${port}`, "--http", "none"];
    return new PlaneProcess(t, join(folder, `c${index}`), [...given, "--name", `c${index}`]);
  });
  const [first, second] = controls;
  assert.ok(first !== undefined && second !== undefined);
  await first.start(/"msg":"Serving edges"/);
  const key = join("identity", "sealing.key");
  mkdirSync(join(second.stateDir, "identity"), { recursive: true, mode: 0o700 });
  copyFileSync(join(first.stateDir, key), join(second.stateDir, key));
  await second.start(/"msg":"Serving edges"/);
  const apply = async (
    control: number,
    records: string,
    ...more: readonly string[]
  ): Promise<Ended> => {
    const path = join(folder, "zone.yaml");
    writeFileSync(path, zoneDocument(records));
    return meridian("apply", "-f", path, "--state", controls[control]?.stateDir ?? "", ...more);
  };
  assert.equal((await apply(0, '{name: www, type: A, values: ["192.0.2.1"]}')).code, 0);
  const urls = ports.map((port) => `https://127.0.0.1:${port}`);
  const dnsPorts = [await freePort(), await freePort()];
  const place = { folder, control: first, url: urls[0] ?? "" };
  const edges = await Promise.all(
    dnsPorts.map(async (port, index) => {
      const stateDir = await joinedFolder(place, `eu-${index}`);
      const known = urls.flatMap((url) => ["--control", url]);
      const listen = `127.0.0.1:${port}`;
      const process = new PlaneProcess(t, stateDir, [
        ...["edge", ...known, "--listen", listen, "--workers", "1"],
      ]);
      await process.start(/"msg":"Serving a new revision"/);
      return process;
    }),
  );
  const clients = await Promise.all(dnsPorts.map((port) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  const answers = async (): Promise<string> => {
    const found = await Promise.all(
      clients.map((client) => ask(client, "www.staged.example", "A")),
    );
    return found.map((addresses) => addresses.join("+")).join(" ");
  };
  return { controls, edges, answers, apply };
}

test(
  "a revision that edges of a control check when it dies is checked at the next one",
  { skip: etcdMissing() },
  async (t) => {
    const { controls, edges, answers, apply } = await startScene(t);
    const [first, second] = controls;
    assert.ok(first !== undefined && second !== undefined);
    await until("the first answers", LOOK_MS_MAX, async () => {
      return (await answers()) === "192.0.2.1 192.0.2.1";
    });
    // Before the first zones there was nothing to check them against: no edge began without any.
    for (const { log } of edges) assert.equal(log.match(/Serving a new revision/g)?.length, 1, log);
    for (const edge of edges) edge.signal("SIGSTOP");
    const bad = await apply(0, '{name: www, type: SRV, values: ["0 0 1 ns.staged.example."]}');
    assert.equal(bad.code, 0, bad.stderr);
    await first.kill();
    for (const edge of edges) edge.signal("SIGCONT");
    await until("the revision to be taken back", LOOK_MS_MAX, async () => {
      assert.equal(await answers(), "192.0.2.1 192.0.2.1");
      return /A revision is taken back/.test(second.log);
    });
    assert.match(second.log, /refused it: no answers any more for www\.staged\.example/);
    await until("the documents of before", LOOK_MS_MAX, async () => {
      const shown = await meridian("describe", "Zone/staged.example", "--state", second.stateDir);
      return shown.stdout.includes("192.0.2.1");
    });
    // What it finds of what its disk holds is what all of them know.
    await first.start(/"msg":"Serving edges"/);
    // Whoever is asked knows the edges of all controls.
    const next = await apply(0, '{name: www, type: A, values: ["192.0.2.2"]}', "--wait");
    assert.match(next.stderr, /is live on 2 edges/);
    assert.equal(await answers(), "192.0.2.2 192.0.2.2");

    // The one without edges is asked, and the other has them: they cannot answer, so what goes to one of them first stays so.
    for (const edge of edges) edge.signal("SIGSTOP");
    const wished = '{name: www, type: A, values: ["192.0.2.3"]}';
    const applied = await apply(0, wished, "--publish", "progressive", "--output", "json");
    assert.equal(applied.code, 0, applied.stderr);
    const { snapshot }: { readonly snapshot: number } = JSON.parse(applied.stdout);
    const canaries: string[] = [];
    await until("the change at the other control", LOOK_MS_MAX, async () => {
      const found = await publicationAt(second, snapshot);
      canaries.push(...(found.canaries ?? []));
      return canaries.length > 0;
    });
    for (const edge of edges) edge.signal("SIGCONT");
    await until("the change at both edges", LOOK_MS_MAX, async () => {
      return (await answers()) === "192.0.2.3 192.0.2.3";
    });
  },
);

async function publicationAt(
  { stateDir }: PlaneProcess,
  revision: number,
): Promise<{ readonly canaries?: readonly string[] }> {
  const asking = { method: "GET", path: `/v1/publication?revision=${revision}` } as const;
  const { status, body } = await askControl({ stateDir }, asking);
  assert.equal(status, 200, body);
  const view: { readonly canaries?: readonly string[] } = JSON.parse(body);
  return view;
}

function zoneDocument(records: string): string {
  const others = Array.from(
    { length: NAMES },
    (_, index) => `, {name: n${index}, type: A, values: ["192.0.2.9"]}`,
  ).join("");
  return `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: staged.example}
spec:
  origin: staged.example
  nameServers: [{name: ns.staged.example, addresses: [127.0.0.1]}]
  records: [${records}${others}]
`;
}
