// SPDX-License-Identifier: Apache-2.0

// One control and two edges, as processes over loopback: what control says is answered by both, and what happens to control is not.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { failoverDocuments } from "./documents.ts";
import { joinedEdge, startPairPlane } from "./edge-processes.ts";
import { busyFactor, freePort, meridian, until } from "./process.ts";

const LOOK_MS_MAX = 60_000;
const OVERLAY_MS_MAX = 1000;

test("two edges answer what control says, and go on without it", async (t) => {
  const plane = await startPairPlane(
    t,
    { primary: "127.0.0.41", secondary: "127.0.0.42", intervalMs: 400, timeoutMs: 300 },
    failoverDocuments,
  );
  const { files, pair, primary, control, folder } = plane;
  const ports = [await freePort(), await freePort()];
  const edges = await Promise.all(
    ports.map((port, index) => joinedEdge(t, plane, `eu-${index}`, port)),
  );
  await Promise.all(edges.map((edge) => edge.start(/"msg":"Serving a new revision"/)));
  const askAll = await clientsOf(t, ports);
  await untilAll(askAll, pair.primary);

  // A dead endpoint is gone from the answers of both, by control's verdict.
  primary.kill();
  await untilAll(askAll, pair.secondary);
  await primary.start();
  await untilAll(askAll, pair.primary);

  // So is a change of the documents.
  writeFileSync(
    files,
    failoverDocuments({ ...pair, primary: pair.secondary, secondary: pair.primary }),
  );
  await untilAll(askAll, pair.secondary);
  const listed = await meridian("get", "edges", "--state", control.stateDir, "-o", "json");
  const shown = edgesIn(listed.stdout);
  assert.deepEqual(
    shown.map(({ name, connected, revision }) => ({ name, connected, revision })),
    [
      { name: "eu-0", connected: true, revision: 2 },
      { name: "eu-1", connected: true, revision: 2 },
    ],
  );

  assert.match(listed.stdout, /"dns": \[\s*"127\.0\.0\.\d+:\d+"/, "where it answers");
  const table = await meridian("get", "edges", "--state", control.stateDir);
  const tomorrow = new Date(Date.now() + 24 * 3_600_000).toISOString().slice(0, 10);
  assert.match(table.stdout, new RegExp(`CERT ENDS.*\\n.* ${tomorrow}T\\S+Z`));

  // Who applies a document can wait until both serve it; one that is gone holds that up for 3 s.
  const document = join(folder, "pool.yaml");
  writeFileSync(document, poolDocument);
  const applied = await meridian("apply", "-f", document, "--wait", "--state", control.stateDir);
  assert.match(applied.stderr, /Snapshot 3 is live on 2 edges$/m);
  const [, last] = edges;
  assert.ok(last !== undefined);
  await last.kill();
  writeFileSync(document, poolDocument.replace("192.0.2.1", "192.0.2.2"));
  const late = await meridian("apply", "-f", document, "--wait", "--state", control.stateDir);
  assert.match(late.stderr, /Snapshot 4 is live on 1 edge; nothing was heard of eu-1$/m);
  await last.start(/"msg":"Serving a new revision"/);

  // Control dies: answers stay, and an edge that starts without it answers from its disk and says how old that is.
  await control.kill();
  await Promise.all(edges.map((edge) => edge.whenLogged(/"msg":"Control is out of reach/)));
  assert.deepEqual(await askAll(), [[pair.secondary], [pair.secondary]]);
  // The overlay is on disk at most a second after a change.
  await new Promise((done) => {
    setTimeout(done, OVERLAY_MS_MAX);
  });
  const [first] = edges;
  assert.ok(first !== undefined);
  await first.kill();
  await first.start(/"msg":"Answering"/);
  assert.match(first.log, /"ageMs":\d+,"msg":"Serving the stored revision"/);
  assert.deepEqual(await askAll(), [[pair.secondary], [pair.secondary]]);

  // Control is back: both follow it again.
  writeFileSync(files, failoverDocuments(pair));
  await control.start(/"msg":"Serving edges"/);
  const manifest = join(first.stateDir, "manifest.json");
  // For a moment, while the next one takes its place, it is not there.
  await until(
    "the new revision at an edge",
    LOOK_MS_MAX,
    () => existsSync(manifest) && readFileSync(manifest, "utf8").includes('"revision": 5,'),
  );
  await untilAll(askAll, pair.primary);

  // A revoked edge is cut off; it goes on with what it has, and is shown as what it is.
  const revoked = await meridian("edge", "revoke", "eu-1", "--yes", "--state", control.stateDir);
  assert.equal(revoked.code, 0, revoked.stderr);
  await last.whenLogged(/has revoked its certificate/);
  const after = await meridian("get", "edges", "--state", control.stateDir);
  assert.match(after.stdout, /eu-1 +false +revoked/);
  assert.deepEqual(await askAll(), [[pair.primary], [pair.primary]]);
});

const poolDocument = `apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: spare }
spec:
  members:
    extra: { address: 192.0.2.1, port: 80 }
`;

async function clientsOf(
  t: TestContext,
  ports: readonly number[],
): Promise<() => Promise<string[][]>> {
  const clients = await Promise.all(ports.map((port) => udpClient("127.0.0.1", port)));
  t.after(() => clients.forEach((client) => client.close()));
  return () => Promise.all(clients.map((client) => ask(client, "www.e2e.example", "A")));
}

async function untilAll(askAll: () => Promise<string[][]>, address: string): Promise<void> {
  await until(`the answer ${address} of all`, LOOK_MS_MAX * busyFactor(), async () =>
    (await askAll()).every((found) => found.join(" ") === address),
  );
}

function edgesIn(
  text: string,
): { readonly name: unknown; readonly connected: unknown; readonly revision: unknown }[] {
  const rows: unknown = JSON.parse(text);
  assert.ok(Array.isArray(rows));
  return rows.map((row: unknown) => {
    assert.ok(typeof row === "object" && row !== null);
    const member = (name: string): unknown => Reflect.get(row, name);
    return { name: member("name"), connected: member("connected"), revision: member("revision") };
  });
}
