// SPDX-License-Identifier: Apache-2.0

// Two controls and a probe on one etcd, as processes of their own: what one control alone cannot reach is judged by all three, and alike at both
// controls, as each hears what the other sees.

import assert from "node:assert/strict";
import {
  readFileSync,
  readdirSync,
  readlinkSync,
  copyFileSync,
  mkdirSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { EtcdCluster, etcdMissing } from "../../packages/control/src/testing/store-parts.ts";
import { PlaneProcess, joinedFolder } from "./edge-processes.ts";
import { freePort, meridian, temporaryFolder, until } from "./process.ts";

const LOOK_MS_MAX = 90_000;

type Row = Readonly<Record<string, unknown>>;

/** A server over HTTP that is broken for the processes of `broken`, as a network between them and it would be. */
async function brokenFor(t: TestContext, broken: ReadonlySet<number>): Promise<number> {
  const server = createServer(({ socket }, response) => {
    const links = socketLinks(socket.remotePort ?? 0);
    const isBroken = broken.values().some((pid) => hasOneOf(pid, links));
    response.writeHead(isBroken ? 503 : 200, { connection: "close" }).end();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** What the descriptors of TCP sockets at a local port of loopback link to. */
function socketLinks(port: number): string[] {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/ +/))
    .filter((fields) => fields[1] === local)
    .map((fields) => `socket:[${fields[9] ?? ""}]`);
}

function hasOneOf(pid: number, links: readonly string[]): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => {
      try {
        return links.includes(readlinkSync(join(folder, fd)));
      } catch {
        return false;
      }
    });
  } catch {
    // It has ended, or is another user's.
    return false;
  }
}

function documents(port: number): string {
  return `apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata: { name: web }
spec:
  http: { path: / }
  interval: 1s
  timeout: 900ms
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec:
  healthCheck: web
  members:
    one: { address: 127.0.0.1, port: ${port} }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: reports.example }
spec:
  origin: reports.example
  nameServers: [{ name: ns.reports.example, addresses: [192.0.2.53] }]
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.reports.example, pool: web }
`;
}

async function rows(process: PlaneProcess, kind: string): Promise<Row[]> {
  const { stdout } = await meridian("get", kind, "--state", process.stateDir, "-o", "json");
  const found: unknown = JSON.parse(stdout);
  assert.ok(Array.isArray(found));
  return found.map((row: unknown) => Object.fromEntries(Object.entries(row ?? {})));
}

test(
  "a control's own probes count at every control, so that all judge alike",
  { skip: etcdMissing() },
  async (t) => {
    const folder = temporaryFolder(t);
    const etcd = await EtcdCluster.start({ members: 1 });
    t.after(() => etcd.close());
    const store = `etcd://${etcd.endpoints()}/reports`;
    const ports = [await freePort(), await freePort()];
    const [first, second] = ports.map((port, index) => {
      const given = ["control", "--store", store, "--edges", `127.0.0.1:${port}`, "--http", "none"];
      const names = ["--name", `c${index}`, "--site", `s${index}`];
      return new PlaneProcess(t, join(folder, `control-${index}`), [...given, ...names]);
    });
    assert.ok(first !== undefined && second !== undefined);
    await first.start(/"msg":"Serving edges"/);
    mkdirSync(join(second.stateDir, "identity"), { recursive: true, mode: 0o700 });
    const key = join("identity", "sealing.key");
    copyFileSync(join(first.stateDir, key), join(second.stateDir, key));
    await second.start(/"msg":"Serving edges"/);
    for (const control of [first, second])
      await control.whenLogged(/"msg":"Reporting to another control"/);

    const broken = new Set<number>();
    const port = await brokenFor(t, broken);
    const file = join(folder, "documents.yaml");
    writeFileSync(file, documents(port));
    const applied = await meridian("apply", "-f", file, "--state", second.stateDir);
    assert.equal(applied.code, 0, applied.stderr);
    const url = `https://127.0.0.1:${ports[0]}`;
    const place = { folder, control: first, url };
    const probeFolder = await joinedFolder(place, "far", "probe");
    const others = ["--control", url, "--control", `https://127.0.0.1:${ports[1]}`];
    const probe = new PlaneProcess(t, probeFolder, ["probe", ...others, "--site", "far"]);
    await probe.start(/"msg":"Probing"/);

    /** What both controls say of the endpoint, once they say the same of all vantages. */
    const judged = async (
      verdict: string,
      said: Readonly<Record<string, string>>,
    ): Promise<void> => {
      const wanted = JSON.stringify([verdict, said]);
      let seen: readonly string[] = [];
      await until(`${wanted} at both`, LOOK_MS_MAX, async () => {
        const found = await Promise.all([first, second].map((each) => rows(each, "health")));
        seen = found.map(([row]) => {
          const vantages = Array.isArray(row?.["vantages"]) ? row["vantages"] : [];
          const pairs = vantages.map((each: Row) => [each["vantage"], each["verdict"]]);
          const sorted = pairs.toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
          return JSON.stringify([row?.["verdict"], Object.fromEntries(sorted)]);
        });
        return seen.every((each) => each === wanted);
      }).catch((error: unknown) => {
        throw new Error(`They say ${seen.join(" and ")}`, { cause: error });
      });
    };
    const [c0, c1, far] = ["control/c0", "control/c1", "far"];
    await judged("healthy", { [c0]: "healthy", [c1]: "healthy", [far]: "healthy" });
    // One place that does not reach it is outvoted everywhere, by itself as well.
    broken.add(second.pid);
    await judged("healthy", { [c0]: "healthy", [c1]: "unhealthy", [far]: "healthy" });
    // The first control alone reaches it: both know, and agree that it is down.
    broken.add(probe.pid);
    await judged("unhealthy", { [c0]: "healthy", [c1]: "unhealthy", [far]: "unhealthy" });
    broken.clear();
    await judged("healthy", { [c0]: "healthy", [c1]: "healthy", [far]: "healthy" });

    // One that is gone for good is taken off the list, and only such a one.
    const forget = async (name: string): Promise<number | null> =>
      (await meridian("control", "forget", name, "--state", first.stateDir)).code;
    assert.equal(await forget("c1"), 3);
    await second.kill();
    assert.equal(await forget("c1"), 0);
    assert.equal(await forget("c1"), 4);
    assert.deepEqual(
      (await rows(first, "controls")).map(({ name }) => name),
      ["c0"],
    );
  },
);
