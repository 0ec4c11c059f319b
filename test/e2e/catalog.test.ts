// SPDX-License-Identifier: Apache-2.0

// Catalogs of zones (RFC 9432), as Knot and BIND take one from us, and we from BIND: whatever zone comes is there as well a moment later,
// signed or not, and one that goes is gone.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { needs } from "../needs.ts";
import {
  startBindConsumer,
  startKnotConsumer,
  type ConsumerSetup,
} from "../peers/catalog-consumers.ts";
import { ServerProcess, freePort, temporaryFolder, until } from "./process.ts";

const run = promisify(execFile);
const TAKEN_MS_MAX = 60_000;

const head = "$TTL 0\n@ SOA ns1 hostmaster 1 1 1 86400 5\n";
const member = `${head}@ NS ns1\nns1 A 192.0.2.54\n`;
/** What BIND is the primary of. */
const produced = {
  "produced.test": `${head}@ NS invalid.\nversion TXT "2"\na.zones PTR one.test.\n`,
  "second.produced.test": `${head}@ NS invalid.\nversion TXT "2"\nb.zones PTR two.test.\n`,
  "one.test": member,
  "two.test": member,
};

test(
  "Knot and BIND have every zone of a catalog, and no other; so have we of catalogs of BIND",
  {
    skip:
      needs("knotd", "knot") ||
      needs("named", "bind9") ||
      needs("nsupdate", "bind9-dnsutils") ||
      needs("kdig", "knot-dnsutils"),
  },
  async (t) => {
    const folder = temporaryFolder(t);
    const [primary, knot, bind] = [await freePort(), await freePort(), await freePort()];
    const files = join(folder, "files");
    mkdirSync(files);
    const write = (origin: string, spec: string, label = "carried"): void =>
      writeFileSync(
        join(files, `${origin}.yaml`),
        `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: ${origin}, labels: { by: ${label} } }
spec:
  origin: ${origin}
  transfers:
    allow: [{ clients: [127.0.0.0/8] }]
    notify: [{ address: 127.0.0.1, port: ${knot} }, { address: 127.0.0.1, port: ${bind} }]
${spec}
`,
      );
    const data = "  nameServers: [{ name: ns.example.net }]\n";
    write("catalog.test", "  catalog: { labels: { by: carried } }\n");
    write("first.test", data);
    write("other.test", data, "nobody");
    for (const origin of ["produced.test", "second.produced.test"])
      writeFileSync(join(files, `${origin}.yaml`), secondaryOf(origin, bind));
    const server = await ServerProcess.start(t, {
      files,
      stateDir: join(folder, "state"),
      port: primary,
    });
    const setup = (name: string): ConsumerSetup => {
      mkdirSync(join(folder, name));
      return { folder: join(folder, name), primary, catalog: "catalog.test" };
    };
    await startKnotConsumer(t, knot, setup("knot"));
    await startBindConsumer(t, bind, setup("bind"), { zones: produced, notified: primary });
    const answers = async (port: number, origin: string): Promise<boolean> => {
      const how = ["@127.0.0.1", "-p", String(port), "+retry=0", "+timeout=1", "+norec"];
      const asked = run("kdig", [...how, "+dnssec", origin, "NS"]);
      const { stdout } = await asked.catch(() => ({ stdout: "" }));
      return /Flags: qr aa.*\n[^]*\bNS\tns\.example\.net\./.test(stdout);
    };
    const have = async (origin: string, isThere: boolean): Promise<void> => {
      for (const port of [knot, bind])
        await until(
          `${origin}: ${isThere} at ${port}`,
          TAKEN_MS_MAX,
          async () => (await answers(port, origin)) === isThere,
        );
    };
    await have("first.test", true);
    write("second.test", `${data}  dnssec: {}\n`);
    await have("second.test", true);
    rmSync(join(files, "first.test.yaml"));
    await have("first.test", false);
    assert.equal(await answers(knot, "other.test"), false);
    const at = ["@127.0.0.1", "-p", String(bind), "+dnssec"];
    assert.match((await run("kdig", [...at, "second.test", "SOA"])).stdout, /\bRRSIG\tSOA 13 2 /);

    const statusOf = async (name: string): Promise<string | undefined> => {
      const how = ["@127.0.0.1", "-p", String(primary), "+retry=0", "+timeout=1"];
      const { stdout } = await run("kdig", [...how, name, "A"]).catch(() => ({ stdout: "" }));
      return /status: (\w+)/.exec(stdout)?.[1];
    };
    const becomes = async (name: string, status: string): Promise<void> => {
      await until(
        `${status} of ${name}`,
        TAKEN_MS_MAX,
        async () => (await statusOf(name)) === status,
      );
    };
    const update = async (zone: string, ...lines: readonly string[]): Promise<void> => {
      const script = join(folder, "update");
      writeFileSync(
        script,
        [`server 127.0.0.1 ${bind}`, `zone ${zone}`, ...lines, "send", ""].join("\n"),
      );
      await run("nsupdate", [script]);
    };
    await becomes("ns1.one.test", "NOERROR");
    await becomes("ns1.two.test", "NOERROR");
    // It goes over to another catalog, which knows it by another group.
    await update("produced.test", "add coo.a.zones.produced.test 0 PTR second.produced.test.");
    await update(
      "second.produced.test",
      "add c.zones.second.produced.test 0 PTR one.test.",
      'add group.c.zones.second.produced.test 0 TXT "elsewhere"',
      "delete b.zones.second.produced.test",
    );
    await becomes("ns1.two.test", "REFUSED");
    // Its group has another primary, of which there is none.
    await until("its new primary", TAKEN_MS_MAX, async () =>
      /127\.0\.0\.9/.test(JSON.stringify(await server.api("/v1/secondaries"))),
    );
    await update(
      "produced.test",
      "delete a.zones.produced.test",
      "delete coo.a.zones.produced.test",
    );
    await update("second.produced.test", "delete c.zones.second.produced.test");
    await becomes("ns1.one.test", "REFUSED");
  },
);

function secondaryOf(origin: string, port: number): string {
  return `apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: ${origin} }
spec:
  origin: ${origin}
  secondary:
    catalog: true
    primaries: [{ address: 127.0.0.1, port: ${port} }]
    groups:
      elsewhere: { primaries: [{ address: 127.0.0.9, port: 1 }] }
`;
}
