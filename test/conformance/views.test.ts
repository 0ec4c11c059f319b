// SPDX-License-Identifier: Apache-2.0

// Zones that some clients see and others do not, or see otherwise: by address, by key, and never by a client subnet.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  ExtendedError,
  Opcode,
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  findOption,
  formatIpv4,
  makeQuery,
  parseEde,
  type Message,
  type TsigKey,
} from "@meridian/dns";
import { Transfers, UpdateRequests } from "@meridian/edge";
import { World } from "@meridian/snapshot";
import { explain, parseClient } from "@meridian/snapshot/surface";
import { writeViews, type ZoneOptions } from "@meridian/snapshot/writer";
import { needs } from "../needs.ts";
import { RunningEdge } from "./running-edge.ts";
import { TestServer, wire, type TestModel } from "./test-server.ts";

const run = promisify(execFile);
const EDE = 15;
const NOW = 1_700_000_000;
const secret = "c2VjcmV0IG9mIHR3byBzaWRlcyBhbG9uZQ==";
const key: TsigKey = {
  name: wire("staff."),
  algorithm: "hmac-sha256",
  secret: Buffer.from(secret, "base64"),
};
const inside = Uint8Array.of(10, 0, 0, 1);
const outside = Uint8Array.of(198, 51, 100, 1);
const staffKey = { name: "staff", algorithm: "hmac-sha256", secret: "default/file/staff" };

function zone(origin: string, more: string, view?: string): TestModel["zones"][number] {
  const text = `$ORIGIN ${origin}\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 60\n@ NS ns1\n${more}`;
  const transfers = {
    keys: [staffKey],
    allow: [{ clients: ["10.0.0.0/8"] }, { key: "staff" }],
    transferAs: "default" as const,
  };
  return { origin, text, options: { transfers, ...(view === undefined ? {} : { view }) } };
}

const model: TestModel = {
  zones: [
    zone("example.org.", "www A 192.0.2.1\nout CNAME db.corp.example.\nplain A 192.0.2.9\n"),
    zone("example.org.", "www A 10.0.0.80\nout CNAME www\n", "internal"),
    zone("corp.example.", "db A 10.0.0.2\n", "internal"),
    zone("example.org.", "www A 10.9.9.9\n", "staff"),
    zone("other.example.", "www A 192.0.2.7\nin CNAME db.corp.example.\n"),
  ],
  sections: [
    writeViews([
      { name: "staff", match: [{ key: "staff" }], keys: [staffKey] },
      { name: "internal", match: [{ clients: ["10.0.0.0/8", "fd00::/8"] }], keys: [] },
    ]),
  ],
};

function serverOf(): TestServer {
  const transfers = new Transfers();
  transfers.setSecrets(new Map([["default/file/staff", secret]]));
  return new TestServer(model, { transfers });
}

function told(message: Message): [number, number | undefined, ...string[]] {
  const option = findOption(message.edns?.options ?? [], EDE);
  const addresses = message.answer.flatMap(({ type, rdata }) =>
    type === RRType.A ? [formatIpv4(rdata)] : [],
  );
  return [message.rcode, option && parseEde(option.data)?.infoCode, ...addresses];
}

test("a client sees the zone of the first view that it fits, else the one of no view", () => {
  const server = serverOf();
  const ask = (name: string, source: Uint8Array): unknown =>
    told(server.ask(name, RRType.A, { source, edns: {} }));
  const ipv6 = Uint8Array.from([0xfd, ...new Array<number>(14).fill(0), 1]);
  assert.deepEqual(
    [inside, ipv6, outside].map((source) => ask("www.example.org.", source)),
    [
      [Rcode.NOERROR, undefined, "10.0.0.80"],
      [Rcode.NOERROR, undefined, "10.0.0.80"],
      [Rcode.NOERROR, undefined, "192.0.2.1"],
    ],
  );
  assert.deepEqual(ask("plain.example.org.", inside), [Rcode.NXDOMAIN, undefined]);
  assert.deepEqual(ask("www.other.example.", inside), [Rcode.NOERROR, undefined, "192.0.2.7"]);
});

test("a private zone is not there for others: no answer of any kind tells of it", () => {
  const server = serverOf();
  for (const type of [RRType.A, RRType.SOA, RRType.DS, RRType.ANY, RRType.AXFR]) {
    const bytes = (name: string): string => {
      const asked = server.ask(name, type, { source: outside, edns: {}, isTcp: true });
      return JSON.stringify({ ...asked, question: [] });
    };
    assert.equal(bytes("corp.example."), bytes("none.example."));
  }
  const hidden = server.ask("db.corp.example.", RRType.A, { source: outside, edns: {} });
  assert.deepEqual(told(hidden), [Rcode.REFUSED, ExtendedError.NOT_AUTHORITATIVE]);
  const led = (source: Uint8Array): unknown =>
    told(server.ask("in.other.example.", RRType.A, { source, edns: {} }));
  assert.deepEqual(led(inside), [Rcode.NOERROR, undefined, "10.0.0.2"]);
  assert.deepEqual(led(outside), [Rcode.NOERROR, undefined], "an alias does not lead in");
});

test("neither a client subnet nor an IPv4 address inside an IPv6 one makes a view", () => {
  const server = serverOf();
  const subnet = { options: [{ code: 8, data: Uint8Array.of(0, 1, 24, 0, 10, 0, 0) }] };
  const asked = server.ask("db.corp.example.", RRType.A, { source: outside, edns: subnet });
  assert.equal(asked.rcode, Rcode.REFUSED);
  for (const head of [
    [0x20, 0x02, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1],
  ]) {
    const source = Uint8Array.from(head);
    assert.equal(server.ask("db.corp.example.", RRType.A, { source }).rcode, Rcode.REFUSED);
  }
});

function askSigned(server: TestServer, signer: TsigKey, source: Uint8Array): Message {
  const query = encodeMessage(makeQuery(wire("www.example.org."), RRType.A, { id: 7 }));
  const session = new TsigSession(signer);
  const bytes = server.askBytes(session.sign(query, NOW), { source });
  const message = bytes === undefined ? undefined : decodeMessage(bytes);
  assert.ok(message !== undefined && !("error" in message));
  return message;
}

test("who signs with a key sees its view; a signature that is wrong shows nothing", () => {
  const server = serverOf();
  for (const source of [inside, outside]) {
    const signed = askSigned(server, key, source);
    assert.deepEqual(told(signed), [Rcode.NOERROR, undefined, "10.9.9.9"]);
    assert.ok(
      signed.additional.some(({ type }) => type === RRType.TSIG),
      "the answer is signed",
    );
  }
  const forged = askSigned(server, { ...key, secret: Buffer.from("no") }, outside);
  assert.deepEqual(told(forged), [Rcode.NOTAUTH, undefined]);
  const after = server.ask("www.example.org.", RRType.A, { source: outside });
  assert.deepEqual(told(after), [Rcode.NOERROR, undefined, "192.0.2.1"], "the next one without it");
});

test("a key of a zone that is called as one of a view is nobody in any zone", () => {
  const transfers = new Transfers();
  const other = Buffer.from("another secret altogether");
  transfers.setSecrets(
    new Map([
      ["default/file/staff", secret],
      ["default/file/own", other.toString("base64")],
    ]),
  );
  const own = { ...zone("example.org.", "www A 192.0.2.1\n"), options: ownOptions };
  const server = new TestServer({ ...model, zones: [own] }, { transfers });
  assert.equal(askSigned(server, { ...key, secret: other }, outside).rcode, Rcode.REFUSED);
});

test("a key opens no other zone that has one of its name with another secret", () => {
  const other = Buffer.from("another secret altogether");
  const transfers = new Transfers();
  transfers.setSecrets(
    new Map([
      ["default/file/staff", secret],
      ["default/file/own", other.toString("base64")],
    ]),
  );
  const keyed = (origin: string, more: string, secretName: string): TestModel["zones"][number] => ({
    ...zone(origin, more),
    options: {
      allowQuery: [{ key: "staff" }],
      transfers: {
        keys: [{ ...staffKey, secret: secretName }],
        allow: [],
        transferAs: "omit",
      },
    },
  });
  const target = (secretName: string): TestServer =>
    new TestServer(
      {
        zones: [
          keyed("example.org.", "www CNAME db.closed.example.\n", "default/file/own"),
          keyed("closed.example.", "db A 192.0.2.66\n", secretName),
        ],
      },
      { transfers },
    );
  const signer = { ...key, secret: other };
  assert.deepEqual(told(askSigned(target("default/file/staff"), signer, outside)), [
    Rcode.NOERROR,
    undefined,
  ]);
  assert.deepEqual(told(askSigned(target("default/file/own"), signer, outside)), [
    Rcode.NOERROR,
    undefined,
    "192.0.2.66",
  ]);
});

const ownOptions: ZoneOptions = {
  allowQuery: [{ key: "staff" }],
  transfers: {
    keys: [{ ...staffKey, secret: "default/file/own" }],
    allow: [],
    transferAs: "omit",
  },
};

test("NOTIFY is for zones of no view; of zones of a view nobody learns who is not in it", () => {
  const transfers = new Transfers();
  transfers.setSecrets(new Map([["default/file/staff", secret]]));
  const updates = new UpdateRequests(transfers, () => undefined);
  const secondary = { expiresSeconds: NOW + 60, notify: [{ clients: ["10.0.0.0/8"] }] };
  const zones = [
    { ...zone("example.org.", "www A 192.0.2.1\n"), options: { secondary } },
    ...model.zones.slice(1),
  ];
  const server = new TestServer({ ...model, zones }, { transfers, updates });
  const send = (opcode: number, name: string, source: Uint8Array, signer?: TsigKey): number => {
    const packet = encodeMessage({ ...makeQuery(wire(name), RRType.SOA, { id: 7 }), opcode });
    const sent = signer === undefined ? packet : new TsigSession(signer).sign(packet, NOW);
    return (server.askBytes(sent, { source })?.[3] ?? 0xff) & 0xf;
  };
  assert.equal(send(Opcode.NOTIFY, "example.org.", inside), Rcode.NOERROR, "behind a view's zone");
  const forged = { ...key, secret: Buffer.from("no") };
  for (const signer of [undefined, key, forged])
    assert.equal(send(Opcode.NOTIFY, "corp.example.", inside, signer), Rcode.NOTAUTH);
  const ask = (name: string, source: Uint8Array, signer?: TsigKey): number =>
    send(Opcode.UPDATE, name, source, signer);
  assert.equal(ask("corp.example.", inside), Rcode.REFUSED, "it takes none");
  assert.equal(ask("corp.example.", outside), Rcode.NOTAUTH);
  // Who signs as staff sees the zones of that view.
  for (const signer of [key, forged])
    assert.equal(ask("corp.example.", inside, signer), Rcode.NOTAUTH);
  const staff = writeViews([{ name: "internal", match: [{ key: "staff" }], keys: [staffKey] }]);
  const hidden = new TestServer(
    { zones: [zone("corp.example.", "", "internal")], sections: [staff] },
    { transfers, updates },
  );
  const answers = ["corp.example.", "none.example."].map((name) => {
    const query = makeQuery(wire(name), RRType.SOA, { id: 7 });
    const update = encodeMessage({ ...query, opcode: Opcode.UPDATE });
    const bytes = hidden.askBytes(new TsigSession(forged).sign(update, NOW), { source: outside });
    const answer = decodeMessage(bytes ?? new Uint8Array(0));
    return JSON.stringify({ ...answer, question: [] });
  });
  assert.equal(answers[0], answers[1], "a name of a key shows nothing");
});

test("an update whose key is called as a view's is the zone's that its client sees, if that is who signed", () => {
  const otherSecret = Buffer.from("another secret altogether");
  const other = { ...key, secret: otherSecret };
  const transfers = new Transfers();
  transfers.setSecrets(
    new Map([
      ["default/file/staff", secret],
      ["default/file/own", otherSecret.toString("base64")],
    ]),
  );
  const handedOn: (string | undefined)[] = [];
  const updates = new UpdateRequests(
    transfers,
    ({ view }) => handedOn.push(view ?? "none"),
    () => NOW * 1000,
  );
  const updated = (name: string, view?: string): TestModel["zones"][number] => ({
    ...zone("example.org.", "www A 192.0.2.1\n", view),
    options: {
      view,
      transfers: {
        ...{ keys: [{ ...staffKey, secret: name }], allow: [], transferAs: "omit" },
        takesUpdates: true,
      },
    },
  });
  const zones = [
    updated("default/file/own"),
    updated("default/file/staff", "staff"),
    zone("corp.example.", "db A 10.0.0.66\n", "internal"),
  ];
  const server = new TestServer({ ...model, zones }, { transfers, updates });
  const query = {
    ...makeQuery(wire("example.org."), RRType.SOA, { id: 7 }),
    opcode: Opcode.UPDATE,
  };
  const send = (signer: TsigKey): number | undefined =>
    server.askBytes(new TsigSession(signer).sign(encodeMessage(query), NOW), {
      source: outside,
    })?.[3];
  assert.equal(send(other), undefined, "answered later");
  assert.equal(send(key), undefined);
  assert.deepEqual(handedOn, ["none", "staff"]);
  assert.equal(send({ ...key, secret: Buffer.from("no") }), Rcode.NOTAUTH);
  assert.equal(handedOn.length, 2);
});

test("a snapshot with a zone of a view that it does not have is refused", () => {
  const { world } = serverOf();
  assert.deepEqual(
    world.zones.zones.map(({ name }) => name),
    [
      "example.org.",
      "example.org.@internal",
      "corp.example.@internal",
      "example.org.@staff",
      "other.example.",
    ],
  );
  assert.throws(
    () => new TestServer({ zones: [zone("corp.example.", "", "internal")] }),
    /view "internal"/,
  );
  const shared = World.open(world.share(), ["example.org@internal"]);
  assert.equal(shared.zones.zones.length, 4, "a cut names zones of views");
});

test("explain() says which view is seen and why", () => {
  const { world } = serverOf();
  const slots = world.initialSlots();
  const seen = (address: string, view?: string): unknown => {
    const resolver = parseClient(address);
    assert.ok(resolver !== undefined);
    const question = { name: "www.example.org", type: "A", resolver, nowSeconds: NOW };
    const found = explain(
      { world, slots, revision: 1, sequence: 1 },
      { ...question, ...(view === undefined ? {} : { view }) },
    );
    return [found?.zone, found?.view];
  };
  assert.deepEqual(
    [seen("10.1.2.3"), seen("198.51.100.1"), seen("198.51.100.1", "staff")],
    [
      [
        "example.org.@internal",
        { name: "internal", why: "the first one that 10.1.2.3 fits, unless it signs" },
      ],
      ["example.org.", { why: "no view has 198.51.100.1, unless it signs" }],
      ["example.org.@staff", { name: "staff", why: "as asked" }],
    ],
  );
});

describe("real programs", () => {
  let edge: RunningEdge;
  const views = writeViews([
    { name: "staff", match: [{ key: "staff" }], keys: [staffKey] },
    { name: "internal", match: [{ clients: ["127.0.0.2/32"] }], keys: [] },
  ]);
  before(async () => {
    edge = await RunningEdge.start();
    edge.setSecrets(new Map([["default/file/staff", secret]]));
    await edge.serve({ ...model, sections: [views] });
  });
  after(() => edge.close());
  const signed = ["-y", `hmac-sha256:staff:${secret}`];

  for (const program of ["dig", "kdig"]) {
    const skip = needs(program, program === "dig" ? "bind9-dnsutils" : "knot-dnsutils");
    const ask = async (...words: readonly string[]): Promise<string> => {
      const at = ["@127.0.0.1", "-p", String(edge.address.port), "+norec"];
      const { stdout } = await run(program, [...at, ...words]);
      assert.doesNotMatch(stdout, /BADSIG|Couldn't verify|;; (?:WARNING|ERROR)/);
      return stdout;
    };
    test(`${program} sees by its address and by its key what others do not`, { skip }, async () => {
      const addressOf = async (...words: readonly string[]): Promise<string | undefined> =>
        (await ask(...words, "www.example.org", "A", "+short")).split("\n")[0];
      assert.equal(await addressOf("-b", "127.0.0.2"), "10.0.0.80");
      assert.equal(await addressOf("-b", "127.0.0.3"), "192.0.2.1");
      assert.equal(await addressOf("-b", "127.0.0.3", ...signed), "10.9.9.9");
      assert.match(await ask("-b", "127.0.0.2", "db.corp.example", "A"), /10\.0\.0\.2/);
      assert.match(await ask("-b", "127.0.0.3", "db.corp.example", "A"), /REFUSED/);
      const zone = await ask(...signed, "example.org", "AXFR");
      assert.match(zone, /10\.9\.9\.9/);
      assert.doesNotMatch(zone, /192\.0\.2\.1|10\.0\.0\.80/);
    });
  }
});
