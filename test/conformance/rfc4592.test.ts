// SPDX-License-Identifier: Apache-2.0

// The zone of RFC 4592 §2.2.1 and the answers that it lists.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RRType } from "@meridian/dns";
import { answerText } from "./message-text.ts";
import { TestServer } from "./test-server.ts";

const server = new TestServer({
  zones: [
    {
      origin: "example.",
      text: `
$ORIGIN example.
$TTL 3600
example.                 IN SOA ns.example.com. root.example. 1 2 3 4 5
example.                 NS     ns.example.com.
example.                 NS     ns.example.net.
*.example.               TXT    "this is a wildcard"
*.example.               MX     10 host1.example.
sub.*.example.           TXT    "this is not a wildcard"
host1.example.           A      192.0.2.1
_ssh._tcp.host1.example. SRV    0 0 22 host1.example.
_ssh._tcp.host2.example. SRV    0 0 22 host2.example.
subdel.example.          NS     ns.example.com.
subdel.example.          NS     ns.example.net.
`,
    },
  ],
});

const synthesized: readonly (readonly [string, number, string])[] = [
  ["host3.example.", RRType.MX, "host3.example. 3600 MX 10 host1.example."],
  ["host3.example.", RRType.A, "NOERROR"],
  ["foo.bar.example.", RRType.TXT, 'foo.bar.example. 3600 TXT "this is a wildcard"'],
];

const notSynthesized: readonly (readonly [string, number, string, string])[] = [
  ["host1.example.", RRType.MX, "NOERROR", "because host1.example. exists"],
  ["sub.*.example.", RRType.MX, "NOERROR", "because sub.*.example. exists"],
  [
    "_telnet._tcp.host1.example.",
    RRType.SRV,
    "NXDOMAIN",
    "because _tcp.host1.example. exists (without data)",
  ],
  ["ghost.*.example.", RRType.MX, "NXDOMAIN", "because *.example. exists"],
];

for (const [name, type, expected] of synthesized) {
  test(`§2.2.1: ${name} type ${type} is synthesized from the wildcard`, () => {
    const text = answerText(server.ask(name, type));
    assert.equal(text.answer[0] ?? text.rcode, expected);
    assert.equal(text.flags, "aa");
  });
}

for (const [name, type, rcode, reason] of notSynthesized) {
  test(`§2.2.1: ${name} is not synthesized, ${reason}`, () => {
    const text = answerText(server.ask(name, type));
    assert.deepEqual([text.rcode, text.answer], [rcode, []]);
  });
}

test("§2.2.1: host.subdel.example. is not synthesized, because subdel.example. exists and is a zone cut", () => {
  const text = answerText(server.ask("host.subdel.example.", RRType.A));
  assert.deepEqual([text.rcode, text.flags, text.authority.length], ["NOERROR", "", 2]);
});

test("§2.2.2: an empty non-terminal exists", () => {
  const text = answerText(server.ask("_tcp.host1.example.", RRType.A));
  assert.deepEqual([text.rcode, text.answer, text.authority.length], ["NOERROR", [], 1]);
});

test("§2.3: a query for the wildcard itself gets it", () => {
  assert.deepEqual(answerText(server.ask("*.example.", RRType.TXT)).answer, [
    '*.example. 3600 TXT "this is a wildcard"',
  ]);
});

test("§4.1: an SRV is not turned into a wildcard by its underscores", () => {
  const text = answerText(server.ask("_ssh._tcp.host2.example.", RRType.SRV));
  assert.deepEqual(text.answer, ["_ssh._tcp.host2.example. 3600 SRV 0 0 22 host2.example."]);
});
