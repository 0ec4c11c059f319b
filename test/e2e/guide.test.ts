// SPDX-License-Identifier: Apache-2.0

// docs/guides/existing-domain.md on loopback: BIND holds the parent zone, with the very lines that `meridian delegation` prints; Unbound
// follows the alias and the delegation; an endpoint dies, and the answer through Unbound changes. A delegation leads to port 53, so this
// needs the right to listen there.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { needs } from "../needs.ts";
import { startDaemon } from "../peers/daemon.ts";
import { ask } from "./ask.ts";
import {
  EndpointProcess,
  ServerProcess,
  freePort,
  meridian,
  temporaryFolder,
  until,
} from "./process.ts";

const root = resolve(import.meta.dirname, "../..");
const example = join(root, "deploy/examples/existing-domain/gtm.yaml");
const READY_MS_MAX = 60_000;
/** It takes two probes a second apart with their time-out, and the TTL that the verdict allows. */
const CHANGE_MS_MAX = 60_000;

/** Addresses of the guide, and those on loopback that stand for them. */
const loopback: Readonly<Record<string, string>> = {
  "192.0.2.53": "127.0.0.41",
  "198.51.100.53": "127.0.0.42",
  "192.0.2.10": "127.0.0.43",
  "198.51.100.10": "127.0.0.44",
};

const skip =
  needs("named", "bind9") || needs("unbound", "unbound") || (await cannotListen("127.0.0.41", 53));

test("the guide's delegation and alias work through BIND and Unbound", { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const webPort = await freePort();
  const files = join(folder, "gtm.yaml");
  writeFileSync(files, onLoopback(readFileSync(example, "utf8"), webPort));
  const europe = new EndpointProcess(t, "127.0.0.43", webPort);
  const america = new EndpointProcess(t, "127.0.0.44", webPort);
  await Promise.all([europe.start(), america.start()]);
  await ServerProcess.start(t, {
    files,
    stateDir: join(folder, "state"),
    listen: ["127.0.0.41:53", "127.0.0.42:53"],
  });
  const printed = await meridian("delegation", "gtm.example.org", "-f", files);
  assert.equal(printed.code, 0, printed.stderr);
  const parentPort = await startParent(t, folder, printed.stdout);

  const resolverPort = await startResolver(t, folder, parentPort);
  const checked = await meridian(
    ...["doctor", "gtm.example.org", "-f", files, "--state", join(folder, "state")],
    ...["--parent", `127.0.0.1:${parentPort}`, "--resolver", `127.0.0.1:${resolverPort}`],
  );
  assert.equal(checked.code, 0, checked.stdout);
  assert.match(checked.stdout, /^gtm\.example\.org: 0 errors, /m);

  const resolver = await udpClient("127.0.0.1", resolverPort);
  t.after(() => resolver.close());
  const answer = (): Promise<string[]> => ask(resolver, "www.example.org", "A", true);
  await until("Unbound to resolve the alias", READY_MS_MAX, async () => {
    return (await answer()).join(" ") === "127.0.0.43";
  });
  europe.kill();
  await until("the answer to change at Unbound", CHANGE_MS_MAX, async () => {
    return (await answer()).join(" ") === "127.0.0.44";
  });
});

test("the guide shows the example, and what delegation prints of it", async () => {
  const guide = readFileSync(join(root, "docs/guides/existing-domain.md"), "utf8");
  const [zone = ""] = readFileSync(example, "utf8").split("---");
  assert.ok(guide.includes(zone.slice(zone.indexOf("apiVersion"))));
  const { stdout } = await meridian("delegation", "gtm.example.org", "-f", example);
  assert.ok(guide.includes(stdout), stdout);
});

/** The guide's documents with addresses of this host. */
function onLoopback(text: string, webPort: number): string {
  const moved = Object.entries(loopback).reduce(
    (all, [from, to]) => all.replaceAll(from, to),
    text,
  );
  return moved.replaceAll("port: 80", `port: ${webPort}`);
}

/** BIND with the zone example.org, the alias of the guide, and `delegation`; its port. */
async function startParent(t: TestContext, folder: string, delegation: string): Promise<number> {
  const port = await freePort();
  const directory = join(folder, "named");
  mkdirSync(directory);
  writeFileSync(
    join(directory, "example.org.zone"),
    `$ORIGIN example.org.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
www CNAME www.gtm.example.org.
${delegation}
`,
  );
  const configuration = join(directory, "named.conf");
  writeFileSync(
    configuration,
    `options {
  directory "${directory}";
  pid-file "${directory}/named.pid";
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
};
controls { };
zone "example.org" { type primary; file "example.org.zone"; };
`,
  );
  await startDaemon(t, "named", ["-g", "-n", "1", "-c", configuration], / running$/m);
  return port;
}

/** Unbound, which knows only where example.org is; its port. */
async function startResolver(t: TestContext, folder: string, parentPort: number): Promise<number> {
  const port = await freePort();
  const configuration = join(folder, "unbound.conf");
  writeFileSync(
    configuration,
    `server:
  interface: 127.0.0.1@${port}
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 1
  chroot: ""
  username: ""
  directory: "${folder}"
  pidfile: "${folder}/unbound.pid"
  module-config: "iterator"
  do-ip6: no
  do-not-query-localhost: no
remote-control:
  control-enable: no
stub-zone:
  name: "example.org."
  stub-addr: 127.0.0.1@${parentPort}
`,
  );
  await startDaemon(t, "unbound", ["-d", "-c", configuration], /start of service/);
  return port;
}

/** Why this process may not listen there, or false. */
async function cannotListen(address: string, port: number): Promise<string | false> {
  const server = createServer();
  const { promise, resolve: done } = Promise.withResolvers<string | false>();
  server.once("error", (error) => done(`Cannot listen on ${address}:${port}: ${error.message}`));
  server.listen(port, address, () => server.close(() => done(false)));
  return promise;
}
