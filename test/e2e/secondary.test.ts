// SPDX-License-Identifier: Apache-2.0

// Zones that come from another server: Knot is the primary, changes go by IXFR and NOTIFY, processes end in between; and a zone whose primary
// is gone is answered from until it is too old, never longer and never emptied.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Pcg32 } from "@meridian/core";
import { needs, programPath } from "../needs.ts";
import { startDaemon } from "../peers/daemon.ts";
import { ServerProcess, freePort, meridian, temporaryFolder, until } from "./process.ts";

const run = promisify(execFile);
const ZONE_MS_MAX = 30_000;
/** Characters of a log. */
const LOG_SHOWN = 4000;
/** More by hand; then processes end less often. */
const CHANGES = Number(process.env["MERIDIAN_TEST_CHANGES"] ?? 9);
const KILLED_EACH = Math.max(10, Math.floor(CHANGES / 20));
const SEED = Number(process.env["MERIDIAN_TEST_SEED"] ?? 1);
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";

const documents = (primary: number): string => `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec:
  origin: example.org
  tsigKeys: { xfr.example: { secret: { file: xfr } } }
  secondary:
    primaries:
      - { address: 127.0.0.1, port: 1 }
      - { address: 127.0.0.1, port: ${primary}, tsigKey: xfr.example }
  transfers: { allow: [{ clients: [127.0.0.0/8] }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: short.test }
spec:
  origin: short.test
  secondary: { primaries: [{ address: 127.0.0.1, port: ${primary} }] }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: catalog.test }
spec:
  origin: catalog.test
  secondary: { catalog: true, primaries: [{ address: 127.0.0.1, port: ${primary} }] }
`;

const member = `  - domain: member.test.
    file: member.test.zone
    acl: anyone
    catalog-role: member
    catalog-zone: catalog.test.
`;

class Knot {
  readonly #folder: string;
  readonly port: number;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  static async start(t: TestContext, folder: string, notified: number): Promise<Knot> {
    mkdirSync(folder, { recursive: true });
    const knot = new Knot(folder, await freePort());
    writeFileSync(
      join(folder, "example.org.zone"),
      `$ORIGIN example.org.
$TTL 60
@ SOA ns1 hostmaster 1 5 1 1209600 5
@ NS ns1
ns1 A 192.0.2.53
*.wild TXT "wild"
sub NS ns.sub
ns.sub A 192.0.2.77
at\\\\.dot TXT "odd"
big TXT "${"x".repeat(200)}"
unknown TYPE65400 \\\\# 3 0a0b0c
${Array.from({ length: 500 }, (_, index) => `host-${index} A 192.0.2.${index % 256}`).join("\n")}
`.replaceAll("\\\\", "\\"),
    );
    writeFileSync(
      join(folder, "short.test.zone"),
      "$ORIGIN short.test.\n@ 60 SOA ns1 hostmaster 1 1 1 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n",
    );
    writeFileSync(
      join(folder, "member.test.zone"),
      "@ 60 SOA ns1 hostmaster 1 3600 1 86400 5\n@ 60 NS ns1\nns1 60 A 192.0.2.54\n",
    );
    knot.#configure(notified, true);
    await startDaemon(t, "knotd", ["-c", join(folder, "knot.conf")], /server started/);
    return knot;
  }

  /** Has member.test, which is in the catalog, or not any more. */
  async list(notified: number, isListed: boolean): Promise<void> {
    this.#configure(notified, isListed);
    await this.control("reload");
  }

  #configure(notified: number, isListed: boolean): void {
    const folder = this.#folder;
    writeFileSync(
      join(folder, "knot.conf"),
      `server:
  rundir: "${folder}"
  listen: 127.0.0.1@${this.port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
control:
  listen: "${folder}/knot.sock"
log:
  - target: stdout
    any: info
database:
  storage: "${folder}"
key:
  - id: xfr.example
    algorithm: hmac-sha256
    secret: ${secret}
remote:
  - id: meridian
    address: 127.0.0.1@${notified}
    key: xfr.example
  - id: plain
    address: 127.0.0.1@${notified}
acl:
  - id: signed
    action: transfer
    key: xfr.example
  - id: anyone
    action: transfer
template:
  - id: default
    storage: "${folder}"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
zone:
  - domain: example.org.
    file: example.org.zone
    acl: signed
    notify: meridian
  - domain: short.test.
    file: short.test.zone
    acl: anyone
  - domain: catalog.test.
    catalog-role: generate
    acl: anyone
    notify: plain
${isListed ? member : ""}`,
    );
  }

  async control(...words: readonly string[]): Promise<void> {
    const program = programPath("knotc") ?? "knotc";
    await run(program, ["-s", join(this.#folder, "knot.sock"), ...words]);
  }

  async stop(): Promise<void> {
    await this.control("stop");
  }

  async change(...changes: readonly (readonly string[])[]): Promise<void> {
    await this.control("zone-begin", "example.org");
    for (const change of changes) await this.control(...change);
    await this.control("zone-commit", "example.org");
  }
}

async function kdig(port: number, ...words: readonly string[]): Promise<string> {
  const { stdout } = await run("kdig", ["@127.0.0.1", "-p", String(port), ...words]).catch(
    (error: unknown) => ({ stdout: String(error) }),
  );
  return stdout;
}

async function zoneAt(port: number, ...words: readonly string[]): Promise<string[]> {
  const text = await kdig(port, "AXFR", "example.org", "+nocrypto", "+noall", "+answer", ...words);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith(";"));
  return [...new Set(lines.map((line) => line.replaceAll(/\s+/g, " ")))].toSorted();
}

async function serialAt(port: number): Promise<number> {
  const text = await kdig(port, "example.org", "SOA", "+short", "+timeout=2");
  return Number(text.split(" ")[2] ?? -1);
}

test(
  "a zone follows Knot through changes, though processes end, and is answered from until it is too old",
  { skip: needs("knotd", "knot") || needs("kdig", "knot-dnsutils") },
  async (t) => {
    const folder = temporaryFolder(t);
    const [files, stateDir, port] = [
      join(folder, "a.yaml"),
      join(folder, "state"),
      await freePort(),
    ];
    mkdirSync(join(stateDir, "secrets", "default"), { recursive: true, mode: 0o700 });
    writeFileSync(join(stateDir, "secrets", "default", "xfr"), secret, { mode: 0o600 });
    const knot = await Knot.start(t, join(folder, "knot"), port);
    writeFileSync(files, documents(knot.port));
    const setup = { files, stateDir, port, flags: ["--no-probing"] };
    let server = await ServerProcess.start(t, setup);
    let isDone = false;
    t.after(() => {
      if (!isDone) t.diagnostic(`The server's log ends so:\n${server.log.slice(-LOG_SHOWN)}`);
    });
    await until("the zone", ZONE_MS_MAX, async () => (await serialAt(port)) === 1);
    assert.match(await kdig(port, "at\\.dot.example.org", "TXT", "+short"), /odd/);
    await until("short.test", ZONE_MS_MAX, async () =>
      /192\.0\.2\.53/.test(await kdig(port, "ns1.short.test", "A", "+short")),
    );

    const listed = async (): Promise<string> => kdig(port, "ns1.member.test", "A");
    await until("the listed zone", ZONE_MS_MAX, async () => /192\.0\.2\.54/.test(await listed()));
    await knot.list(port, false);

    const changes = new RandomChanges(SEED);
    for (let change = 0; change < CHANGES; change += 1) {
      await knot.change(...changes.next());
      // Some go by one by one, some together, some while nobody listens.
      if (change % KILLED_EACH === 4) {
        await server.kill();
        server = await ServerProcess.start(t, setup);
      }
      if (change % 3 > 0) continue;
      const serial = await serialAt(knot.port);
      await until(`serial ${serial}`, ZONE_MS_MAX, async () => (await serialAt(port)) === serial);
    }
    const serial = await serialAt(knot.port);
    await until(`serial ${serial}`, ZONE_MS_MAX, async () => (await serialAt(port)) === serial);
    assert.deepEqual(
      await zoneAt(port),
      await zoneAt(knot.port, "-y", `hmac-sha256:xfr.example:${secret}`),
    );
    const keyFile = join(folder, "key");
    const diff = async (of: string): Promise<number | null> => {
      writeFileSync(keyFile, `key "xfr.example" { algorithm hmac-sha256; secret "${of}"; };\n`);
      const both = [`@127.0.0.1:${knot.port}`, `@127.0.0.1:${port}`, "--zone", "example.org"];
      return (await meridian("zone", "diff", ...both, "--key-file", keyFile)).code;
    };
    assert.equal(await diff(secret), 0);
    assert.equal(await diff(Buffer.from("another secret").toString("base64")), 3);
    assert.match(server.log, /"how":"changes"/);
    assert.doesNotMatch(server.log, /Passed over/);

    await until("the end of the zone that is listed no more", ZONE_MS_MAX, async () =>
      /REFUSED/.test(await listed()),
    );

    await knot.stop();
    let answer = "";
    await until("the end of short.test", ZONE_MS_MAX, async () => {
      answer = await kdig(port, "ns1.short.test", "A", "+edns");
      return /status: SERVFAIL/.test(answer);
    });
    assert.match(answer, /24 \(Invalid Data\)/);
    // From disk alone, with its primary gone: as it was.
    await server.kill();
    await ServerProcess.start(t, setup);
    assert.equal(await serialAt(port), serial);
    assert.match(await kdig(port, "ns1.short.test", "A"), /SERVFAIL/);
    isDone = true;
  },
);

/** Changes that Knot takes: nothing comes that is there, and nothing goes that is not. */
class RandomChanges {
  readonly #random: Pcg32;
  /** Addresses by name; each is used once. */
  readonly #addresses = new Map<string, string[]>(
    Array.from({ length: 500 }, (_, index) => [`host-${index}`, [`A 192.0.2.${index % 256}`]]),
  );
  #used = 0;

  constructor(seed: number) {
    this.#random = new Pcg32(seed);
  }

  /** What knotc is told in one change. */
  next(): string[][] {
    return Array.from({ length: 1 + this.#below(3) }, () => {
      const name = `host-${this.#below(600)}`;
      const known = this.#addresses.get(name) ?? [];
      const gone = this.#below(2) === 0 ? known.pop() : undefined;
      if (gone !== undefined) return ["zone-unset", "example.org", name, ...gone.split(" ")];
      this.#used += 1;
      const [high, low] = [Math.floor(this.#used / 256), this.#used % 256];
      const address =
        this.#below(3) === 0
          ? `AAAA 2001:db8::${this.#used.toString(16)}`
          : `A 198.18.${high}.${low}`;
      this.#addresses.set(name, [...known, address]);
      return ["zone-set", "example.org", name, "60", ...address.split(" ")];
    });
  }

  #below(count: number): number {
    return this.#random.next32() % count;
  }
}
