// SPDX-License-Identifier: Apache-2.0

// Shifts as clients see them: made beforehand, TTLs of a signed zone are the least for one old TTL before, and the answers validate; and what
// is told of how clients follow is what edges have answered, and what endpoints say of their load.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { needs } from "../needs.ts";
import { ask } from "./ask.ts";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { ServerProcess, freePort, meridian, temporaryFolder, until } from "./process.ts";

const CHANGE_MS_MAX = 60_000;
/** Pause between two questions of a client. */
const ASK_MS = 2;
/** After this it asks again: one answer that is lost would be waited for longer than what is measured. */
const LATE_MS = 250;
const [MIN, MAX] = [1, 300];
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const documents = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: signed.test }
spec:
  origin: signed.test
  nameServers: [{ name: ns.signed.test, addresses: [192.0.2.53] }]
  dnssec: { parentServers: [{ address: 127.0.0.1, port: 1 }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec: { members: { a: { address: 192.0.2.1 }, b: { address: 192.0.2.2 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.signed.test, pool: web, ttl: { min: ${MIN}s, max: ${MAX}s } }
`;

test(
  "TTLs of a signed name are the least soon before a shift that was made beforehand, and as they were without it",
  { skip: needs("delv", "bind9-dnsutils") },
  async (t) => {
    const folder = temporaryFolder(t);
    const [files, stateDir] = [join(folder, "a.yaml"), join(folder, "state")];
    writeFileSync(files, documents);
    const port = await freePort();
    await ServerProcess.start(t, { files, stateDir, port, flags: ["--no-probing"] });
    const run = async (...words: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await meridian(...words, "--state", stateDir);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const anchor = join(folder, "anchor.conf");
    await until("a key", CHANGE_MS_MAX, async () => {
      const { stdout } = await promisify(execFile)("dig", [
        ...["@127.0.0.1", "-p", String(port), "+short", "signed.test", "DNSKEY"],
      ]).catch(() => ({ stdout: "" }));
      const [, flags, protocol, algorithm, key = ""] =
        /^(257) (\d+) (\d+) (.+)$/m.exec(stdout) ?? [];
      const text = `"signed.test." static-key ${flags} ${protocol} ${algorithm} "${key}";`;
      writeFileSync(anchor, `trust-anchors { ${text} };\n`);
      return key !== "";
    });
    /** TTL and number of addresses as a validator takes them. */
    const answered = async (): Promise<{ ttl: number; count: number }> => {
      let stdout = "";
      await until("an answer that delv hears", CHANGE_MS_MAX, async () => {
        const validated = promisify(execFile)("delv", [
          ...["@127.0.0.1", "-p", String(port), "-a", anchor, "+root=signed.test"],
          ...["www.signed.test", "A"],
        ]);
        ({ stdout } = await validated.catch((error: unknown) => {
          if (/timed out/.test(String(error))) return { stdout: "" };
          throw error;
        }));
        return stdout !== "" && !/resolution failed: timed out/.test(stdout);
      });
      assert.match(stdout, /; fully validated/);
      const records = [...stdout.matchAll(/^www\.signed\.test\.\s+(\d+)\s+IN\s+A\s+(\S+)$/gm)];
      return {
        ttl: Number(records[0]?.[1]),
        count: records.length,
      };
    };
    assert.deepEqual(await answered(), { ttl: MAX, count: 2 });

    const target = "endpoint/default/web/a";
    const drain = (inMs: number): Promise<string> =>
      run(
        ...["drain", target, "--reason", "patches", "--for", "1h", "--yes"],
        ...["--starts-at", new Date(Date.now() + inMs).toISOString()],
      );
    const planned = await meridian(
      ...["plan", "--drain", target, "--state", stateDir],
      ...["--starts-at", new Date(Date.now() + HOUR_MS).toISOString()],
    );
    const low = `moves are the least \\(${MIN} s, up to ${MAX} s before\\) from .*Z until it`;
    assert.match(planned.stdout, new RegExp(low), planned.stderr);
    // One old TTL before it starts is an hour from now: nothing changes yet.
    assert.match(await drain(HOUR_MS), /TTLs of what it moves are the least from .*Z until it/);
    assert.equal((await answered()).ttl, MAX);
    await run("undrain", target);
    // One old TTL before it starts is over.
    await drain(MINUTE_MS);
    await until("a low TTL", CHANGE_MS_MAX, async () => (await answered()).ttl === MIN);
    assert.equal((await answered()).count, 2, "nothing moves yet");
    assert.match(
      await run("explain", "www.signed.test"),
      /TTL lowered before the manual shift \w+ of endpoint\/default\/web\/a, which starts at .*Z \(patches\)/,
    );
    assert.match(await run("get", "shifts"), /TTL LOW FROM/);
    await run("undrain", target);
    await until("the TTL of before", CHANGE_MS_MAX, async () => (await answered()).ttl === MAX);
  },
);

const poolDocuments = (port: number): string => `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: plain.test }
spec: { origin: plain.test, nameServers: [{ name: ns.plain.test, addresses: [192.0.2.53] }] }
---
apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata: { name: web }
spec: { http: { path: / }, interval: 1s, timeout: 900ms }
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec:
  answers: 1
  healthCheck: web
  members:
    a: { address: 127.0.0.1, port: ${port}, capacity: 400 }
    b: { address: 127.0.0.1, port: ${port}, capacity: 400 }
  load: { orca: { path: / } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: www }
spec: { name: www.plain.test, pool: web, ttl: { min: 1s, max: 1s } }
`;

interface Progress {
  readonly state: string;
  readonly share?: number;
  readonly lastAnswerMs?: number;
  readonly emptyAtMs?: number;
  readonly reported?: { readonly endpoints: number; readonly traffic?: number };
}

/** How clients follow the only shift, over the socket of the state folder: to ask a command each time takes most of a loaded machine. */
async function progressOf(stateDir: string): Promise<Progress | undefined> {
  const asked = request({ socketPath: join(stateDir, "meridian.sock"), path: "/v1/shifts" });
  const answered = Promise.withResolvers<IncomingMessage>();
  asked.on("response", answered.resolve);
  asked.on("error", answered.reject);
  asked.end();
  const text = Buffer.concat(await (await answered.promise).toArray()).toString();
  const { items }: { readonly items: readonly { readonly progress?: Progress }[] } =
    JSON.parse(text);
  assert.ok(items.length <= 1, text);
  return items[0]?.progress;
}

/** Asks for a name for as long as it is to be: an answer that is late or lost is one of many. */
async function askAlways(client: DnsClient, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await Promise.race([ask(client, name, "A").catch(() => undefined), sleep(LATE_MS)]);
    await sleep(ASK_MS);
  }
}

test("what is told of a shift is what edges answer and endpoints report", async (t) => {
  const server = createServer((_, response) =>
    response.setHeader("endpoint-load-metrics", 'JSON {"application_utilization": 0.25}').end("ok"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address: AddressInfo | string | null = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const folder = temporaryFolder(t);
  const files = join(folder, "a.yaml");
  writeFileSync(files, poolDocuments(address.port));
  const control = new PlaneProcess(t, join(folder, "control"), [
    ...["control", "--file", files, "--edges", "127.0.0.1:0", "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const url = /"edges":"([^"]+)"/.exec(control.log)?.[1] ?? "";
  const port = await freePort();
  const edge = await joinedEdge(t, { folder, control, url: `https://${url}` }, "eu", port);
  await edge.start(/"msg":"Serving a new revision"/);
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  const asking = new AbortController();
  t.after(() => asking.abort());
  const asked = askAlways(client, "www.plain.test", asking.signal);
  const run = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await meridian(...words, "--state", control.stateDir);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const target = "endpoint/default/web/a";
  await run("drain", target, "--percent", "50", "--reason", "half", "--yes");
  let half: Progress | undefined;
  await until("a share of answers", CHANGE_MS_MAX, async () => {
    half = await progressOf(control.stateDir);
    // One client is answered alike for one TTL: after some of them it has been sent to both. Its load is heard of at its next probe.
    const isBoth = (half?.share ?? 0) > 0 && (half?.share ?? 1) < 1;
    return half?.state === "drained" && isBoth && half.reported !== undefined;
  });
  assert.deepEqual([half?.reported?.endpoints, Math.round(half?.reported?.traffic ?? 0)], [1, 100]);
  await run("undrain", target);

  const startedMs = Date.now();
  const waited = await run("drain", target, "--reason", "all", "--yes", "--wait");
  assert.match(waited, /endpoint\/default\/web\/a: drained, /);
  let whole: Progress | undefined;
  await until("no answer that names it", CHANGE_MS_MAX, async () => {
    whole = await progressOf(control.stateDir);
    return whole?.state === "drained" && whole.share === 0 && whole.reported !== undefined;
  });
  assert.ok((whole?.emptyAtMs ?? 0) >= startedMs + 1000 && (whole?.emptyAtMs ?? 0) <= Date.now());
  await until("the same in words", CHANGE_MS_MAX, async () =>
    /# drained, 0\.0 % of answers name it.* 1 endpoints report /.test(
      await run("describe", `Shift/${target}`),
    ),
  );
  asking.abort();
  await asked;
});
