// SPDX-License-Identifier: Apache-2.0

// kill -9 in the middle of large transfers, both ways: nobody ever has half a zone. Knot and NSD keep what they had and take it whole from
// the server that comes back; a copy of Knot's zone is the old one or the new one, whatever was on its way when.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import {
  RRType,
  Rcode,
  decodeMessage,
  encodeMessage,
  makeQuery,
  readSoa,
  type Message,
} from "@meridian/dns";
import { udpClient } from "../conformance/dns-client.ts";
import { wire } from "../conformance/test-server.ts";
import { needs } from "../needs.ts";
import { HaltingRelay } from "../peers/halting-relay.ts";
import { PrimaryKnot } from "../peers/knot-primary.ts";
import { secondaryPort, startKnotSecondary, startNsdSecondary } from "../peers/secondaries.ts";
import { ServerProcess, busyFactor, freePort, temporaryFolder, until } from "./process.ts";

const run = promisify(execFile);
const ZONE_MS_MAX = 30_000;
/** Many times what the buffers of a connection hold; changes of half of it still go by IXFR. */
const HOSTS = 5000;
const PADDING = `"${"x".repeat(250)}" "${"y".repeat(250)}"`;
const HALT_BYTES = 600_000;
/** What changes from one version to the next, without names. */
const CHANGE_BYTES = HOSTS * PADDING.length;
const AXFR_BYTES_MAX = 64 << 20;
const origin = "example.org.";
const apex = wire(origin);
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const key = { name: "xfr.example", secret };
const signature = ["-y", `hmac-sha256:xfr.example:${secret}`];

const skip = needs("knotd", "knot") || needs("nsd", "nsd") || needs("kdig", "knot-dnsutils");

test(
  "a secondary never has half a zone of a server that is killed while it sends, and the whole one after it is back",
  { skip },
  async (t) => {
    const folder = temporaryFolder(t);
    const port = await freePort();
    const secondaries = [await secondaryPort(), await secondaryPort()];
    const files = join(folder, "documents");
    const setup = { files, stateDir: stateFolder(folder), port, flags: ["--no-probing"] };
    mkdirSync(files);
    writeFileSync(join(files, "zone.db"), hostsOf(1).join("\n"));
    writeFileSync(join(files, "zone.yaml"), primaryDocument(secondaries));
    let server = await ServerProcess.start(t, setup);

    const relays = await Promise.all(secondaries.map(() => HaltingRelay.start(t, port)));
    const midway = (): Promise<unknown> =>
      Promise.all(relays.map((relay) => relay.haltAfter(HALT_BYTES)));
    const first = midway();
    for (const [index, start] of [startKnotSecondary, startNsdSecondary].entries()) {
      const own = join(folder, `secondary-${index}`);
      mkdirSync(own);
      const primary = relays[index]?.port ?? 0;
      await start(t, secondaries[index] ?? 0, { origins: [origin], folder: own, primary, key });
    }

    /** `had`: what secondaries have then, undefined for no zone. */
    const killed = async (isMidway: Promise<unknown>, had?: string): Promise<void> => {
      await isMidway;
      await server.kill();
      for (const relay of relays) relay.release();
      for (const secondary of secondaries)
        if (had === undefined) await assertNoZone(secondary);
        else assert.equal(await hostsAt(secondary), had);
      server = await ServerProcess.start(t, setup);
    };
    const haveWhole = async (version: number): Promise<number> => {
      const [serial, hosts] = [await serialAt(port), summary(hostsOf(version))];
      for (const secondary of secondaries) {
        await until(`version ${version} at a secondary`, ZONE_MS_MAX * busyFactor(), async () => {
          return (await serialAt(secondary)) === serial;
        });
        assert.equal(await hostsAt(secondary), hosts);
      }
      return serial;
    };
    // The zone, to who has none.
    await killed(first);
    const serial = await haveWhole(1);
    // Its changes, to who has it.
    const second = midway();
    writeFileSync(join(files, "zone.db"), hostsOf(2).join("\n"));
    await server.whenLogged(/"outcome":"sends 1 changes/);
    await killed(second, summary(hostsOf(1)));
    assert.ok((await haveWhole(2)) > serial);
  },
);

test(
  "a copy is the old zone or the new one, whole, though the server is killed while it comes",
  { skip: skip || needs("knotc", "knot") },
  async (t) => {
    const folder = temporaryFolder(t);
    const port = await freePort();
    const zone = { origin, text: zoneOf(1), key };
    const knot = await PrimaryKnot.start(t, join(folder, "knot"), zone);
    const relay = await HaltingRelay.start(t, knot.port);
    const files = join(folder, "zone.yaml");
    writeFileSync(files, secondaryDocument(relay.port));
    const setup = { files, stateDir: stateFolder(folder), port, flags: ["--no-probing"] };

    let isMidway = relay.haltAfter(HALT_BYTES);
    let server = await ServerProcess.start(t, setup);
    const becomes = async (version: number): Promise<void> => {
      await until(`serial ${version}`, ZONE_MS_MAX * busyFactor(), async () => {
        return (await serialAt(port)) === version;
      });
      assert.equal(await hostsAt(port, ...signature), summary(hostsOf(version)));
    };
    const restart = async (): Promise<void> => {
      await server.kill();
      server = await ServerProcess.start(t, setup);
    };
    await isMidway;
    await assertNoZone(port);
    relay.release();
    await server.whenLogged(
      /"reason":"127\.0\.0\.1: it ends before it is whole","msg":"Cannot refresh a secondary zone"/,
    );
    await becomes(1);

    isMidway = relay.haltAfter(HALT_BYTES);
    await knot.become(zoneOf(2));
    await isMidway;
    await becomes(1);
    await restart();
    await becomes(1);
    relay.release();
    await becomes(2);
    assert.match(server.log, /"how":"changes"/);

    // All of it has come, and is looked at or committed.
    const hasCome = relay.whenPassed(CHANGE_BYTES);
    await knot.become(zoneOf(3));
    await hasCome;
    await restart();
    await until("what was kept", ZONE_MS_MAX * busyFactor(), async () => {
      return (await serialAt(port)) !== -1;
    });
    const kept = await hostsAt(port, ...signature);
    assert.ok([2, 3].map((version) => summary(hostsOf(version))).includes(kept), kept);
    await becomes(3);
  },
);

/** Records of a version but for its SOA: half of the hosts are others in each. */
function hostsOf(version: number): string[] {
  const lines = Array.from({ length: HOSTS }, (_, index) => {
    const host = index % 2 === 0 ? index : index + version * HOSTS;
    return `h${host}.${origin} 60 TXT "${host}" ${PADDING}`;
  });
  return lines.toSorted();
}

function stateFolder(folder: string): string {
  const stateDir = join(folder, "state");
  mkdirSync(join(stateDir, "secrets", "default"), { recursive: true, mode: 0o700 });
  writeFileSync(join(stateDir, "secrets", "default", "xfr"), secret, { mode: 0o600 });
  return stateDir;
}

function primaryDocument(secondaries: readonly number[]): string {
  return `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec:
  origin: example.org
  nameServers: [{ name: ns1.example.org, addresses: [192.0.2.53] }]
  file: zone.db
  soa: { refresh: 2s, retry: 1s, expire: 336h }
  tsigKeys: { xfr.example: { secret: { file: xfr } } }
  transfers:
    allow: [{ key: xfr.example }]
    notify:
${secondaries.map((at) => `      - { address: 127.0.0.1, port: ${at}, key: xfr.example }`).join("\n")}
`;
}

function secondaryDocument(primary: number): string {
  return `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec:
  origin: example.org
  tsigKeys: { xfr.example: { secret: { file: xfr } } }
  secondary: { primaries: [{ address: 127.0.0.1, port: ${primary}, tsigKey: xfr.example }] }
  transfers: { allow: [{ key: xfr.example }] }
`;
}

/** As Knot has it. */
function zoneOf(version: number): string {
  const head = `@ 60 SOA ns1 h ${version} 2 1 1209600 5\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n`;
  return `${head}${hostsOf(version).join("\n")}\n`;
}

async function kdig(port: number, ...words: readonly string[]): Promise<string> {
  const to = ["@127.0.0.1", "-p", String(port)];
  const { stdout } = await run("kdig", [...to, ...words], { maxBuffer: AXFR_BYTES_MAX });
  return stdout;
}

/** A summary of its hosts. */
async function hostsAt(port: number, ...words: readonly string[]): Promise<string> {
  const text = await kdig(
    port,
    "AXFR",
    origin,
    "+noclass",
    "+noall",
    "+answer",
    "+timeout=30",
    ...words,
  );
  const lines = text.split("\n").map((line) => line.replaceAll(/\s+/g, " "));
  return summary(lines.filter((line) => /^h[0-9]/.test(line)).toSorted());
}

/** As millions of characters are hard to read where they differ. */
function summary(lines: readonly string[]): string {
  const digest = createHash("sha256").update(lines.join("\n")).digest("hex");
  return `${lines.length} hosts with the digest ${digest.slice(0, 12)}`;
}

/** Asks until it answers: that it says nothing does not show that it has nothing. */
async function assertNoZone(port: number): Promise<void> {
  let answer: Message | undefined;
  await until("an answer without the zone", ZONE_MS_MAX * busyFactor(), async () => {
    answer = await apexAt(port);
    return answer !== undefined;
  });
  assert.notEqual(answer?.rcode, Rcode.NOERROR);
  assert.deepEqual(answer?.answer, []);
}

/** -1 where it does not have the zone, or says nothing. */
async function serialAt(port: number): Promise<number> {
  const message = await apexAt(port);
  if (message === undefined || message.rcode !== Rcode.NOERROR) return -1;
  const { rdata } = message.answer.find(({ type }) => type === RRType.SOA) ?? {};
  return rdata === undefined ? -1 : readSoa(rdata).serial;
}

/** What is answered for the zone's SOA; undefined where it says nothing. */
async function apexAt(port: number): Promise<Message | undefined> {
  const client = await udpClient("127.0.0.1", port);
  try {
    const message = decodeMessage(await client.ask(encodeMessage(makeQuery(apex, RRType.SOA))));
    return "error" in message ? undefined : message;
  } catch {
    return undefined;
  } finally {
    client.close();
  }
}
