// SPDX-License-Identifier: Apache-2.0

// Split horizon as its clients have it: who sees what, by address and by key, signed, changed by nsupdate, logged and asked again.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { needs } from "../needs.ts";
import {
  ServerProcess,
  busyFactor,
  freePort,
  meridian,
  temporaryFolder,
  until,
} from "./process.ts";

const run = promisify(execFile);
const SERVED_MS_MAX = 30_000;
const secret = "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCBrZXk=";
const dnssec =
  "{ dnskeyTtl: 1s, maxZoneTtl: 2s, propagationDelay: 1s, parentServers: [{ address: 127.0.0.1, port: 1 }] }";
const documents = `
apiVersion: meridian.dev/v1alpha1
kind: View
metadata: { name: staff }
spec:
  priority: 1
  match: [{ key: ddns.staff }]
  tsigKeys: { ddns.staff: { secret: { file: ddns } } }
---
apiVersion: meridian.dev/v1alpha1
kind: View
metadata: { name: internal }
spec: { priority: 2, match: [{ clients: [127.0.0.2/32] }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: outer }
spec:
  origin: example.org
  ttl: 2s
  nameServers: [{ name: ns1.example.org, addresses: [192.0.2.53] }]
  records: [{ name: www, type: A, values: [192.0.2.1] }]
  dnssec: ${dnssec}
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: inner }
spec:
  origin: example.org
  view: internal
  ttl: 2s
  nameServers: [{ name: ns1.example.org, addresses: [127.0.0.1] }]
  records: [{ name: www, type: A, values: [10.0.0.1] }]
  tsigKeys: { ddns.inner: { secret: { file: ddns } } }
  updates: { mode: store, allow: [{ key: ddns.inner }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: of-staff }
spec:
  origin: example.org
  view: staff
  ttl: 2s
  nameServers: [{ name: ns1.example.org, addresses: [10.0.0.53] }]
  tsigKeys: { ddns.staff: { secret: { file: ddns } } }
  updates: { mode: store, allow: [{ key: ddns.staff }] }
`;

const skip = needs("nsupdate", "bind9-dnsutils") || needs("delv", "bind9-dnsutils");

test(
  "views are signed, take updates of who sees them, and are in the query log",
  { skip },
  async (t) => {
    const folder = temporaryFolder(t);
    const [files, stateDir, log] = ["a.yaml", "state", "queries.log"].map((name) =>
      join(folder, name),
    );
    assert.ok(files !== undefined && stateDir !== undefined && log !== undefined);
    writeFileSync(files, documents);
    const secrets = join(stateDir, "secrets", "default");
    mkdirSync(secrets, { recursive: true, mode: 0o700 });
    writeFileSync(join(secrets, "ddns"), secret, { mode: 0o600 });
    const port = await freePort();
    const flags = ["--no-probing", "--query-log", log, "--query-log-sample", "1"];
    await ServerProcess.start(t, { files, stateDir, port, flags });
    const command = (...words: readonly string[]): ReturnType<typeof meridian> =>
      meridian(...words, "--state", stateDir);
    const at = ["@127.0.0.1", "-p", String(port)];
    const addressOf = async (name: string, ...words: readonly string[]): Promise<string> => {
      const { stdout } = await run("dig", [...at, "+norec", "+short", ...words, name, "A"]);
      return stdout.trim();
    };
    const served = (what: string, holds: () => Promise<boolean>): Promise<unknown> =>
      until(what, SERVED_MS_MAX * busyFactor(), holds);

    let ds: string[] = [];
    await served("a DS", async () => {
      const { stdout } = await command("dnssec", "ds", "example.org");
      ds = stdout.split("\n").filter((line) => / IN DS /.test(line));
      return ds.length === 1;
    });
    const anchor = join(folder, "anchor.conf");
    const [tag, algorithm, kind, digest] = (ds[0] ?? "").split(" DS ")[1]?.split(" ") ?? [];
    writeFileSync(
      anchor,
      `trust-anchors { "example.org." static-ds ${tag} ${algorithm} ${kind} "${digest}"; };\n`,
    );
    for (const [source, address] of [
      ["127.0.0.1", "192.0.2.1"],
      ["127.0.0.2", "10.0.0.1"],
    ] as const) {
      const { stdout, stderr } = await run("delv", [
        ...[...at, "-b", source, "-a", anchor, "+root=example.org", "www.example.org", "A"],
      ]);
      assert.match(`${stdout}${stderr}`, /fully validated/);
      assert.ok(stdout.includes(address), stdout);
    }

    const add = (name: string, address: string): string => `update add ${name} 2 A ${address}`;
    const inner = await nsupdate(
      port,
      "ddns.inner",
      "127.0.0.2",
      add("new.example.org", "10.0.0.7"),
    );
    assert.deepEqual(inner, { code: 0, output: "" });
    const other = await nsupdate(
      port,
      "ddns.inner",
      "127.0.0.1",
      add("new.example.org", "10.0.0.8"),
    );
    assert.match(
      other.output,
      /update failed: REFUSED/,
      "who does not see the zone cannot change it",
    );
    const staff = await nsupdate(
      port,
      "ddns.staff",
      "127.0.0.1",
      add("new.example.org", "10.9.9.9"),
    );
    assert.deepEqual(staff, { code: 0, output: "" });
    await served("what was added", async () => {
      const found = await Promise.all([
        addressOf("new.example.org", "-b", "127.0.0.2"),
        addressOf("new.example.org", "-y", `hmac-sha256:ddns.staff:${secret}`),
      ]).catch(() => []);
      return found.join() === "10.0.0.7,10.9.9.9";
    });
    assert.equal(await addressOf("new.example.org"), "");

    const { stdout: sets } = await command("get", "RecordSet");
    assert.match(sets, /^default +new\.example\.org-a-internal +internal /m);
    assert.match(sets, /^default +new\.example\.org-a-staff +staff /m);

    // Its name server is this one, which shows others another zone.
    const examined = async (...words: readonly string[]): Promise<string> => {
      const how = ["--port", String(port), "--seconds", "5", "--parent", "127.0.0.1:1"];
      const { stdout, stderr } = await command("doctor", ...words, ...how, "--output", "plain");
      return `${stdout}${stderr}`;
    };
    assert.match(await examined("example.org@internal"), /expected --from ADDRESS/);
    const said = await examined("example.org@internal", "--from", "127.0.0.2");
    assert.match(said, /^example\.org@internal: 0 errors/m, said);
    assert.match(said, /server-single/);

    const seen = new Map<string | undefined, string>();
    await served("lines of the log", () => {
      for (const text of readFileSync(log, "utf8").trim().split("\n")) {
        const line: { name?: string; view?: string; type?: string } = JSON.parse(text || "{}");
        // Without DO: signatures are made at random.
        if (line.name === "new.example.org." && line.type === "A") seen.set(line.view, text);
      }
      return Promise.resolve(seen.size === 3);
    });
    assert.deepEqual(new Set(seen.keys()), new Set(["internal", "staff", undefined]));
    for (const [view, text] of seen) {
      const { stdout, stderr } = await command("explain", "--replay", text);
      assert.match(stdout, /byte for byte/, `${view}: ${stdout}${stderr}`);
    }
  },
);

/** Sends an update from an address, signed. */
async function nsupdate(
  port: number,
  key: string,
  source: string,
  line: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn("nsupdate", ["-y", `hmac-sha256:${key}:${secret}`]);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  const ended = Promise.withResolvers<number | null>();
  child.on("close", (code) => ended.resolve(code));
  child.stdin.end(
    [`server 127.0.0.1 ${port}`, `local ${source}`, "zone example.org", line, "send", ""].join(
      "\n",
    ),
  );
  return { code: await ended.promise, output };
}
