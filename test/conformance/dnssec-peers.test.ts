// SPDX-License-Identifier: Apache-2.0

// Signed answers of a real edge, judged by validators that others wrote: delv and Unbound.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import {
  decodeMessage,
  encodeMessage,
  formatRdata,
  makeQuery,
  parseRdataText,
  Rcode,
  RRType,
  typeToText,
  type Message,
} from "@meridian/dns";
import { needs } from "../needs.ts";
import { startUnbound } from "../peers/unbound.ts";
import { boundModel } from "./bound-model.ts";
import { RunningEdge } from "./running-edge.ts";
import { signingFixture, type FixtureOptions } from "./signing-fixture.ts";
import { TestServer, wire } from "./test-server.ts";

const ANSWERS_MS_MAX = 60_000;
const ASK_EVERY_MS = 100;
const apex = "signed.test.";
const text = `
signed.test. 60 IN SOA ns.signed.test. root.signed.test. 1 2 3 4 30
signed.test. 60 IN NS ns.signed.test.
signed.test. 60 IN MX 5 ns.signed.test.
ns.signed.test. 60 IN A 192.0.2.53
www.signed.test. 60 IN A 192.0.2.1
www.signed.test. 60 IN TXT "one" "two"
alias.signed.test. 60 IN CNAME www.signed.test.
*.wild.signed.test. 60 IN A 192.0.2.2
deep.er.signed.test. 60 IN A 192.0.2.3
old.signed.test. 60 IN DNAME wild.signed.test.
secure.signed.test. 60 IN NS ns.secure.signed.test.
secure.signed.test. 60 IN DS 12345 13 2 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
ns.secure.signed.test. 60 IN A 192.0.2.54
plain.signed.test. 60 IN NS ns.plain.signed.test.
ns.plain.signed.test. 60 IN A 192.0.2.55
web.signed.test. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1
`;

/** Questions, and what the answers are. */
const questions: readonly (readonly [
  name: string,
  type: number,
  rcode: number,
  answers: boolean,
])[] = [
  [apex, RRType.SOA, Rcode.NOERROR, true],
  [apex, RRType.DNSKEY, Rcode.NOERROR, true],
  [apex, RRType.MX, Rcode.NOERROR, true],
  ["www.signed.test.", RRType.A, Rcode.NOERROR, true],
  ["wWw.sIgned.test.", RRType.TXT, Rcode.NOERROR, true],
  ["www.signed.test.", RRType.AAAA, Rcode.NOERROR, false],
  ["alias.signed.test.", RRType.A, Rcode.NOERROR, true],
  ["alias.signed.test.", RRType.AAAA, Rcode.NOERROR, true],
  ["any.wild.signed.test.", RRType.A, Rcode.NOERROR, true],
  ["any.more.wild.signed.test.", RRType.A, Rcode.NOERROR, true],
  ["any.wild.signed.test.", RRType.AAAA, Rcode.NOERROR, false],
  ["x.old.signed.test.", RRType.A, Rcode.NOERROR, true],
  ["er.signed.test.", RRType.A, Rcode.NOERROR, false],
  ["gone.signed.test.", RRType.A, Rcode.NXDOMAIN, false],
  ["a.b.gone.signed.test.", RRType.A, Rcode.NXDOMAIN, false],
  ["zzz.signed.test.", RRType.A, Rcode.NXDOMAIN, false],
  ["x.er.signed.test.", RRType.A, Rcode.NXDOMAIN, false],
  ["web.signed.test.", RRType.HTTPS, Rcode.NOERROR, true],
  ["secure.signed.test.", RRType.DS, Rcode.NOERROR, true],
  ["plain.signed.test.", RRType.DS, Rcode.NOERROR, false],
];

async function signedEdge(
  context: TestContext,
  options: FixtureOptions,
): Promise<{ port: number; anchor: Uint8Array }> {
  const now = Math.floor(Date.now() / 1000);
  const fixture = signingFixture(apex, now, options);
  const edge = await RunningEdge.start();
  context.after(() => edge.close());
  await edge.serve({ ...boundModel, zones: [{ origin: apex, text }] }, [fixture.material]);
  return { port: edge.address.port, anchor: fixture.anchor };
}

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-dnssec-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const variants: readonly (readonly [string, FixtureOptions])[] = [
  ["ECDSA and NSEC", { isSplit: true }],
  ["Ed25519 and one key", { algorithm: 15 }],
  ["NSEC3", { denial: "nsec3", isSplit: true }],
  ["RSA", { algorithm: 8, isSplit: true }],
];

for (const [what, options] of variants)
  test(
    `delv validates what is and what is not: ${what}`,
    { skip: needs("delv", "bind9-dnsutils") },
    async (context) => {
      const { port, anchor } = await signedEdge(context, options);
      const file = join(temporaryFolder(context), "anchor.conf");
      const [flags, protocol, algorithm, key] = formatRdata(RRType.DNSKEY, anchor).split(" ");
      writeFileSync(
        file,
        `trust-anchors { "${apex}" static-key ${flags} ${protocol} ${algorithm} "${key}"; };\n`,
      );
      const run = promisify(execFile);
      for (const [name, type, rcode, isPositive] of questions) {
        const where = ["@127.0.0.1", "-p", String(port), "-a", file, `+root=${apex}`];
        const { stdout, stderr } = await run("delv", [...where, name, typeToText(type)]);
        const said = `${stdout}${stderr}`;
        assert.match(said, /fully validated/, `${name} ${typeToText(type)}: ${said}`);
        if (rcode === Rcode.NXDOMAIN) assert.match(said, /ncache nxdomain/, said);
        else if (!isPositive) assert.match(said, /ncache nxrrset/, said);
        else assert.doesNotMatch(said, /unsigned answer/, said);
      }
    },
  );

test(
  "Unbound validates what is and what is not",
  { skip: needs("unbound", "unbound") },
  async (context) => {
    for (const options of [
      { isSplit: true },
      { denial: "nsec3" },
      { denial: "compact" },
    ] as const) {
      const { port, anchor } = await signedEdge(context, options);
      const resolver = await startUnbound(context, [{ origin: apex, port, anchor }]);
      for (const [name, type, rcode, isPositive] of questions) {
        const message = await ask(resolver, name, type);
        const label = `${options.denial ?? "nsec"}: ${name} ${typeToText(type)}`;
        const expected = options.denial === "compact" ? Rcode.NOERROR : rcode;
        assert.deepEqual([message.rcode, message.flags.ad], [expected, true], label);
        if (isPositive) assert.ok(message.answer.length > 0, label);
      }
    }
  },
);

test(
  "a zone that was signed elsewhere is served as it is: Unbound validates what is and what is not",
  { skip: needs("unbound", "unbound") || needs("ldns-signzone", "ldnsutils") },
  async (context) => {
    for (const flags of [[], ["-n", "-s", "abcd", "-t", "3"]]) {
      const { signed, anchor } = await signedElsewhere(context, flags);
      const edge = await RunningEdge.start();
      context.after(() => edge.close());
      await edge.serve({ ...boundModel, zones: [{ origin: apex, text: signed }] });
      const resolver = await startUnbound(context, [
        { origin: apex, port: edge.address.port, anchor },
      ]);
      for (const [name, type, rcode, isPositive] of questions) {
        const message = await ask(resolver, name, type);
        const label = `${flags.join(" ")}: ${name} ${typeToText(type)}`;
        assert.deepEqual([message.rcode, message.flags.ad], [rcode, true], label);
        if (isPositive) assert.ok(message.answer.length > 0, label);
      }
      // RFC 8482 §4.1: nothing is made for ANY, so there is one set with its signatures.
      const any = await ask(resolver, "www.signed.test.", RRType.ANY);
      assert.deepEqual([any.rcode, any.answer.length > 0], [Rcode.NOERROR, true]);
      const plain = new TestServer({ zones: [{ origin: apex, text: signed }] });
      assert.deepEqual(
        plain.ask("www.signed.test.", RRType.A, { edns: {} }).answer.map(({ type }) => type),
        [RRType.A],
        "without DO there are no signatures",
      );
    }
  },
);

/** The zone signed by ldns, and its key. */
async function signedElsewhere(
  context: TestContext,
  flags: readonly string[],
): Promise<{ signed: string; anchor: Uint8Array }> {
  const cwd = temporaryFolder(context);
  const run = promisify(execFile);
  writeFileSync(join(cwd, "zone"), text);
  const { stdout } = await run("ldns-keygen", ["-a", "ECDSAP256SHA256", "-k", apex], { cwd });
  const key = stdout.trim();
  await run("ldns-signzone", [...flags, "-o", apex, "-f", "signed", "zone", key], { cwd });
  const [, fields = ""] =
    /DNSKEY\s+([^;]*)/.exec(readFileSync(join(cwd, `${key}.key`), "utf8")) ?? [];
  const parsed = parseRdataText(RRType.DNSKEY, fields.trim());
  assert.ok("rdata" in parsed, fields);
  return { signed: readFileSync(join(cwd, "signed"), "utf8"), anchor: parsed.rdata };
}

/** Asks until there is an answer: a resolver that was just started may not listen yet. */
async function ask(port: number, name: string, type: number): Promise<Message> {
  const socket = createSocket("udp4");
  const edns = { udpSize: 1232, do: true };
  const packet = encodeMessage(makeQuery(wire(name), type, { id: 7, rd: true, edns }));
  const send = (): void => socket.send(packet, port, "127.0.0.1");
  const timer = setInterval(send, ASK_EVERY_MS);
  try {
    send();
    const signal = AbortSignal.timeout(ANSWERS_MS_MAX);
    const [bytes] = await once(socket, "message", { signal });
    assert.ok(bytes instanceof Uint8Array);
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message));
    return message;
  } finally {
    clearInterval(timer);
    socket.close();
  }
}
