// SPDX-License-Identifier: Apache-2.0

// Zones as a whole: AXFR (RFC 5936), signed (RFC 8945), as other programs take it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  BADSIG,
  ExtendedError,
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  makeQuery,
  parseEde,
  findOption,
  formatRecord,
  readTsig,
  type Message,
  type TsigKey,
} from "@meridian/dns";
import type { TransferSettings } from "@meridian/snapshot";
import { FixedCounter, Transfers } from "@meridian/edge";
import { needs } from "../needs.ts";
import { boundModel, boundZone } from "./bound-model.ts";
import { RunningEdge } from "./running-edge.ts";
import { TestServer, wire, type TestModel } from "./test-server.ts";

const run = promisify(execFile);
const NOW = 1_700_000_000;
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const secrets = new Map([["default/file/xfr", secret]]);
const key: TsigKey = {
  name: wire("xfr.example."),
  algorithm: "hmac-sha256",
  secret: Buffer.from(secret, "base64"),
};
const settings: TransferSettings = {
  keys: [{ name: "xfr.example", algorithm: "hmac-sha256", secret: "default/file/xfr" }],
  allow: [{ key: "xfr.example" }, { clients: ["192.0.2.0/24"] }],
  transferAs: "default",
};

/** The names that are bound, and enough others for several messages. */
function model(transfers?: TransferSettings, serial = 1): TestModel {
  const text = `
$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster ${serial} 7200 900 1209600 60
@ NS ns1
@ NS ns2
@ MX 10 mail
ns1 A 192.0.2.53
ns2 A 192.0.2.54
static A 192.0.2.2
static AAAA 2001:db8::2
mail A 192.0.2.25
mail TXT "one" "two"
*.wild 60 A 192.0.2.99
sub NS ns.sub
ns.sub A 192.0.2.77
srv SRV 0 5 443 mail
at\\.dot.odd TXT "serial ${serial}"
${Array.from({ length: 2000 }, (_, index) => `host-${index} TXT "${"x".repeat(index % 200)}"`).join("\n")}
`;
  const options = { seed: 7, ...(transfers === undefined ? {} : { transfers }) };
  return { ...boundModel, zones: [{ ...boundZone, text, options }] };
}

test("nobody may have a zone that does not say who may; who may not is told so", () => {
  for (const [settingsOf, source] of [
    [undefined, Uint8Array.of(192, 0, 2, 1)],
    [settings, Uint8Array.of(198, 51, 100, 1)],
  ] as const) {
    const server = new TestServer(model(settingsOf), { transfers: new Transfers() });
    for (const type of [RRType.AXFR, RRType.IXFR]) {
      const answer = server.ask("example.org.", type, { isTcp: true, source, edns: {} });
      assert.deepEqual([answer.rcode, edeOf(answer)], [Rcode.REFUSED, ExtendedError.PROHIBITED]);
      assert.equal(server.handler.takeStream(), undefined);
    }
    const below = server.ask("static.example.org.", RRType.AXFR, { isTcp: true, source, edns: {} });
    assert.deepEqual([below.rcode, edeOf(below)], [Rcode.REFUSED, ExtendedError.NOT_AUTHORITATIVE]);
  }
});

test("a whole zone has its SOA first and last, each record once, and routed names with their default answers", () => {
  const answers = (transferAs: TransferSettings["transferAs"]): string[] => {
    const server = new TestServer(model({ ...settings, transferAs }), {
      transfers: new Transfers(),
    });
    const source = Uint8Array.of(192, 0, 2, 1);
    server.ask("example.org.", RRType.AXFR, { isTcp: true, source });
    const stream = server.handler.takeStream();
    assert.ok(stream !== undefined);
    const records: string[] = [];
    for (let bytes = stream.next(); bytes !== undefined; bytes = stream.next()) {
      assert.ok(bytes.length <= 16_384);
      const message = decodeMessage(bytes);
      assert.ok(!("error" in message), JSON.stringify(message));
      assert.equal(message.flags.aa, true);
      records.push(...message.answer.map(formatRecord));
    }
    assert.match(records[0] ?? "", /SOA/);
    assert.equal(records.at(-1), records[0]);
    assert.equal(new Set(records).size, records.length - 1);
    return records
      .filter((record) => /^(app|lone|never|only-alias|far|half)\./.test(record))
      .sort();
  };
  assert.deepEqual(answers("omit"), []);
  const hints = 'alpn=h2 ipv4hint=192.0.2.21 ipv6hint=2001:db8::15 key65280="\\007"';
  const standing = [
    "far.example.org.\t60\tIN\tCNAME\tstatic.example.org.",
    "half.example.org.\t60\tIN\tA\t192.0.2.31",
    "lone.example.org.\t60\tIN\tA\t192.0.2.11",
    "lone.example.org.\t60\tIN\tAAAA\t2001:db8::b",
    `lone.example.org.\t60\tIN\tHTTPS\t1 . ${hints.replaceAll("21", "11").replace("::15", "::b")}`,
    "only-alias.example.org.\t60\tIN\tCNAME\tstatic.example.org.",
  ];
  const app = [
    "app.example.org.\t60\tIN\tA\t192.0.2.21",
    "app.example.org.\t60\tIN\tAAAA\t2001:db8::15",
    `app.example.org.\t60\tIN\tHTTPS\t1 . ${hints}`,
  ];
  assert.deepEqual(answers("default"), [...app, ...standing]);
  const both = [
    "app.example.org.\t60\tIN\tA\t192.0.2.11",
    "app.example.org.\t60\tIN\tAAAA\t2001:db8::b",
  ];
  assert.deepEqual(answers("all"), [...app, ...both, ...standing].toSorted());
});

test("a request that is signed is answered signed; what is wrong with a signature is said", () => {
  const notices: string[] = [];
  const transfers = new Transfers((notice) => {
    if (notice.kind === "transfer") notices.push(`${notice.what}: ${notice.outcome}`);
  });
  transfers.setSecrets(secrets);
  const server = new TestServer(model(settings), { transfers });
  const query = encodeMessage(makeQuery(wire("example.org."), RRType.SOA, { id: 7 }));
  const ask = (request: Uint8Array): { rcode: number; bytes: Uint8Array; error: number } => {
    const bytes = server.askBytes(request);
    assert.ok(bytes !== undefined);
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message));
    const record = readTsig(bytes);
    assert.ok(record !== undefined && record !== "malformed");
    return { rcode: message.rcode, bytes, error: record.error };
  };
  const good = new TsigSession(key);
  const { rcode, bytes } = ask(good.sign(query, NOW));
  assert.equal(rcode, Rcode.NOERROR);
  assert.equal(good.verifyNext(bytes, NOW), Rcode.NOERROR);
  assert.equal(server.counters.of(FixedCounter.udpQueries), 1);
  assert.equal(server.counters.of(FixedCounter.answerBytes), bytes.length);

  const late = new TsigSession(key);
  const told = ask(late.sign(query, NOW - 301));
  assert.deepEqual([told.rcode, told.error], [Rcode.NOTAUTH, Rcode.BADTIME]);
  assert.equal(late.verifyNext(told.bytes, NOW - 301), Rcode.NOERROR, "signed all the same");
  const unknown = ask(new TsigSession({ ...key, name: wire("other.") }).sign(query, NOW));
  assert.deepEqual([unknown.rcode, unknown.error], [Rcode.NOTAUTH, Rcode.BADKEY]);
  const forged = ask(new TsigSession({ ...key, secret: Buffer.from("no") }).sign(query, NOW));
  assert.deepEqual([forged.rcode, forged.error], [Rcode.NOTAUTH, BADSIG]);
  assert.deepEqual(
    notices,
    ["BADTIME", "BADKEY", "BADSIG"].map((reason) => `Refused a signed request: ${reason}`),
  );
  // Over UDP an answer with its signature is no larger than the client takes.
  const large = encodeMessage(
    makeQuery(wire("example.org."), RRType.NS, { edns: { udpSize: 512 } }),
  );
  const fitting = server.askBytes(new TsigSession(key).sign(large, NOW));
  assert.ok(fitting !== undefined && fitting.length <= 512);
});

describe("with other programs", () => {
  let edge: RunningEdge;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "meridian-transfer-"));
    edge = await RunningEdge.start();
    edge.setSecrets(secrets);
    await edge.serve(model({ ...settings, allow: [{ key: "xfr.example" }] }));
  });
  after(async () => {
    await edge.close();
    rmSync(folder, { recursive: true });
  });
  const signed = ["-y", `hmac-sha256:xfr.example:${secret}`];

  for (const program of ["dig", "kdig"]) {
    const skip = needs(program, program === "dig" ? "bind9-dnsutils" : "knot-dnsutils");
    test(`${program} takes the zone, and its answer is a zone`, { skip }, async () => {
      const at = ["@127.0.0.1", "-p", String(edge.address.port)];
      const refused = await run(program, [...at, "example.org", "AXFR"]).catch(String);
      assert.match(typeof refused === "string" ? refused : refused.stdout, /REFUSED|failed/i);
      const { stdout } = await run(program, [...at, ...signed, "example.org", "AXFR"]);
      const records = stdout
        .split("\n")
        .filter((line) => /^[^;\s]/.test(line) && !/TSIG/.test(line));
      assert.ok(records.length > 2010, stdout.slice(0, 2000));
      assert.doesNotMatch(stdout, /;; (WARNING|ERROR)|BADSIG|Couldn't verify/);
      const file = join(folder, `${program}.zone`);
      writeFileSync(file, `${records.slice(0, -1).join("\n")}\n`);
      if (needs("named-checkzone", "bind9-utils") === false)
        await run("named-checkzone", ["-i", "local", "example.org", file]);
      if (needs("kzonecheck", "knot-dnssecutils") === false)
        await run("kzonecheck", ["-o", "example.org", file]);
    });
  }
});

function edeOf(message: Message): number | undefined {
  const option = findOption(message.edns?.options ?? [], 15);
  return option === undefined ? undefined : parseEde(option.data)?.infoCode;
}
