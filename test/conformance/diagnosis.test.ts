// SPDX-License-Identifier: Apache-2.0

// `NODE._branch.NAME` and TXT `why.NAME`: off unless a prefix is named that may ask.

import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { parseIpv4, Rcode, RRType, type Message } from "@meridian/dns";
import { PER_MILLE } from "@meridian/snapshot";
import type { BranchInput, NodeInput } from "@meridian/snapshot/writer";
import { toPolicy, toPool } from "./bound-model.ts";
import { answerText } from "./message-text.ts";
import {
  testMember,
  testPool,
  TestServer,
  UNHEALTHY,
  wire,
  type TestModel,
} from "./test-server.ts";

const plain = { weight: 1, dial: PER_MILLE, tier: 0, isFence: false, evaluateHealth: true };

function branch(target: BranchInput["target"], tier = 0): BranchInput {
  return { ...plain, target, tier };
}

function node(name: string, kind: NodeInput["kind"], branches: readonly BranchInput[]): NodeInput {
  return { name, kind, branches, onAllUnhealthy: "parent", answers: 0, minHealthy: undefined };
}

const types = [RRType.A, RRType.AAAA];

const model: TestModel = {
  zones: [
    {
      origin: "example.org.",
      text: `
$ORIGIN example.org.
@            3600 IN SOA ns1 hostmaster 7 3600 900 604800 300
@            3600 IN NS  ns1
ns1          3600 IN A   192.0.2.1
why.static   3600 IN TXT "a real record"
static       3600 IN A   192.0.2.9
`,
      bound: [
        { owner: "app.example.org.", types, binding: toPolicy("p") },
        { owner: "lone.example.org.", types, binding: toPool("eu") },
        { owner: "example.org.", types, binding: toPolicy("p") },
      ],
    },
  ],
  pools: [
    testPool("default/eu", [testMember("eu-1", 11)]),
    testPool("default/us", [testMember("us-1", 21)]),
  ],
  policies: [
    {
      name: "default/p",
      root: "first",
      nodes: [
        node("first", "failover", [branch({ node: "eu" }), branch({ node: "us" }, 1)]),
        node("eu", "weighted", [branch({ pool: "default/eu" })]),
        node("us", "weighted", [branch({ pool: "default/us" })]),
        node("away", "weighted", [branch({ name: wire("static.example.org.") })]),
      ],
    },
  ],
};

const options = { diagnosis: ["198.51.100.0/24", "2001:db8::/32"] };
const allowed = parseIpv4("198.51.100.7");
const other = parseIpv4("198.51.101.7");

function ask(server: TestServer, name: string, type: number, source = allowed): Message {
  return server.ask(name, type, source === undefined ? {} : { source });
}

test("NODE._branch.NAME answers as that node would, whatever its parents chose", () => {
  const server = new TestServer(model, options);
  const answer = (name: string, type: number = RRType.A): string | undefined =>
    answerText(ask(server, name, type)).answer[0]?.replace(/ [0-9]+ /, " ");
  assert.equal(answer("app.example.org."), "app.example.org. A 192.0.2.11");
  assert.equal(answer("us._branch.app.example.org."), "us._branch.app.example.org. A 192.0.2.21");
  assert.equal(
    answer("US._Branch.app.example.org.", RRType.AAAA),
    "US._Branch.app.example.org. AAAA 2001:db8::15",
  );
  assert.equal(answer("us._branch.example.org."), "us._branch.example.org. A 192.0.2.21");
  assert.equal(
    answer("away._branch.app.example.org."),
    "away._branch.app.example.org. CNAME static.example.org.",
  );
  server.setEndpoint(slotOf(server, "us/us-1"), UNHEALTHY);
  const withheld = ask(server, "us._branch.app.example.org.", RRType.A);
  assert.deepEqual([withheld.rcode, withheld.answer.length], [Rcode.NOERROR, 0]);
  assert.equal(withheld.authority[0]?.type, RRType.SOA);
});

test("others, and names that are none of these, get what they always get", () => {
  const server = new TestServer(model, options);
  const off = new TestServer(model);
  const questions: (readonly [string, number])[] = [
    ["us._branch.app.example.org.", RRType.A],
    ["why.app.example.org.", RRType.TXT],
    ["none._branch.app.example.org.", RRType.A],
    ["us._branch.lone.example.org.", RRType.A],
    ["us._branch.static.example.org.", RRType.A],
    ["us._branch.", RRType.A],
    ["why.static.example.org.", RRType.TXT],
    ["why.", RRType.TXT],
  ];
  for (const [name, type] of questions) {
    const wanted = ask(off, name, type);
    assert.deepEqual(ask(server, name, type, other), { ...wanted, id: wanted.id }, name);
  }
  for (const [name, type] of questions.slice(2))
    assert.deepEqual(ask(server, name, type), ask(off, name, type), name);
  assert.equal(ask(off, "us._branch.app.example.org.", RRType.A).rcode, Rcode.NXDOMAIN);
});

test("TXT why.NAME says how the name is decided for the client", () => {
  const server = new TestServer(model, options);
  server.setEndpoint(slotOf(server, "eu/eu-1"), UNHEALTHY);
  const [record] = ask(server, "why.app.example.org.", RRType.TXT).answer;
  assert.deepEqual(stringsOf(record?.rdata).slice(1), [
    "policy/default/p decides for a /32 known from the resolver, scope /0, TTL 8 s",
    "node first (failover)",
    "node eu (weighted)",
    "pool default/eu: 0 candidates, unhealthy",
    "node eu: unhealthy",
    "node us (weighted)",
    "pool default/us: 1 candidates, chosen",
    "endpoint/default/us/us-1",
  ]);
  assert.equal(record?.ttl, 0);
  const [lone] = ask(server, "why.lone.example.org.", RRType.TXT).answer;
  assert.match(stringsOf(lone?.rdata)[1] ?? "", /^pool\/default\/eu decides/);
});

test("diagnoses are not counted", () => {
  const server = new TestServer(model, options);
  const words = new Uint32Array(server.counters.snapshotBuffer);
  ask(server, "us._branch.app.example.org.", RRType.A);
  ask(server, "why.app.example.org.", RRType.TXT);
  assert.deepEqual(
    [...words].filter((value) => value > 0),
    [2],
  );
  ask(server, "app.example.org.", RRType.A);
  assert.ok([...words].filter((value) => value > 0).length > 3);
});

test("a text that is no prefix is refused", () => {
  assert.throws(
    () => new TestServer(model, { diagnosis: ["everyone"] }),
    /Cannot let "everyone" ask for diagnoses, expected a prefix/,
  );
});

function slotOf(server: TestServer, endpoint: string): number {
  return server.world.slotOfKey(key64(`endpoint/default/${endpoint}`));
}

function stringsOf(rdata: Uint8Array = new Uint8Array(0)): string[] {
  const strings: string[] = [];
  for (let at = 0; at < rdata.length; at += 1 + (rdata[at] ?? 0))
    strings.push(Buffer.from(rdata.subarray(at + 1, at + 1 + (rdata[at] ?? 0))).toString());
  return strings;
}
