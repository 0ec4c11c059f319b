// SPDX-License-Identifier: Apache-2.0

// Zones over TLS (XoT, RFC 9103): to BIND, which checks the certificate, and to nobody who speaks an older TLS, or none.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { X509Certificate, createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect, type SecureVersion } from "node:tls";
import { promisify } from "node:util";
import { PrimaryConnection } from "@meridian/control";
import { RRType, Rcode, decodeMessage, encodeMessage, makeQuery, tsigKey } from "@meridian/dns";
import type { TransferSettings } from "@meridian/snapshot";
import { proxyHeader } from "../../packages/edge/src/transport-testing/proxy.ts";
import { freePort, temporaryFolder, until } from "../e2e/process.ts";
import { needs } from "../needs.ts";
import { startDaemon } from "../peers/daemon.ts";
import { secondaryPort, startBindSecondary } from "../peers/secondaries.ts";
import { RunningEdge } from "./running-edge.ts";
import { wire, type TestModel } from "./test-server.ts";

const run = promisify(execFile);
const TAKEN_MS_MAX = 60_000;
const origin = "private.test.";
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const skip =
  needs("named", "bind9") || needs("kdig", "knot-dnsutils") || needs("openssl", "openssl");

test("a zone for TLS alone goes to BIND over TLS, at once when it changes", { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const { cert, key, certificate } = await makeCertificate(folder);
  const encrypted = { dot: ["127.0.0.1:0"], doh: [], certificate: { cert, key } };
  const edge = await RunningEdge.start({ kind: "query" }, 1, { encrypted });
  t.after(() => edge.close());
  edge.setSecrets(new Map([["default/file/xfr", secret]]));
  const bind = await secondaryPort();
  await edge.serve(modelOf(1, bind));
  const dot = edge.encryptedPort("dot");
  const own = join(folder, "bind");
  mkdirSync(own);
  const setup = { origins: [origin], folder: own, primary: dot };
  await startBindSecondary(
    t,
    bind,
    { ...setup, key: { name: "xfr.example", secret } },
    certificate,
  );
  const ask = async (port: number, ...how: readonly string[]): Promise<string> => {
    const where = ["@127.0.0.1", "-p", String(port), "+retry=0", "+timeout=2"];
    return (await run("kdig", [...where, ...how]).catch(() => ({ stdout: "" }))).stdout;
  };
  for (const serial of [1, 2]) {
    if (serial > 1) await edge.serve(modelOf(serial, bind));
    await until(`serial ${serial} at BIND`, TAKEN_MS_MAX, async () =>
      (await ask(bind, "+short", origin, "SOA")).includes(` ${serial} 7200 `),
    );
  }
  const sent = edge.transfers.filter((line) => line.startsWith("sends "));
  assert.deepEqual(sent, ["sends the zone, serial 1", "sends 1 changes, serial 2"]);
  assert.match(await ask(dot, "+tls", origin, "AXFR"), /text\.private\.test\.\s.*"serial 2"/);
  // In the clear, over an older TLS, and where it was not agreed on what is spoken.
  assert.doesNotMatch(await ask(edge.address.port, origin, "AXFR"), /serial 2/);
  assert.equal(await axfr(dot, "TLSv1.3", ["dot"]), Rcode.NOERROR);
  assert.equal(await axfr(dot, "TLSv1.2", ["dot"]), Rcode.REFUSED);
  assert.equal(await axfr(dot, "TLSv1.3", []), Rcode.REFUSED);
});

test(
  "a zone comes from BIND over TLS, from nobody with another name or issuer",
  { skip },
  async (t) => {
    const folder = temporaryFolder(t);
    const { certificate } = await makeCertificate(folder);
    const [port, mutual] = [await freePort(), await freePort()];
    const keyFile = join(folder, "dot.key");
    writeFileSync(
      join(folder, "zone"),
      "@ 60 SOA ns1 h 1 3600 1 86400 5\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n",
    );
    writeFileSync(
      join(folder, "named.conf"),
      `options {
  directory "${folder}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on port ${port} tls own { 127.0.0.1; };
  listen-on port ${mutual} tls mutual { 127.0.0.1; };
  listen-on-v6 { none; };
};
tls own { cert-file "${certificate}"; key-file "${keyFile}"; };
tls mutual { cert-file "${certificate}"; key-file "${keyFile}"; ca-file "${certificate}"; };
key xfr.example { algorithm hmac-sha256; secret "${secret}"; };
controls { };
zone "${origin}" { type primary; file "zone"; allow-transfer transport tls { key xfr.example; }; };
`,
    );
    await startDaemon(t, "named", ["-g", "-c", join(folder, "named.conf"), "-n", "1"], /running$/m);
    const take = async (
      serverName: string | undefined,
      ca: string | undefined,
      to: { readonly port: number; readonly own?: { cert: string; key: string } } = { port },
    ): Promise<string> => {
      const key = tsigKey("xfr.example", "hmac-sha256", secret);
      const signal = new AbortController().signal;
      const tls = { serverName, ca, certificate: to.own };
      const primary = { address: "127.0.0.1", port: to.port, key, tls };
      const open = PrimaryConnection.open(primary, wire(origin), { signal, nowMs: Date.now });
      const connection = await open;
      t.after(() => connection.close());
      assert.equal((await connection.soa()).serial, 1);
      return (await connection.transfer()).kind;
    };
    assert.equal(await take(undefined, certificate), "zone");
    await assert.rejects(take("other.test", certificate), /other\.test/);
    await assert.rejects(take(undefined, undefined), /self-signed/);
    // Where the primary wants to see a certificate (RFC 9103 §9.3.3), its own among those that it trusts.
    const own = { cert: certificate, key: keyFile };
    assert.equal(await take(undefined, certificate, { port: mutual, own }), "zone");
    await assert.rejects(take(undefined, certificate, { port: mutual }));
  },
);

interface AxfrWay {
  readonly from?: string;
  /** Bytes inside TLS before all others. */
  readonly header?: Uint8Array;
}

/** The rcode of the first message. */
async function axfr(
  port: number,
  version: SecureVersion,
  protocols: string[],
  { cert, key, from = "127.0.0.1", header }: Partial<Issued> & AxfrWay = {},
): Promise<number> {
  const socket = connect({
    socket: connectTcp({ host: "127.0.0.1", port, localAddress: from }),
    ...{ rejectUnauthorized: false, maxVersion: version },
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(protocols.length > 0 ? { ALPNProtocols: protocols } : {}),
  });
  await once(socket, "secureConnect");
  if (header !== undefined) socket.write(header);
  const query = encodeMessage(makeQuery(wire(origin), RRType.AXFR, { id: 5 }));
  socket.write(Uint8Array.of(query.length >>> 8, query.length, ...query));
  let received: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    assert.ok(chunk instanceof Uint8Array);
    received = Buffer.concat([received, chunk]);
    if (received.length > 2 && received.length >= 2 + received.readUInt16BE()) break;
  }
  const message = decodeMessage(received.subarray(2, 2 + received.readUInt16BE()));
  assert.ok(!("error" in message));
  return message.rcode;
}

test(
  "a zone goes to BIND for the certificate that it shows, and to nobody who shows none or another",
  { skip },
  async (t) => {
    const folder = temporaryFolder(t);
    const { cert, key, certificate } = await makeCertificate(folder);
    const authority = await makeAuthority(folder);
    const own = await authority.issue("secondary.test");
    const other = await authority.issue("other.test");
    const server = await authority.issue("secondary.test", "extendedKeyUsage=serverAuth");
    const stranger = await (await makeAuthority(folder)).issue("secondary.test");
    const clientAuthorities = readFileSync(authority.certFile, "utf8");
    const encrypted = {
      ...{ dot: ["127.0.0.1:0"], doh: [] },
      certificate: { cert, key, clientAuthorities },
    };
    const proxies = ["127.0.0.9/32"];
    const edge = await RunningEdge.start({ kind: "query" }, 1, { encrypted, proxies });
    t.after(() => edge.close());
    edge.setSecrets(new Map([["default/file/xfr", secret]]));
    const bind = await secondaryPort();
    const { zones } = modelOf(1, bind);
    const certified = [
      { certificate: { name: "secondary.test" } },
      { certificate: { spki: stranger.spki }, clients: ["127.0.0.2/32"] },
    ];
    await edge.serve({
      zones: zones.map((zone) => {
        const { transfers } = zone.options ?? {};
        assert.ok(transfers !== undefined);
        return {
          ...zone,
          options: { ...zone.options, transfers: { ...transfers, allow: [], certified } },
        };
      }),
    });
    const dot = edge.encryptedPort("dot");
    const place = join(folder, "bind");
    mkdirSync(place);
    const setup = { origins: [origin], folder: place, primary: dot };
    await startBindSecondary(
      t,
      bind,
      { ...setup, key: { name: "xfr.example", secret } },
      certificate,
      own,
    );
    await until("the zone at BIND", TAKEN_MS_MAX, async () => {
      const where = ["@127.0.0.1", "-p", String(bind), "+retry=0", "+timeout=2", "+short"];
      const asked = await run("kdig", [...where, origin, "SOA"]).catch(() => ({ stdout: "" }));
      return asked.stdout.includes(" 1 7200 ");
    });
    const take = (shown?: Issued, from = "127.0.0.1"): Promise<number> =>
      axfr(dot, "TLSv1.3", ["dot"], { ...shown, from });
    assert.equal(await take(own), Rcode.NOERROR);
    assert.equal(await take(), Rcode.REFUSED);
    assert.equal(await take(other), Rcode.REFUSED);
    assert.equal(await take(server), Rcode.REFUSED, "a certificate of servers");
    assert.equal(await take(stranger), Rcode.REFUSED, "an authority that nobody knows");
    assert.equal(await take(stranger, "127.0.0.2"), Rcode.NOERROR, "a key that a rule names");
    assert.equal(await axfr(dot, "TLSv1.2", ["dot"], own), Rcode.REFUSED);
    // Whoever is behind a proxy that ends TLS has not shown what the proxy shows.
    const header = proxyHeader(Uint8Array.of(127, 0, 0, 1));
    const behind = await axfr(dot, "TLSv1.3", ["dot"], { ...own, from: "127.0.0.9", header });
    assert.equal(behind, Rcode.REFUSED, "a proxy's certificate");
  },
);

/** A certificate of a client. */
interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly spki: string;
}

/** Who signs certificates of clients. */
async function makeAuthority(
  folder: string,
): Promise<{ certFile: string; issue: (name: string, more?: string) => Promise<Issued> }> {
  const own = mkdtempSync(join(folder, "authority-"));
  const [certFile, keyFile] = [join(own, "ca.crt"), join(own, "ca.key")];
  const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  await run("openssl", [
    ...["req", "-x509", ...made, "-subj", "/CN=authority"],
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-keyout", keyFile, "-out", certFile],
  ]);
  let issued = 0;
  const issue = async (name: string, more = "keyUsage=digitalSignature"): Promise<Issued> => {
    issued += 1;
    const [cert, key] = [join(own, `${issued}.crt`), join(own, `${issued}.key`)];
    await run("openssl", [
      ...["req", "-x509", ...made, "-CA", certFile, "-CAkey", keyFile, "-subj", "/CN=client"],
      ...["-addext", `subjectAltName=DNS:${name}`, "-addext", "basicConstraints=CA:FALSE"],
      ...["-addext", more],
      ...["-keyout", key, "-out", cert],
    ]);
    const text = readFileSync(cert, "utf8");
    const spki = new X509Certificate(text).publicKey.export({ format: "der", type: "spki" });
    return {
      ...{ cert: text, key: readFileSync(key, "utf8"), certFile: cert, keyFile: key },
      spki: createHash("sha256").update(spki).digest("base64"),
    };
  };
  return { certFile, issue };
}

async function makeCertificate(
  folder: string,
): Promise<{ cert: string; key: string; certificate: string }> {
  const [certificate, key] = [join(folder, "dot.crt"), join(folder, "dot.key")];
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", "/CN=edge", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", key, "-out", certificate],
  ]);
  return { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8"), certificate };
}

function modelOf(serial: number, bind: number): TestModel {
  const text = `
$ORIGIN ${origin}
$TTL 300
@ SOA ns1 hostmaster ${serial} 7200 900 1209600 60
@ NS ns1
ns1 A 192.0.2.53
text TXT "serial ${serial}"
`;
  const transfers: TransferSettings = {
    keys: [{ name: "xfr.example", algorithm: "hmac-sha256", secret: "default/file/xfr" }],
    allow: [{ key: "xfr.example" }, { clients: ["127.0.0.0/8"] }],
    notify: [{ address: "127.0.0.1", port: bind, key: "xfr.example" }],
    encryptedOnly: true,
    transferAs: "default",
  };
  return { zones: [{ origin, text, options: { seed: 7, transfers } }] };
}
