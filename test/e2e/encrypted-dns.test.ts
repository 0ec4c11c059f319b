// SPDX-License-Identifier: Apache-2.0

// DNS over TLS and over HTTPS as kdig and curl speak them, with a certificate that is replaced while they ask, and what a client may
// not do there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp } from "node:http2";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { decodeMessage, encodeMessage, makeQuery, RRType } from "@meridian/dns";
import {
  Edge,
  formatEdgeAddress,
  queryHandlerModule,
  SILENT_LOGGER,
  type EncryptedListens,
} from "@meridian/edge";
import { loadNative } from "@meridian/native";
import { exampleZone } from "../conformance/example-zone.ts";
import { RunningEdge } from "../conformance/running-edge.ts";
import { wire } from "../conformance/test-server.ts";
import { needs } from "../needs.ts";
import { startDaemon } from "../peers/daemon.ts";
import { freePort } from "./process.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "encrypted-"));
const skip = needs("kdig", "knot-dnsutils") || needs("curl", "curl") || needs("openssl", "openssl");
const query = encodeMessage(makeQuery(wire("example.org."), RRType.SOA, { id: 0 }));
let edge: RunningEdge;
let dot = 0;
let doh = 0;

async function makeCertificate(name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:dns.example.org"],
    ...["-keyout", key, "-out", cert],
  ]);
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

before(async () => {
  if (skip !== false) return;
  const certificate = await makeCertificate("first");
  edge = await RunningEdge.start({ kind: "query" }, 1, {
    encrypted: { dot: ["127.0.0.1:0"], doh: ["127.0.0.1:0"], certificate },
    tcp: { idleTimeoutMs: 2000, connectionsPerClientMax: 16 },
  });
  await edge.serve({ zones: [exampleZone] });
  dot = edge.encryptedPort("dot");
  doh = edge.encryptedPort("doh");
});

after(async () => {
  await edge?.close();
  rmSync(folder, { recursive: true });
});

/** Common name of the certificate that is shown. */
async function shownName(): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port: dot, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

/** What curl says of a request to the DoH service: its status and one header. */
async function curl(header: string, ...given: readonly string[]): Promise<string> {
  const { stdout } = await run("curl", [
    ...["-sk", "--http2", "-m", "10", "-o", join(folder, "body")],
    ...["-w", `%{http_version} %{http_code} %header{${header}}`],
    ...given.map((part) => part.replace("URL", `https://127.0.0.1:${doh}/dns-query`)),
  ]);
  return stdout;
}

const encoded = Buffer.from(query).toString("base64url");
const message = "application/dns-message";

test(
  "kdig is answered over TLS, several queries a connection, and over HTTPS by GET and POST",
  { skip },
  async () => {
    const ask = async (...how: readonly string[]): Promise<string> =>
      (await run("kdig", ["@127.0.0.1", "+timeout=5", "+retry=0", ...how])).stdout;
    const overTls = await ask(
      "-p",
      String(dot),
      "+tls",
      "+keepopen",
      "+nsid",
      "SOA",
      "example.org",
      "NS",
      "example.org",
    );
    assert.match(overTls, /TLS session \(TLS1\.3\)/);
    assert.equal(overTls.match(/status: NOERROR/g)?.length, 2);
    for (const how of ["+https", "+https-get"]) {
      const answer = await ask("-p", String(doh), how, "SOA", "example.org");
      assert.match(answer, /HTTP session \(HTTP\/2/);
      assert.match(answer, /status: NOERROR/);
    }
    const padded = await ask("-p", String(dot), "+tls", "+padding=64", "SOA", "example.org");
    assert.match(padded, /Received 468 B/);
  },
);

test(
  "BIND's dig is answered over TLS and HTTPS",
  { skip: skip || needs("dig", "bind9-dnsutils") },
  async () => {
    for (const [how, port] of [
      ["+tls", dot],
      ["+https", doh],
      ["+https-get", doh],
    ] as const) {
      const asked = ["@127.0.0.1", "-p", String(port), how, "+tries=1", "example.org", "SOA"];
      const { stdout } = await run("dig", asked);
      assert.match(stdout, /status: NOERROR/, how);
    }
  },
);

test(
  "dnsdist asks over TLS and HTTPS for its clients",
  { skip: skip || needs("dnsdist", "dnsdist") },
  async (t) => {
    const ports = [await freePort(), await freePort()] as const;
    const file = join(folder, "dnsdist.conf");
    const backend = (pool: string, port: number, more: string): string =>
      `newServer({address="127.0.0.1:${port}", pool="${pool}", tls="openssl", subjectName="dns.example.org", validateCertificates=false${more}}):setUp()`;
    writeFileSync(
      file,
      [
        `setLocal("127.0.0.1:${ports[0]}")`,
        `addLocal("127.0.0.1:${ports[1]}")`,
        backend("dot", dot, ""),
        backend("doh", doh, ', dohPath="/dns-query"'),
        `addAction(DSTPortRule(${ports[0]}), PoolAction("dot"))`,
        `addAction(DSTPortRule(${ports[1]}), PoolAction("doh"))`,
      ].join("\n"),
    );
    const flags = ["--supervised", "--disable-syslog", "-C", file];
    await startDaemon(t, "dnsdist", flags, new RegExp(`Listening on 127.0.0.1:${ports[1]}`));
    for (const port of ports) {
      const where = ["@127.0.0.1", "-p", String(port), "+timeout=5"];
      const { stdout } = await run("kdig", [...where, "example.org", "SOA"]);
      assert.match(stdout, /status: NOERROR/, stdout);
    }
  },
);

test(
  "curl is sent the answer with its freshness, and the status of what is no query",
  { skip },
  async () => {
    assert.match(
      await curl("cache-control", `URL?dns=${encoded}`),
      /^2 200 private, max-age=[1-9][0-9]*$/,
    );
    const answer = decodeMessage(readFileSync(join(folder, "body")));
    assert.ok(!("error" in answer) && answer.answer.length === 1);
    const file = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(folder, name), bytes);
      return `@${join(folder, name)}`;
    };
    const type = `content-type: ${message}`;
    const good = ["--data-binary", file("good", query), "URL"];
    assert.equal(await curl("content-type", "-H", type, ...good), `2 200 ${message}`);
    assert.equal(await curl("x", "-H", "content-type: application/json", ...good), "2 415 ");
    assert.equal(
      await curl("x", "-H", type, "--data-binary", file("long", new Uint8Array(5000)), "URL"),
      "2 413 ",
    );
    assert.equal(
      await curl("x", "-H", type, "--data-binary", file("short", new Uint8Array(5)), "URL"),
      "2 400 ",
    );
    assert.equal(await curl("allow", "-X", "PUT", ...good), "2 405 GET, POST");
    assert.equal(
      await curl("x", "-H", "accept: application/dns-json", "URL?name=example.org"),
      "2 406 ",
    );
    assert.equal(await curl("x", "URL?name=example.org&type=SOA"), "2 400 ");
    assert.equal(await curl("x", "URL"), "2 400 ");
    assert.equal(await curl("x", "URLS?dns=AAAA"), "2 404 ");
  },
);

test(
  "many streams of a session are answered, and one that ends early harms none",
  { skip },
  async () => {
    const session = connectHttp(`https://127.0.0.1:${doh}`, { rejectUnauthorized: false });
    const statuses = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const stream = session.request({ ":path": `/dns-query?dns=${encoded}`, accept: message });
        stream.on("error", () => undefined);
        if (index % 10 === 9) {
          stream.close(8);
          return 0;
        }
        const [headers] = await once(stream, "response");
        stream.resume();
        return Number(headers[":status"]);
      }),
    );
    assert.equal(statuses.filter((status) => status === 200).length, 54);
    session.close();
  },
);

test(
  "who shakes no hand, or sends a query byte by byte, is let go while others are answered",
  { skip },
  async () => {
    const idle = Array.from({ length: 8 }, () => connectTcp(dot, "127.0.0.1"));
    const slow = connectTls({ host: "127.0.0.1", port: dot, rejectUnauthorized: false });
    await once(slow, "secureConnect");
    const drip = setInterval(() => slow.write(Uint8Array.of(0)), 200);
    const closed = Promise.all([...idle, slow].map((socket) => once(socket.resume(), "close")));
    for (const socket of [...idle, slow]) socket.on("error", () => undefined);
    assert.match(await curl("x", `URL?dns=${encoded}`), /^2 200/);
    await closed;
    clearInterval(drip);
  },
);

test(
  "a certificate that was replaced is shown from the next connection on, and connections go on",
  { skip },
  async () => {
    assert.equal(await shownName(), "first");
    const session = connectHttp(`https://127.0.0.1:${doh}`, { rejectUnauthorized: false });
    await once(session, "connect");
    edge.post({ kind: "certificate", ...(await makeCertificate("second")) });
    while ((await shownName()) !== "second");
    const stream = session.request({ ":path": `/dns-query?dns=${encoded}` });
    const [headers] = await once(stream, "response");
    stream.resume();
    assert.equal(headers[":status"], 200);
    session.close();
  },
);

test("a process that takes over is handed the listeners of encrypted DNS", { skip }, async () => {
  const loaded = loadNative();
  if (loaded.kind === "missing") return;
  const encrypted = (port: number): EncryptedListens => ({
    dot: [`127.0.0.1:${port}`],
    doh: [],
    certificate: {
      cert: readFileSync(join(folder, "first.crt"), "utf8"),
      key: readFileSync(join(folder, "first.key"), "utf8"),
    },
  });
  const options = {
    listen: ["127.0.0.1:0"],
    workers: 1,
    transport: "native",
    handlerModule: queryHandlerModule,
    logger: SILENT_LOGGER,
  } as const;
  const old = new Edge({ ...options, encrypted: encrypted(0) });
  await old.start();
  const inherited = old
    .exportSockets()
    .map((socket) => ({ ...socket, fd: loaded.native.duplicate(socket.fd) }));
  const port = old.encryptedAddresses("dot")[0]?.port ?? 0;
  const listen = old.addresses().map(formatEdgeAddress);
  const next = new Edge({ ...options, listen, encrypted: encrypted(port), inherited });
  await next.start();
  await old.leave();
  assert.deepEqual(next.encryptedAddresses("dot")[0]?.port, port);
  const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  socket.write(Uint8Array.of(0, query.length, ...query));
  const [answer] = await once(socket, "data");
  assert.equal(answer[5] & 0xf, 2, "a new edge that serves nothing yet says SERVFAIL");
  socket.destroy();
  await next.close();
});
