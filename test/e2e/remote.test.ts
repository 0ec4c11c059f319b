// SPDX-License-Identifier: Apache-2.0

// Commands against a server over HTTP with a token, as from another machine: documents from files to answers and back.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { document } from "./documents.ts";
import { ServerProcess, freePort, meridian, temporaryFolder } from "./process.ts";

const pool = (address: string): string =>
  document("Pool", "web", { members: { one: { address } } }) +
  document("Record", "www.example.org", { name: "www.example.org", pool: "web" });

test("documents are applied, shown, compared, rolled back and deleted with a token, by flag and by context", async (t) => {
  const folder = temporaryFolder(t);
  const files = join(folder, "files");
  const stateDir = join(folder, "state");
  mkdirSync(files);
  writeFileSync(
    join(files, "zone.yaml"),
    document("Zone", "example.org", {
      origin: "example.org",
      nameServers: [{ name: "ns1.example.net" }],
    }),
  );
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
