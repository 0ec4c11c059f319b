// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMessage,
  ecsOption,
  encodeMessage,
  findOption,
  formatEcs,
  makeQuery,
  parseEcs,
  Rcode,
  RRType,
  type Message,
} from "@meridian/dns";
import { boundModel, boundZone } from "./bound-model.ts";
import { exampleZone } from "./example-zone.ts";
import { answerText } from "./message-text.ts";
import { TestServer, wire } from "./test-server.ts";

const EU = "192.0.2.11";
const US = "192.0.2.21";
const server = new TestServer(boundModel);

function ecsOf(message: Message): string {
  const option = findOption(message.edns?.options ?? [], 8);
  const subnet = option === undefined ? undefined : parseEcs(option.data);
  return subnet === undefined ? "none" : formatEcs(subnet);
}

function raw(data: readonly number[]): object {
  return { options: [{ code: 8, data: Uint8Array.from(data) }] };
}

function ask(
  name: string,
  data: readonly number[] | undefined,
  source?: Uint8Array,
): { to: string; ecs: string } {
  const message = server.ask(name, RRType.A, {
    edns: data === undefined ? {} : raw(data),
    ...(source === undefined ? {} : { source }),
  });
  const [first] = answerText(message).answer;
  return { to: first?.split(" ").at(-1) ?? "", ecs: ecsOf(message) };
}

const inEu = [0, 1, 24, 0, 203, 0, 113];
const inUs = [0, 1, 24, 0, 198, 51, 100];
const euSource = Uint8Array.of(203, 0, 113, 53);

test("§7.2.1: the answer is tailored to the client subnet, and SCOPE PREFIX-LENGTH says for whom it holds", () => {
  assert.deepEqual(ask("app.example.org.", inEu), { to: EU, ecs: "203.0.113.0/24/24" });
  const us = ask("app.example.org.", inUs);
  assert.equal(us.to, US);
  // Nothing in 198.51.100.0/24 is in 203.0.113.0/24: any scope that keeps them apart is truthful.
  const scope = Number(us.ecs.split("/").at(-1));
  assert.ok(scope >= 5 && scope <= 24, us.ecs);
});

test("§7.2.1: FAMILY, SOURCE PREFIX-LENGTH and ADDRESS match those of the query, also for IPv6", () => {
  const message = server.ask("app.example.org.", RRType.A, {
    edns: raw([0, 2, 48, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 1]),
  });
  assert.equal(answerText(message).answer[0]?.split(" ").at(-1), EU);
  assert.equal(ecsOf(message), "2001:db8:1::/48/48");
});

test("§7.1.1: without the option nothing is added, and the resolver's address decides", () => {
  assert.deepEqual(ask("app.example.org.", undefined, euSource), { to: EU, ecs: "none" });
  assert.deepEqual(ask("app.example.org.", undefined), { to: US, ecs: "none" });
});

test("§7.1.2: SOURCE PREFIX-LENGTH 0 means that the client must not be located: the resolver decides, scope 0", () => {
  assert.deepEqual(ask("app.example.org.", [0, 1, 0, 0], euSource), { to: EU, ecs: "0.0.0.0/0/0" });
});

test("§7.2.1: where the option is not used, the scope is 0: static data, negatives, referrals, resolver mode", () => {
  assert.equal(ask("static.example.org.", inEu).ecs, "203.0.113.0/24/0");
  assert.equal(ask("nowhere.example.org.", inEu).ecs, "203.0.113.0/24/0");
  assert.deepEqual(ask("resolver.example.org.", inEu), { to: US, ecs: "203.0.113.0/24/0" });
});

test("§7.4: a referral and a name that does not exist hold for everyone, whatever the subnet: scope 0", () => {
  const own = new TestServer({ zones: [exampleZone] });
  const asked = (name: string): { rcode: number; aa: boolean; ecs: string } => {
    const message = own.ask(name, RRType.A, { edns: raw(inEu) });
    return { rcode: message.rcode, aa: message.flags.aa, ecs: ecsOf(message) };
  };
  const ecs = "203.0.113.0/24/0";
  assert.deepEqual(asked("www.cut.example.org."), { rcode: Rcode.NOERROR, aa: false, ecs });
  assert.deepEqual(asked("absent.example.org."), { rcode: Rcode.NXDOMAIN, aa: true, ecs });
});

test("§7.1.2: opting out without a family, or for IPv6, is no error and is answered alike", () => {
  const neither = server.ask("app.example.org.", RRType.A, {
    edns: raw([0, 0, 0, 0]),
    source: euSource,
  });
  const ipv6 = server.ask("app.example.org.", RRType.A, {
    edns: raw([0, 2, 0, 0]),
    source: euSource,
  });
  for (const message of [neither, ipv6]) {
    assert.equal(message.rcode, Rcode.NOERROR);
    assert.equal(answerText(message).answer[0]?.split(" ").at(-1), EU);
  }
  assert.equal(ecsOf(ipv6), "::/0/0");
  const echoed = findOption(neither.edns?.options ?? [], 8);
  assert.deepEqual([...(echoed?.data ?? [])], [0, 0, 0, 0]);
});

test("the option given twice is a format error", () => {
  const option = { code: 8, data: Uint8Array.from(inEu) };
  const message = server.ask("app.example.org.", RRType.A, { edns: { options: [option, option] } });
  assert.equal(message.rcode, Rcode.FORMERR);
});

test("ecs-only knows nothing of a client without ECS", () => {
  assert.deepEqual(ask("ecs-only.example.org.", inEu).to, EU);
  assert.deepEqual(ask("ecs-only.example.org.", undefined, euSource).to, US);
});

test("only trusted senders are believed", () => {
  const zone = { ...boundZone, options: { ecsTrust: ["198.51.100.0/24"] } };
  const own = new TestServer({ ...boundModel, zones: [zone] });
  const to = (source: Uint8Array): string | undefined =>
    answerText(own.ask("app.example.org.", RRType.A, { edns: raw(inEu), source }))
      .answer[0]?.split(" ")
      .at(-1);
  assert.equal(to(Uint8Array.of(198, 51, 100, 9)), EU);
  assert.equal(to(Uint8Array.of(192, 0, 2, 9)), US);
});

const malformed: readonly (readonly [string, readonly number[]])[] = [
  ["§6: SCOPE PREFIX-LENGTH in a query MUST be 0", [0, 1, 24, 24, 203, 0, 113]],
  ["§6: too few address octets", [0, 1, 24, 0, 203, 0]],
  ["§6: too many address octets", [0, 1, 24, 0, 203, 0, 113, 0]],
  ["§7.1.2: bits beyond SOURCE PREFIX-LENGTH", [0, 1, 20, 0, 203, 0, 113]],
  ["§6: an IPv4 prefix longer than 32", [0, 1, 33, 0, 203, 0, 113, 1, 0]],
  ["§6: an IPv6 prefix longer than 128", [0, 2, 129, 0, ...Array.from({ length: 17 }, () => 0)]],
  ["§6: an unknown family", [0, 3, 8, 0, 1]],
  ["§6: an option of three bytes", [0, 1, 0]],
];

for (const [sentence, data] of malformed) {
  test(`${sentence}: FORMERR, not longer than the query`, () => {
    const packet = encodeMessage(
      makeQuery(wire("app.example.org."), RRType.A, { edns: raw(data) }),
    );
    const bytes = server.askBytes(packet);
    assert.ok(bytes !== undefined && bytes.length <= packet.length);
    const message = decodeMessage(bytes);
    assert.ok(!("error" in message));
    assert.deepEqual([message.rcode, message.answer.length], [Rcode.FORMERR, 0]);
  });
}

test("an option that another codec makes is understood", () => {
  const option = ecsOption(Uint8Array.of(203, 0, 113, 0), 24);
  const message = server.ask("app.example.org.", RRType.A, { edns: { options: [option] } });
  assert.equal(answerText(message).answer[0]?.split(" ").at(-1), EU);
});
