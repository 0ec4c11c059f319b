// SPDX-License-Identifier: Apache-2.0

// The PROXY protocol as dnsdist speaks it, over UDP, TCP and TLS, and from who may not speak it. Who the client is shows in whether it
// may ask for a diagnosis: only 127.0.0.9 may.

import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { encodeMessage, makeQuery, RRType } from "@meridian/dns";
import { boundModel } from "../conformance/bound-model.ts";
import { RunningEdge } from "../conformance/running-edge.ts";
import { wire } from "../conformance/test-server.ts";
import { needs, programPath } from "../needs.ts";

const run = promisify(execFile);
const skip =
  needs("dnsdist", "dnsdist") || needs("kdig", "knot-dnsutils") || needs("openssl", "openssl");
const folder = mkdtempSync(join(tmpdir(), "proxy-"));
let edge: RunningEdge;
let dnsdist: ChildProcess;
let ports: readonly number[] = [];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

before(async () => {
  if (skip !== false) return;
  const [cert, key] = [join(folder, "crt"), join(folder, "key")];
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", "/CN=edge", "-keyout", key, "-out", cert],
  ]);
  edge = await RunningEdge.start({ kind: "query", diagnosis: ["127.0.0.9/32"] }, 1, {
    encrypted: {
      dot: ["127.0.0.1:0"],
      doh: [],
      certificate: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") },
    },
    proxies: ["127.0.0.1/32"],
  });
  await edge.serve(boundModel);
  ports = [await freePort(), await freePort()];
  const backend = (port: number, more: string): string =>
    `newServer({address="127.0.0.1:${port}", useProxyProtocol=true, ${more}}):setUp()`;
  writeFileSync(
    join(folder, "dnsdist.conf"),
    [
      `setLocal("127.0.0.1:${ports[0]}")`,
      `addLocal("127.0.0.1:${ports[1]}")`,
      backend(edge.address.port, 'pool=""'),
      backend(edge.encryptedPort("dot"), 'pool="dot", tls="openssl", validateCertificates=false'),
      `addAction(DSTPortRule(${ports[1]}), PoolAction("dot"))`,
    ].join("\n"),
  );
  dnsdist = spawn(
    programPath("dnsdist") ?? "dnsdist",
    ["--supervised", "--disable-syslog", "-C", join(folder, "dnsdist.conf")],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  dnsdist.stderr?.resume();
  let said = "";
  for await (const text of dnsdist.stdout ?? []) {
    said += String(text);
    if (said.includes(`Listening on 127.0.0.1:${ports[1]}`)) break;
  }
  dnsdist.stdout?.resume();
});

after(async () => {
  dnsdist?.kill("SIGKILL");
  await edge?.close();
  rmSync(folder, { recursive: true });
});

/** The status of a diagnosis that `from` asks for through dnsdist. */
async function ask(
  from: string,
  port: number | undefined,
  ...how: readonly string[]
): Promise<string> {
  const { stdout } = await run("kdig", [
    ...[`@127.0.0.1`, "-p", String(port), "-b", from, "+timeout=5", "+retry=1", ...how],
    ...["TXT", "why.app.example.org"],
  ]);
  return /status: ([A-Z]+)/.exec(stdout)?.[1] ?? stdout;
}

test("the client is who dnsdist says it is: over UDP, TCP and TLS", { skip }, async () => {
  const [plain, dot] = ports;
  assert.equal(await ask("127.0.0.9", plain), "NOERROR");
  assert.equal(await ask("127.0.0.8", plain), "NXDOMAIN");
  assert.equal(await ask("127.0.0.9", plain, "+tcp"), "NOERROR");
  assert.equal(await ask("127.0.0.8", plain, "+tcp"), "NXDOMAIN");
  assert.equal(await ask("127.0.0.9", dot, "+tcp"), "NOERROR");
  assert.equal(await ask("127.0.0.8", dot, "+tcp"), "NXDOMAIN");
});

test(
  "a listed proxy that writes no header is not answered, and who is not listed may write none",
  { skip },
  async () => {
    const query = encodeMessage(makeQuery(wire("static.example.org."), RRType.A, { id: 7 }));
    const { port } = edge.address;
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    socket.send(query, port, "127.0.0.1");
    const header = Buffer.from([...Buffer.from("\r\n\r\n\0\r\nQUIT\n"), 0x20, 0, 0, 0]);
    socket.send(
      Buffer.concat([
        header,
        encodeMessage(makeQuery(wire("static.example.org."), RRType.A, { id: 8 })),
      ]),
      port,
      "127.0.0.1",
    );
    const [first]: Buffer[] = await once(socket, "message");
    assert.equal(first?.readUInt16BE(0), 8, "only the second is answered");
    socket.close();
    const stranger = createSocket("udp4");
    stranger.bind(0, "127.0.0.7");
    await once(stranger, "listening");
    stranger.send(Buffer.concat([header, query]), port, "127.0.0.1");
    stranger.send(query, port, "127.0.0.1");
    let answer: Buffer;
    do [answer] = await once(stranger, "message");
    while (answer.readUInt16BE(0) !== 7);
    assert.equal((answer[3] ?? 0) & 0xf, 0);
    stranger.close();
    const connection = connect(port, "127.0.0.1");
    connection.write(Buffer.concat([Uint8Array.of(0, query.length), query]));
    connection.on("error", () => undefined).resume();
    await once(connection, "close");
    assert.equal(connection.bytesRead, 0);
  },
);

test("the header may come before the handshake, as other proxies write it", { skip }, async () => {
  const query = encodeMessage(makeQuery(wire("why.app.example.org."), RRType.TXT, { id: 7 }));
  const statusFor = async (last: number): Promise<number> => {
    const raw = connect(edge.encryptedPort("dot"), "127.0.0.1");
    raw.cork();
    const addresses = [127, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 0];
    raw.write(
      Buffer.from([...Buffer.from("\r\n\r\n\0\r\nQUIT\n"), 0x21, 0x12, 0, 12, ...addresses]),
    );
    const secure = connectTls({ socket: raw, rejectUnauthorized: false });
    setImmediate(() => raw.uncork());
    await once(secure, "secureConnect");
    secure.write(Uint8Array.of(0, query.length, ...query));
    const [answer] = await once(secure, "data");
    secure.destroy();
    return answer[5] & 0xf;
  };
  assert.deepEqual([await statusFor(9), await statusFor(8)], [0, 3]);
});
