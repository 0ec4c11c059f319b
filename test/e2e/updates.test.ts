// SPDX-License-Identifier: Apache-2.0

// Dynamic updates (RFC 2136) as other programs send them: an edge takes them, control does them, and what was acknowledged is there
// whatever ends when.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BADSIG, ExtendedError, RRType, Rcode, rcodeToText, readTsig } from "@meridian/dns";
import { tcpClient, udpClient } from "../conformance/dns-client.ts";
import { wire } from "../conformance/test-server.ts";
import { needs } from "../needs.ts";
import {
  absent,
  answersOf,
  askFor,
  edeOf,
  key,
  present,
  remove,
  secret,
  signed,
  txt,
  update,
} from "./dynamic-update.ts";
import { PlaneProcess, joinedEdge } from "./edge-processes.ts";
import { busyFactor, freePort, meridian, temporaryFolder, until } from "./process.ts";

const SERVED_MS_MAX = 60_000;
/** Updates that are acknowledged before control is killed. */
const KILLED_AFTER = 8;
const UPDATES_MAX = 100;
const documents = `
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.org }
spec:
  origin: example.org
  nameServers: [{ name: ns1.example.org, addresses: [192.0.2.53] }]
  records: [{ name: www, type: A, values: [192.0.2.1] }]
  tsigKeys:
    ddns.example: { secret: { file: ddns } }
    acme.example: { secret: { file: ddns } }
  updates:
    mode: store
    allow:
      - { key: ddns.example }
      - { key: acme.example, names: [_acme-challenge.www], types: [TXT] }
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: { name: example.net }
spec:
  origin: example.net
  nameServers: [{ name: ns.example.org }]
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: { name: web }
spec: { members: { a: { address: 192.0.2.80 } } }
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: { name: app.example.org }
spec: { name: app.example.org, pool: web }
`;

const skip = needs("nsupdate", "bind9-dnsutils") || needs("knsupdate", "knot-dnsutils");

test("updates are done by control, acknowledged when the store has them", { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const stateDir = join(folder, "control");
  const secrets = join(stateDir, "secrets", "default");
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  writeFileSync(join(secrets, "ddns"), secret, { mode: 0o600 });
  const files = join(folder, "documents.yaml");
  writeFileSync(files, documents);
  const listen = `127.0.0.1:${await freePort()}`;
  const control = new PlaneProcess(t, stateDir, [
    ...["control", "-f", files, "--edges", listen, "--http", "none"],
  ]);
  await control.start(/"msg":"Serving edges"/);
  const port = await freePort();
  const place = { folder, control, url: `https://${listen}` };
  const edge = await joinedEdge(t, place, "edge", port);
  await edge.start(/"msg":"Answering"|"msg":"Waiting/);
  const udp = await udpClient("127.0.0.1", port);
  const tcp = await tcpClient("127.0.0.1", port);
  t.after(() => {
    udp.close();
    tcp.close();
  });
  const isServed = async (name: string, type: number): Promise<boolean> =>
    (await answersOf(udp, name, type)).length > 0;
  const served = async (name: string, type: number): Promise<void> => {
    await until(`${name} at the edge`, SERVED_MS_MAX * busyFactor(), () => isServed(name, type));
  };
  await served("www.example.org.", RRType.A);
  // Its secret comes by another way than the zone.
  const probe = signed(update({ prerequisites: [present("www.example.org.", RRType.A)] }));
  await until("the key at the edge", SERVED_MS_MAX * busyFactor(), async () => {
    const { rcode } = await askFor(udp, probe);
    return rcode === Rcode.NOERROR;
  });

  // Other programs.
  const bind = await tool("nsupdate", port, "acme.example", [
    'update add _acme-challenge.www.example.org 60 TXT "token"',
  ]);
  assert.equal(bind.code, 0, bind.output);
  const knot = await tool("knsupdate", port, "ddns.example", [
    "prereq nxdomain host.example.org",
    "update add host.example.org 300 A 192.0.2.7",
    "update add host.example.org 300 A 192.0.2.8",
  ]);
  assert.equal(knot.code, 0, knot.output);
  await served("_acme-challenge.www.example.org.", RRType.TXT);
  await until("both addresses", SERVED_MS_MAX * busyFactor(), async () => {
    return (await answersOf(tcp, "host.example.org.", RRType.A)).length === 2;
  });
  const forbidden = await tool("nsupdate", port, "acme.example", [
    "update add other.example.org 60 A 192.0.2.9",
  ]);
  assert.match(forbidden.output, /REFUSED/);
  const again = await tool("knsupdate", port, "ddns.example", [
    "prereq nxdomain host.example.org",
    "update delete host.example.org",
  ]);
  assert.match(again.output, /YXDOMAIN/);

  // All or nothing, over both transports, with the reason for who knows EDNS.
  const refusals: [Uint8Array, number, number | undefined, RegExp][] = [
    [update({}), Rcode.REFUSED, ExtendedError.PROHIBITED, /has to be signed/],
    [
      update({ origin: "example.net." }),
      Rcode.REFUSED,
      ExtendedError.PROHIBITED,
      /takes no dynamic updates/,
    ],
    [update({ origin: "example.com." }), Rcode.NOTAUTH, ExtendedError.NOT_AUTHORITATIVE, /^$/],
    [
      signed(update({ updates: [txt("new.example.org."), txt("app.example.org.")] })),
      Rcode.REFUSED,
      ExtendedError.NOT_SUPPORTED,
      /app.example.org is routed by policy/,
    ],
    [
      signed(update({ updates: [txt("new.example.org."), remove("www.example.org.")] })),
      Rcode.REFUSED,
      ExtendedError.PROHIBITED,
      /www.example.org A is declared by the zone's document/,
    ],
    [
      signed(update({ updates: [txt("new.example.org."), txt("new.example.com.")] })),
      Rcode.NOTZONE,
      undefined,
      /^$/,
    ],
  ];
  for (const client of [udp, tcp])
    for (const [packet, rcode, ede, text] of refusals) {
      const answer = await askFor(client, packet);
      const found = edeOf(answer);
      assert.deepEqual(
        [rcodeToText(answer.rcode), found?.infoCode],
        [rcodeToText(rcode), ede],
        found?.text ?? "",
      );
      assert.match(found?.text ?? "", text);
    }
  assert.deepEqual(await answersOf(udp, "new.example.org.", RRType.TXT), []);

  // Signatures (RFC 8945 §5.2).
  const nowSeconds = Math.floor(Date.now() / 1000);
  const wrong: [Uint8Array, number][] = [
    [signed(update({}), { ...key, name: wire("no.example.") }), Rcode.BADKEY],
    [signed(update({}), { ...key, secret: Buffer.from("another") }), BADSIG],
    [signed(update({}), key, nowSeconds - 3600), Rcode.BADTIME],
  ];
  for (const [packet, error] of wrong) {
    const bytes = await udp.ask(packet);
    const record = readTsig(bytes);
    assert.ok(record !== undefined && record !== "malformed");
    assert.deepEqual([(bytes[3] ?? 0) & 0xf, record.error], [Rcode.NOTAUTH, error]);
  }
  for (const reason of ["BADKEY", "BADSIG", "BADTIME"])
    await edge.whenLogged(new RegExp(`"outcome":"its update is signed wrongly: ${reason}"`));
  await control.whenLogged(
    /"rcode":"REFUSED","reason":"app\.example\.org is routed by policy[^\n]*Refused a dynamic update/,
  );

  // Once, however often it comes: an answer may have been lost.
  const once = signed(
    update({
      prerequisites: [absent("once.example.org.")],
      updates: [txt("once.example.org.")],
    }),
  );
  assert.equal((await askFor(udp, once)).rcode, Rcode.NOERROR);
  assert.equal((await askFor(tcp, once)).rcode, Rcode.NOERROR);
  const history = await meridian("history", "--state", stateDir);
  assert.match(history.stdout, /tsig\/ddns\.example/, history.stderr);

  // Control dies in the middle of many: none that was acknowledged is lost.
  const acknowledged: string[] = [];
  let isKilled = false;
  const lanes = ["a", "b", "c"].map(async (lane) => {
    for (let index = 0; index < UPDATES_MAX; index += 1) {
      const name = `${lane}-${index}.example.org.`;
      const packet = signed(update({ updates: [txt(name)] }));
      // One that is not answered may be done or not.
      const answer = await askFor(tcp, packet).catch(() => undefined);
      if (answer?.rcode === Rcode.NOERROR) acknowledged.push(name);
      else if (isKilled) return;
      if (isKilled || acknowledged.length < KILLED_AFTER) continue;
      isKilled = true;
      void control.kill();
    }
  });
  await Promise.all(lanes);
  assert.ok(acknowledged.length >= KILLED_AFTER, "some before control was gone");
  const cut = await askFor(udp, signed(update({ updates: [txt("cut.example.org.")] })));
  assert.deepEqual(
    [cut.rcode, edeOf(cut)?.infoCode],
    [Rcode.SERVFAIL, ExtendedError.NETWORK_ERROR],
  );
  await control.start(/"msg":"Serving edges"/);
  await until("updates again", SERVED_MS_MAX * busyFactor(), async () => {
    const { rcode } = await askFor(tcp, signed(update({ updates: [txt("after.example.org.")] })));
    return rcode === Rcode.NOERROR;
  });
  await served("after.example.org.", RRType.TXT);
  for (const name of acknowledged) assert.ok(await isServed(name, RRType.TXT), name);
  assert.deepEqual(await answersOf(udp, "cut.example.org.", RRType.TXT), []);
});

/** Runs a program that sends updates. */
async function tool(
  program: "nsupdate" | "knsupdate",
  port: number,
  by: string,
  lines: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(program, ["-y", `hmac-sha256:${by}:${secret}`]);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  const ended = Promise.withResolvers<number | null>();
  child.on("close", (code) => ended.resolve(code));
  child.stdin.end(
    [`server 127.0.0.1 ${port}`, "zone example.org", ...lines, "send", ""].join("\n"),
  );
  return { code: await ended.promise, output };
}
