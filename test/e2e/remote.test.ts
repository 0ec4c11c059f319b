// SPDX-License-Identifier: Apache-2.0

// Commands against a server over HTTP with a token, as from another machine: documents from files to answers and back.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { document } from "./documents.ts";
import { ServerProcess, freePort, meridian, temporaryFolder } from "./process.ts";

const zoneSpec = { origin: "example.org", nameServers: [{ name: "ns1.example.net" }] };
const pool = (address: string): string =>
  document("Pool", "web", { members: { one: { address } } }) +
  document("Record", "www.example.org", { name: "www.example.org", pool: "web" });

test("documents are applied, shown, compared, rolled back and deleted with a token, by flag and by context", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "files");
  const stateDir = join(folder, "state");
  mkdirSync(files);
  writeFileSync(join(files, "zone.yaml"), document("Zone", "example.org", zoneSpec));
  const http = `127.0.0.1:${await freePort()}`;
  const server = await ServerProcess.start(t, { files, stateDir, flags: ["--http", http] });
  process.env["XDG_CONFIG_HOME"] = join(folder, "config");
  t.after(() => delete process.env["XDG_CONFIG_HOME"]);

  const [tokenFile, web] = [join(folder, "token"), join(folder, "web.yaml")];
  const made = await meridian("token", "create", "ci", "--role", "admin", "--state", stateDir);
  writeFileSync(tokenFile, made.stdout);
  const remote = ["--server", `http://${http}`, "--token-file", tokenFile];
  const run = async (...args: readonly string[]): Promise<readonly [number | null, string]> => {
    const { code, stdout, stderr } = await meridian(...args, ...remote);
    return [code, stdout + stderr];
  };

  writeFileSync(web, pool("192.0.2.7"));
  assert.deepEqual(await run("diff", "-f", web).then(([code]) => code), 10);
  const [applied, said] = await run("apply", "-f", web, "--reason", "new");
  assert.equal(applied, 0, said);
  assert.match(said, /Pool\/default\/web created\nRecord\/default\/www\.example\.org created/);
  assert.deepEqual(await run("diff", "-f", web).then(([code]) => code), 0);
  assert.match((await run("explain", "www.example.org"))[1], /192\.0\.2\.7/);
  assert.match(
    (await run("describe", "Pool/default/web"))[1],
    /owner: api[^]*address: 192\.0\.2\.7/,
  );

  writeFileSync(web, pool("nonsense"));
  const [wrong, problems] = await run("apply", "-f", web);
  assert.equal(wrong, 2);
  assert.ok(problems.includes(`${web}:2: error: `), problems);
  assert.equal((await run("delete", "Pool/web"))[0], 3);
  assert.equal((await run("describe", "Pool/nope"))[0], 4);
  assert.equal((await run("delete", "Pool/web", "--cascade", "--yes"))[0], 0);
  assert.match((await run("history", "Pool/web"))[1], /delete +ci [^]*apply +ci .*new/);
  assert.match((await run("rollback", "2", "--yes"))[1], /Pool\/default\/web created/);

  assert.equal((await meridian("context", "set", "prod", ...remote)).code, 0);
  const listed = await meridian("get", "Pool", "--output", "yaml");
  assert.match(listed.stdout, /name: web/);
  assert.match((await meridian("audit", "verify")).stdout, /chains are whole/);
  writeFileSync(tokenFile, "mrd_0123456789_x");
  assert.equal((await meridian("get", "Pool")).code, 3);
  await server.stop();
  assert.equal((await meridian("get", "Pool")).code, 5);
});

test("documents of the API are answered after a kill and by a process that replaces another, which takes changes", async (t) => {
  const folder = temporaryFolder(t);
  const [files, web] = [join(folder, "zone.yaml"), join(folder, "web.yaml")];
  const stateDir = join(folder, "state");
  const port = await freePort();
  const setup = { files, stateDir, port };
  writeFileSync(files, document("Zone", "example.org", zoneSpec));
  writeFileSync(web, pool("192.0.2.7"));
  const killed = await ServerProcess.start(t, setup);
  assert.equal((await meridian("apply", "-f", web, "--state", stateDir)).code, 0);
  await killed.kill();

  const old = await ServerProcess.start(t, setup);
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  assert.deepEqual(await ask(client, "www.example.org", "A"), ["192.0.2.7"]);
  const replacement = await ServerProcess.start(t, { ...setup, flags: ["--replace"] });
  assert.equal(await old.whenEnded(), 0);
  assert.deepEqual(await ask(client, "www.example.org", "A"), ["192.0.2.7"]);
  writeFileSync(web, pool("192.0.2.8"));
  const changed = await meridian("apply", "-f", web, "--state", stateDir);
  assert.equal(changed.code, 0, changed.stderr);
  // The next one finds what both wrote.
  assert.equal(await replacement.stop(), 0);
  const last = await ServerProcess.start(t, setup);
  assert.deepEqual(await ask(client, "www.example.org", "A"), ["192.0.2.8"]);
  assert.equal(await last.stop(), 0);
});
