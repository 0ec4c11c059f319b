// SPDX-License-Identifier: Apache-2.0

// Members that are host names: a CNAME where one may stand, else the addresses that the control plane resolved. And resolvers that send
// no client subnet, whose clients are known from a data set.

import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { ecsOption, parseIpv4, Rcode, RRType } from "@meridian/dns";
import {
  parsePrefix,
  writeAddresses,
  writeResolvers,
  type AddressPrefix,
  type EndpointInput,
} from "@meridian/snapshot/writer";
import { boundModel, boundZone, toPolicy, toPool } from "./bound-model.ts";
import { answerText } from "./message-text.ts";
import { testMember, testPool, TestServer, wire, type TestModel } from "./test-server.ts";

const { ipv4: _four, ipv6: _six, ...bare } = testMember("host", 0);
const host: EndpointInput = { ...bare, hostName: wire("h.example.net.") };
const types = [RRType.A, RRType.AAAA, RRType.HTTPS];
const service = {
  priority: 1,
  target: new Uint8Array(1),
  params: new Uint8Array(0),
  hasHints: true,
};

const addresses = [
  {
    key: key64("endpoint/default/resolved/host"),
    ipv4: [Uint8Array.of(192, 0, 2, 71), Uint8Array.of(192, 0, 2, 72)],
    ipv6: [],
  },
  {
    key: key64("endpoint/default/aliased/host"),
    ipv4: [Uint8Array.of(192, 0, 2, 81)],
    ipv6: [],
  },
];

const text = `
$ORIGIN example.org.
@      3600 IN SOA ns1 hostmaster 7 3600 900 604800 300
@      3600 IN NS  ns1
ns1    3600 IN A   192.0.2.1
shared 3600 IN TXT "beside"
`;

const model: TestModel = {
  zones: [
    {
      origin: "example.org.",
      text,
      bound: [
        { owner: "example.org.", types, binding: toPool("aliased", { service }) },
        { owner: "www.example.org.", types, binding: toPool("aliased", { service }) },
        { owner: "resolved.example.org.", types, binding: toPool("resolved", { service }) },
        { owner: "many.example.org.", types, binding: toPool("mixed", { service }) },
        { owner: "alias.example.org.", types: [RRType.CNAME], binding: toPool("resolved") },
        { owner: "policy.example.org.", types, binding: toPolicy("elsewhere") },
        { owner: "shared.example.org.", types, binding: toPolicy("elsewhere") },
        { owner: "later.example.org.", types, binding: toPool("later", { service }) },
      ],
    },
  ],
  pools: [
    testPool("default/aliased", [host]),
    testPool("default/resolved", [{ ...host, resolve: true }]),
    testPool("default/later", [{ ...host, resolve: true }]),
    testPool("default/mixed", [{ ...host, resolve: true }, testMember("plain", 9)], 2),
  ],
  policies: [
    {
      name: "default/elsewhere",
      root: "all",
      nodes: [
        {
          name: "all",
          kind: "failover",
          branches: [
            {
              target: { name: wire("CDN.example.net.") },
              weight: 1,
              dial: 1000,
              tier: 0,
              isFence: false,
              evaluateHealth: true,
            },
          ],
          onAllUnhealthy: "open",
          answers: 0,
          minHealthy: undefined,
        },
      ],
    },
  ],
  sections: [
    writeAddresses([
      ...addresses,
      {
        key: key64("host/cdn.example.net."),
        ipv4: [Uint8Array.of(192, 0, 2, 61), Uint8Array.of(192, 0, 2, 62)],
        ipv6: [],
      },
      {
        key: key64("endpoint/default/mixed/host"),
        ipv4: [Uint8Array.of(192, 0, 2, 9), Uint8Array.of(192, 0, 2, 91)],
        ipv6: [],
      },
    ]),
  ],
};

const server = new TestServer(model);

function ask(name: string, type: number): string[] {
  return answerText(server.ask(name, type)).answer.map((line) => line.replace(/ [0-9]+ /, " "));
}

test("a host name is answered as a CNAME where one may stand", () => {
  assert.deepEqual(ask("www.example.org.", RRType.A), ["www.example.org. CNAME h.example.net."]);
});

test("a host name at an apex is answered by its addresses", () => {
  assert.deepEqual(ask("example.org.", RRType.A), ["example.org. A 192.0.2.81"]);
  const none = server.ask("example.org.", RRType.AAAA);
  assert.deepEqual([none.rcode, none.answer.length, none.authority.length], [Rcode.NOERROR, 0, 1]);
});

test("the name of a branch is a CNAME where one may stand, else its addresses", () => {
  assert.deepEqual(ask("policy.example.org.", RRType.A), [
    "policy.example.org. CNAME CDN.example.net.",
  ]);
  assert.deepEqual(ask("shared.example.org.", RRType.A), [
    "shared.example.org. A 192.0.2.61",
    "shared.example.org. A 192.0.2.62",
  ]);
  const none = server.ask("shared.example.org.", RRType.AAAA);
  assert.deepEqual([none.rcode, none.answer.length, none.authority.length], [Rcode.NOERROR, 0, 1]);
});

test("a host name that is resolved is answered by its addresses everywhere", () => {
  assert.deepEqual(ask("resolved.example.org.", RRType.A), [
    "resolved.example.org. A 192.0.2.71",
    "resolved.example.org. A 192.0.2.72",
  ]);
  assert.deepEqual(ask("resolved.example.org.", RRType.AAAA), []);
  assert.deepEqual(ask("resolved.example.org.", RRType.HTTPS), [
    "resolved.example.org. HTTPS 1 . ipv4hint=192.0.2.71,192.0.2.72",
  ]);
});

test("a name that is bound as a CNAME stays one", () => {
  assert.deepEqual(ask("alias.example.org.", RRType.A), [
    "alias.example.org. CNAME h.example.net.",
  ]);
});

test("resolved and own addresses go together, each once", () => {
  assert.deepEqual(ask("many.example.org.", RRType.A).toSorted(), [
    "many.example.org. A 192.0.2.9",
    "many.example.org. A 192.0.2.91",
  ]);
  // Only the member that has an IPv6 address is chosen for it.
  assert.deepEqual(ask("many.example.org.", RRType.AAAA), ["many.example.org. AAAA 2001:db8::9"]);
});

test("a host name that is not resolved yet gives NODATA", () => {
  const answer = server.ask("later.example.org.", RRType.A);
  assert.deepEqual([answer.rcode, answer.answer.length], [Rcode.NOERROR, 0]);
});

function prefix(textOf: string): AddressPrefix {
  const parsed = parsePrefix(textOf);
  assert.ok(parsed !== undefined);
  return parsed;
}

const placed = new TestServer({
  ...boundModel,
  zones: [boundZone],
  sections: [
    ...(boundModel.sections ?? []),
    writeResolvers([
      { resolver: prefix("192.0.2.53/32"), client: prefix("203.0.113.0/24") },
      { resolver: prefix("203.0.113.53/32"), client: prefix("198.51.100.0/24") },
    ]),
  ],
});

test("a resolver that sends no client subnet is placed where its clients are", () => {
  const to = (name: string, from: string, subnet?: string): string | undefined => {
    const source = parseIpv4(from);
    assert.ok(source !== undefined);
    const bytes = subnet === undefined ? undefined : parseIpv4(subnet);
    const option = bytes === undefined ? [] : [ecsOption(bytes, subnet === "0.0.0.0" ? 0 : 24)];
    const edns = option.length === 0 ? {} : { edns: { options: option } };
    const message = placed.ask(name, RRType.A, { source, ...edns });
    return answerText(message).answer[0]?.split(" ").at(-1);
  };
  const eu = "192.0.2.11";
  const us = "192.0.2.21";
  assert.equal(to("app.example.org.", "192.0.2.53"), eu);
  assert.equal(to("app.example.org.", "192.0.2.54"), us);
  assert.equal(to("app.example.org.", "203.0.113.53"), us);
  assert.equal(to("app.example.org.", "203.0.113.54"), eu);
  // What the resolver says of the client goes first; who asks not to be told apart is not.
  assert.equal(to("app.example.org.", "192.0.2.53", "198.51.100.0"), us);
  assert.equal(to("app.example.org.", "203.0.113.53", "0.0.0.0"), eu);
  assert.equal(to("resolver.example.org.", "192.0.2.53", "198.51.100.0"), eu);
  assert.equal(to("ecs-only.example.org.", "192.0.2.53"), us);
});
