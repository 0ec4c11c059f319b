// SPDX-License-Identifier: Apache-2.0

// Other name servers as secondaries of an edge: told of each change (NOTIFY, RFC 1996), they take it (IXFR, RFC 1995) and have the
// same zones at the end; those that are signed, and digested (ZONEMD, RFC 8976), as programs of others judge them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Pcg32 } from "@meridian/core";
import { RRType, decodeMessage, encodeMessage, formatRdata, makeQuery } from "@meridian/dns";
import type { TransferSettings } from "@meridian/snapshot";
import { temporaryFolder, until } from "../e2e/process.ts";
import { needs } from "../needs.ts";
import { secondaryPort, startKnotSecondary, startNsdSecondary } from "../peers/secondaries.ts";
import { startUnbound } from "../peers/unbound.ts";
import { boundModel, boundZone } from "./bound-model.ts";
import { udpClient, type DnsClient } from "./dns-client.ts";
import { RunningEdge } from "./running-edge.ts";
import { signingFixture, type SignedFixture } from "./signing-fixture.ts";
import { wire, type TestModel, type TestZone } from "./test-server.ts";

const run = promisify(execFile);
const CHANGES = Number(process.env["MERIDIAN_TEST_IXFR_CHANGES"] ?? 8);
/** Changes that secondaries may take at once. */
const CHANGES_AT_ONCE = 4;
const TAKEN_MS_MAX = 60_000;
/** What the material's sequence adds to a serial. */
const SIGNED_SERIALS = 1000;
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const secrets = new Map([["default/file/xfr", secret]]);

const signature = ["-y", `hmac-sha256:xfr.example:${secret}`];
/** Where nobody answers. */
const NOTHING = { stdout: "" };

interface Served {
  readonly origin: string;
  readonly denial?: "nsec" | "nsec3";
  readonly digests: NonNullable<TransferSettings["digests"]>;
}

const served: readonly Served[] = [
  { origin: "example.org.", digests: [] },
  { origin: "digested.test.", digests: ["sha512"] },
  { origin: "names.test.", denial: "nsec", digests: ["sha384", "sha512"] },
  { origin: "hashes.test.", denial: "nsec3", digests: ["sha384"] },
];

test(
  `Knot and NSD follow ${CHANGES} random changes that they are told of, and have the same zones at the end`,
  {
    skip:
      needs("knotd", "knot") ||
      needs("nsd", "nsd") ||
      needs("kdig", "knot-dnsutils") ||
      needs("kzonecheck", "knot-dnsutils") ||
      needs("ldns-verify-zone", "ldnsutils") ||
      needs("named-checkzone", "bind9-utils") ||
      needs("unbound", "unbound"),
  },
  async (t) => {
    const folder = temporaryFolder(t);
    const edge = await RunningEdge.start();
    t.after(() => edge.close());
    edge.setSecrets(secrets);
    const ports = [await secondaryPort(), await secondaryPort()];
    const [knot = 0, nsd = 0] = ports;
    const random = new Pcg32(11);
    const names = new Map<string, string>();
    let fixtures = signers(1);
    const serve = (version: number): Promise<void> =>
      edge.serve(
        modelOf(names, version, ports),
        [...fixtures.values()].map(({ material }) => material),
      );
    await serve(1);
    for (const [name, port, start] of [
      ["knot", knot, startKnotSecondary],
      ["nsd", nsd, startNsdSecondary],
    ] as const) {
      const own = join(folder, name);
      mkdirSync(own);
      const origins = served.map(({ origin }) => origin);
      const primary = edge.address.port;
      await start(t, port, {
        ...{ origins, folder: own, primary, key: { name: "xfr.example", secret } },
      });
    }
    const clients = await Promise.all(ports.map((port) => udpClient("127.0.0.1", port)));
    t.after(() => clients.forEach((client) => client.close()));
    const haveVersion = async (version: number, sequence: number): Promise<void> => {
      for (const { origin, denial } of served) {
        const serial = version + (denial === undefined ? 0 : sequence * SIGNED_SERIALS);
        await until(`serial ${serial} of ${origin} at both`, TAKEN_MS_MAX, async () => {
          const serials = await Promise.all(clients.map((client) => serialAt(client, origin)));
          return serials.every((one) => one === serial);
        });
      }
    };
    await haveVersion(1, 1);
    const wholeZones = (): number =>
      edge.transfers.filter((line) => line.startsWith("sends the zone")).length;
    const atFirst = wholeZones();
    for (let version = 2; version <= CHANGES + 1; version++) {
      change(names, random);
      await serve(version);
      if (version % CHANGES_AT_ONCE === 0 || version === CHANGES + 1) await haveVersion(version, 1);
    }
    assert.equal(wholeZones(), atFirst, "from then on what has changed");
    const check = async (): Promise<void> => {
      for (const { origin, denial, digests } of served) {
        const expected = await zoneAt(edge.address.port, origin, true);
        assert.ok(expected.length > 20);
        for (const port of ports)
          // NSD has names in lower case.
          assert.deepEqual(
            (await zoneAt(port, origin)).map(lower).toSorted(),
            expected.map(lower).toSorted(),
          );
        // Over UDP, where a changed zone does not fit: the serial of them all.
        const overUdp = ["+notcp", "+ignore", "+short", ...signature, origin, "IXFR=1"];
        const soa = await run("kdig", [...at(edge.address.port), ...overUdp]);
        assert.ok(
          expected.some((line) => line.endsWith(` SOA ${soa.stdout.trim()}`)),
          soa.stdout,
        );
        const anchor = fixtures.get(origin)?.anchor;
        await checkZone(folder, origin, expected, anchor, digests.length > 0);
        assert.equal(denial === undefined, anchor === undefined);
      }
    };
    await check();
    // Other keys, and the same zone: a serial that is higher by itself.
    fixtures = signers(2);
    await serve(CHANGES + 1);
    await haveVersion(CHANGES + 1, 2);
    await check();
    await edgesAgree(t, modelOf(names, CHANGES + 1, ports), fixtures, edge.address.port);
    const resolver = await startUnbound(
      t,
      [...fixtures].map(([origin, { anchor }]) => ({ origin, port: knot, anchor })),
    );
    for (const origin of fixtures.keys())
      for (const [name, type, rcode] of [
        [origin, "MX", "NOERROR"],
        [`app.${origin}`, "A", "NOERROR"],
        [`x.wild.${origin}`, "A", "NOERROR"],
        [`gone.${origin}`, "A", "NXDOMAIN"],
        [`d0.${origin}`, "A", "NOERROR"],
        [`sub.${origin}`, "DS", "NOERROR"],
        [`safe.${origin}`, "DS", "NOERROR"],
      ] as const)
        await until(`an answer of Unbound for ${name}`, TAKEN_MS_MAX, async () => {
          const how = ["+dnssec", "+retry=0", "+timeout=2", name, type];
          const { stdout } = await run("kdig", [...at(resolver), ...how]).catch(() => NOTHING);
          if (!stdout.includes("status: ")) return false;
          assert.match(stdout, new RegExp(`status: ${rcode};`));
          assert.match(stdout, /Flags:[^;]* ad/);
          return true;
        });
  },
);

/** Another edge refuses signed zones as long as it has nothing to sign with, and then sends the very same records. */
async function edgesAgree(
  t: TestContext,
  model: TestModel,
  fixtures: ReadonlyMap<string, SignedFixture>,
  port: number,
): Promise<void> {
  const other = await RunningEdge.start();
  t.after(() => other.close());
  other.setSecrets(secrets);
  await other.serve(model);
  for (const origin of fixtures.keys())
    assert.deepEqual(await zoneAt(other.address.port, origin, true), []);
  await other.serve(
    model,
    [...fixtures.values()].map(({ material }) => material),
  );
  for (const origin of fixtures.keys()) {
    const expected = await zoneAt(port, origin, true);
    const sent = (): Promise<string[]> => zoneAt(other.address.port, origin, true);
    await until(`${origin} of another edge`, TAKEN_MS_MAX, async () => (await sent()).length > 0);
    assert.deepEqual(await sent(), expected);
  }
}

/** As ldns, Knot and BIND see it. */
async function checkZone(
  folder: string,
  origin: string,
  records: readonly string[],
  anchor: Uint8Array | undefined,
  isDigested: boolean,
): Promise<void> {
  const file = join(folder, `${origin}checked`);
  // The SOA comes first and last.
  writeFileSync(file, `${[...new Set(records)].join("\n")}\n`);
  await run("named-checkzone", ["-q", "-i", "none", origin, file]);
  if (anchor === undefined && !isDigested) return;
  await run("kzonecheck", ["-o", origin, ...(anchor === undefined ? [] : ["-d", "on"]), file]);
  const trusted = join(folder, `${origin}key`);
  if (anchor !== undefined)
    writeFileSync(trusted, `${origin} 3600 IN DNSKEY ${formatRdata(RRType.DNSKEY, anchor)}\n`);
  const how = anchor === undefined ? ["-Z"] : ["-k", trusted, ...(isDigested ? ["-Z", "-Z"] : [])];
  await run("ldns-verify-zone", [...how, file]);
}

/** Keys of the signed zones, the same for a sequence but for the day. */
function signers(sequence: number): Map<string, SignedFixture> {
  const now = Math.floor(Date.now() / 1000);
  return new Map(
    served.flatMap(({ origin, denial }) => {
      if (denial === undefined) return [];
      const fixture = signingFixture(origin, now, { isSplit: true, denial });
      return [[origin, { ...fixture, material: { ...fixture.material, sequence } }]];
    }),
  );
}

async function serialAt(client: DnsClient, origin: string): Promise<number | undefined> {
  const query = encodeMessage(makeQuery(wire(origin), RRType.SOA));
  // One that is busy is asked again.
  const bytes = await client.ask(query).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const message = decodeMessage(bytes);
  assert.ok(!("error" in message));
  const { rdata } = message.answer.find(({ type }) => type === RRType.SOA) ?? {};
  return rdata === undefined ? undefined : Buffer.from(rdata).readUInt32BE(rdata.length - 20);
}

async function zoneAt(port: number, origin: string, isKeyed: boolean = false): Promise<string[]> {
  const by = isKeyed ? signature : [];
  const { stdout } = await run("kdig", [...at(port), ...by, "+noidn", origin, "AXFR"], {
    maxBuffer: 64 * 1024 * 1024,
  }).catch(() => NOTHING);
  return stdout
    .split("\n")
    .filter((line) => /^[^;\s]/.test(line) && !/\sTSIG\s/.test(line))
    .map((line) => line.replaceAll(/\s+/g, " "))
    .toSorted();
}

function lower(line: string): string {
  return line.toLowerCase();
}

function at(port: number): string[] {
  return ["@127.0.0.1", "-p", String(port)];
}

function change(names: Map<string, string>, random: Pcg32): void {
  for (let count = 1 + below(random, 3); count > 0; count--) {
    const name = `n${below(random, 12)}.d${below(random, 3)}`;
    if (names.has(name) && below(random, 3) === 0) names.delete(name);
    else names.set(name, `${60 + below(random, 2)} TXT "${below(random, 1000)}"`);
  }
}

function modelOf(
  names: ReadonlyMap<string, string>,
  serial: number,
  ports: readonly number[],
): TestModel {
  return { ...boundModel, zones: served.map((one) => zoneOf(one, names, serial, ports)) };
}

function zoneOf(
  { origin, denial, digests }: Served,
  names: ReadonlyMap<string, string>,
  serial: number,
  ports: readonly number[],
): TestZone {
  const text = `
$ORIGIN ${origin}
$TTL 300
@ SOA ns1 hostmaster ${serial} 7200 900 1209600 60
@ NS ns1
@ MX 10 Mail
ns1 A 192.0.2.53
Mail A 192.0.2.25
static A 192.0.2.2
static AAAA 2001:db8::2
*.wild A 192.0.2.3
deep.er.d0 A 192.0.2.6
old DNAME static
sub NS ns.sub
ns.sub A 192.0.2.4
safe NS ns.safe
safe DS 12345 13 2 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
ns.safe A 192.0.2.5
${[...names].map(([name, rest]) => `${name} ${rest}`).join("\n")}
`;
  const transfers: TransferSettings = {
    keys: [{ name: "xfr.example", algorithm: "hmac-sha256", secret: "default/file/xfr" }],
    allow: [{ key: "xfr.example" }],
    notify: ports.map((port) => ({ address: "127.0.0.1", port, key: "xfr.example" })),
    ...(denial === undefined ? {} : { isSigned: true }),
    digests,
    transferAs: "default",
  };
  const bound = boundZone.bound?.map((one) => ({
    ...one,
    owner: one.owner.replace("example.org.", origin),
  }));
  return {
    origin,
    text,
    options: { seed: 7, transfers },
    ...(bound === undefined ? {} : { bound }),
  };
}

function below(random: Pcg32, limit: number): number {
  return random.next32() % limit;
}
