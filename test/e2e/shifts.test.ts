// SPDX-License-Identifier: Apache-2.0

// A shift that is made beforehand: TTLs of a signed zone are the least for one old TTL before it starts, and the answers validate.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { needs } from "../needs.ts";
import { ServerProcess, freePort, meridian, temporaryFolder, until } from "./process.ts";

const CHANGE_MS_MAX = 30_000;
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
      ]);
      const [, flags, protocol, algorithm, key = ""] =
        /^(257) (\d+) (\d+) (.+)$/m.exec(stdout) ?? [];
      const text = `"signed.test." static-key ${flags} ${protocol} ${algorithm} "${key}";`;
      writeFileSync(anchor, `trust-anchors { ${text} };\n`);
      return key !== "";
    });
    /** TTL and number of addresses as a validator takes them. */
    const answered = async (): Promise<{ ttl: number; count: number }> => {
      const { stdout } = await promisify(execFile)("delv", [
        ...["@127.0.0.1", "-p", String(port), "-a", anchor, "+root=signed.test"],
        ...["www.signed.test", "A"],
      ]);
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
