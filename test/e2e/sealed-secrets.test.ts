// SPDX-License-Identifier: Apache-2.0

// A check with a secret header: control and an edge probe with it, the edge also without control and after a start of its own; and nowhere
// but where control was given it, in no file and no log, is it in clear.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { freePort, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 30_000;
const SECRET = "Bearer b7d1e0planted4f2c9a";

test("a secret header reaches an edge, and lies nowhere in clear", async (t) => {
  const folder = temporaryFolder(t);
  const seen = { right: 0, wrong: 0 };
  const server = createServer((request, response) => {
    const isRight = request.headers.authorization === SECRET;
    seen[isRight ? "right" : "wrong"] += 1;
    response.writeHead(isRight ? 200 : 401).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const files = join(folder, "documents.yaml");
  writeFileSync(files, documents(address.port));
  const controlState = join(folder, "control");
  mkdirSync(join(controlState, "secrets", "default"), { recursive: true });
  writeFileSync(join(controlState, "secrets", "default", "probe-token"), `${SECRET}\n`);

  const controlPort = await freePort();
  const url = `https://127.0.0.1:${controlPort}`;
  const control = new PlaneProcess(t, controlState, [
    ...["control", "-f", files, "--edges", `127.0.0.1:${controlPort}`, "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const edge = await joinedEdge(t, { folder, control, url }, "eu-1", await freePort());
  await edge.start(/"msg":"Probing"/);
  await until("a probe with the secret", LOOK_MS_MAX, () => seen.right > 0);
  const sealed = join(edge.stateDir, "secrets.sealed");
  await until("sealed secrets on disk", LOOK_MS_MAX, () =>
    readdirSync(edge.stateDir).includes("secrets.sealed"),
  );
  assert.ok(readFileSync(sealed).length > 0);

  // Only the edge is left.
  await control.kill();
  const atDeath = seen.right;
  await until("probes of the edge alone", LOOK_MS_MAX, () => seen.right > atDeath + 2);
  const logs = [edge.log, control.log];
  await edge.kill();
  const atStart = seen.right;
  await edge.start(/"msg":"Probing"/);
  await until("probes after a start without control", LOOK_MS_MAX, () => seen.right > atStart + 1);
  assert.equal(seen.wrong, 0);

  const found = filesIn(folder).filter((path) => holds(readFileSync(path)));
  assert.deepEqual(found, [join(controlState, "secrets", "default", "probe-token")]);
  for (const log of [...logs, edge.log]) assert.ok(!holds(Buffer.from(log)));
});

/** Whether bytes have the secret, as it is or as it is commonly written. */
function holds(content: Buffer): boolean {
  const [, token = ""] = SECRET.split(" ");
  const forms = [token, Buffer.from(token).toString("hex"), Buffer.from(SECRET).toString("base64")];
  return forms.some((form) => content.includes(form.replace(/=+$/, "")));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function documents(port: number): string {
  const document = (kind: string, name: string, spec: string): string =>
    `apiVersion: meridian.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
  return [
    document(
      "HealthCheck",
      "web",
      "{http: {secretHeaders: {Authorization: {file: probe-token}}}, interval: 400ms, timeout: 300ms}",
    ),
    document(
      "Pool",
      "web",
      `{healthCheck: web, members: {a: {address: 127.0.0.1, port: ${port}}}}`,
    ),
    document("Zone", "e2e.example", "{origin: e2e.example, nameServers: [{name: ns.example.net}]}"),
    document("Record", "www.e2e.example", "{name: www.e2e.example, pool: web}"),
  ].join("---\n");
}
