// SPDX-License-Identifier: Apache-2.0

// A check with a secret header, and a zone with a key: control and an edge probe with the one, the edge signs with the other, also
// without control and after a start of its own; and nowhere but where control was given them, in no file and no log, are they in clear.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { RRType, Rcode, TsigSession, encodeMessage, makeQuery, parseName } from "@meridian/dns";
import { readIdentity } from "@meridian/edge";
import { openSecrets } from "@meridian/snapshot";
import { PlaneProcess, joinedEdge, joinedFolder } from "./edge-processes.ts";
import { freePort, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 30_000;
const SECRET = "Bearer b7d1e0planted4f2c9a";
const KEY = Buffer.from("4be1planted2cd0key").toString("base64");

test("secrets reach who needs them, and lie nowhere in clear", async (t) => {
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
  writeFileSync(join(controlState, "secrets", "default", "transfer-key"), `${KEY}\n`);

  const controlPort = await freePort();
  const url = `https://127.0.0.1:${controlPort}`;
  const control = new PlaneProcess(t, controlState, [
    ...["control", "-f", files, "--edges", `127.0.0.1:${controlPort}`, "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const dnsPort = await freePort();
  const edge = await joinedEdge(t, { folder, control, url }, "eu-1", dnsPort);
  await edge.start(/"msg":"Probing"/);
  await until("an answer that is signed", LOOK_MS_MAX, () => isAnsweredSigned(dnsPort));
  await until("a probe with the secret", LOOK_MS_MAX, () => seen.right > 0);
  const sealed = join(edge.stateDir, "secrets.sealed");
  await until("sealed secrets on disk", LOOK_MS_MAX, () =>
    readdirSync(edge.stateDir).includes("secrets.sealed"),
  );
  assert.ok(readFileSync(sealed).length > 0);

  // Who probes and answers nobody is sent what probes need, and no key of a zone.
  const far = await joinedFolder({ folder, control, url }, "far", "probe");
  const probe = new PlaneProcess(t, far, ["probe", "--control", url, "--site", "far"]);
  await probe.start(/"msg":"Probing"/);
  await until("secrets of the probe", LOOK_MS_MAX, () =>
    readdirSync(far).includes("secrets.sealed"),
  );
  const { edge: name, key } = readIdentity(far, "probe");
  const opened = openSecrets(
    name,
    createPrivateKey(key),
    readFileSync(join(far, "secrets.sealed")),
  );
  assert.deepEqual([...(opened?.values() ?? [])], [SECRET]);
  await probe.kill();

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
  await until("an answer that is signed by the edge alone", LOOK_MS_MAX, () =>
    isAnsweredSigned(dnsPort),
  );

  const found = filesIn(folder).filter((path) => holds(readFileSync(path)));
  const given = join(controlState, "secrets", "default");
  assert.deepEqual(found.toSorted(), [join(given, "probe-token"), join(given, "transfer-key")]);
  for (const log of [...logs, edge.log]) assert.ok(!holds(Buffer.from(log)));
});

/** Whether bytes have the secret, as it is or as it is commonly written. */
function holds(content: Buffer): boolean {
  const [, token = ""] = SECRET.split(" ");
  const key = Buffer.from(KEY, "base64");
  const forms = [
    ...[token, Buffer.from(token).toString("hex"), Buffer.from(SECRET).toString("base64")],
    ...[KEY, key.toString("hex"), key.toString("latin1")],
  ];
  return forms.some((form) => content.includes(form.replace(/=+$/, "")));
}

/** Whether a query that is signed with the zone's key is answered with a right signature. */
async function isAnsweredSigned(port: number): Promise<boolean> {
  const [name, zone] = [parseName("xfr.example."), parseName("e2e.example.")];
  assert.ok(name instanceof Uint8Array && zone instanceof Uint8Array);
  const session = new TsigSession({
    ...{ name, algorithm: "hmac-sha256", secret: Buffer.from(KEY, "base64") },
  });
  const nowSeconds = (): number => Math.floor(Date.now() / 1000);
  const socket = createSocket("udp4");
  try {
    socket.send(session.sign(encodeMessage(makeQuery(zone, RRType.SOA)), nowSeconds()), port);
    const [answer]: unknown[] = await once(socket, "message", {
      signal: AbortSignal.timeout(1000),
    });
    assert.ok(answer instanceof Uint8Array);
    return session.verifyNext(answer, nowSeconds()) === Rcode.NOERROR;
  } catch {
    return false;
  } finally {
    socket.close();
  }
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
    document(
      "Zone",
      "e2e.example",
      [
        "{origin: e2e.example, nameServers: [{name: ns.example.net}]",
        "tsigKeys: {xfr.example: {secret: {file: transfer-key}}}",
        "transfers: {allow: [{key: xfr.example}]}}",
      ].join(", "),
    ),
    document("Record", "www.e2e.example", "{name: www.e2e.example, pool: web}"),
  ].join("---\n");
}
