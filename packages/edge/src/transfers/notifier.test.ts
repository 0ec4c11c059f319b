// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import {
  Opcode,
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  parseName,
  readTsig,
  type Message,
  type TsigKey,
} from "@meridian/dns";
import { FixedCounter } from "../counter-layout.ts";
import { Notifier, type NotifiedZone } from "./notifier.ts";
import { TransferNotices } from "./transfer-notices.ts";

const WAIT_MS = 50;
const origin = wire("example.org.");
const key: TsigKey = {
  name: wire("xfr.example."),
  algorithm: "hmac-sha256",
  secret: Buffer.from("0123456789abcdef"),
};

interface Received {
  readonly message: Message;
  readonly bytes: Uint8Array;
  readonly from: RemoteInfo;
}

/** A secondary that answers as the test says. */
class Secondary {
  readonly received: Received[] = [];
  readonly #socket = createSocket("udp4");
  #answer: (received: Received) => readonly Uint8Array[] = () => [];
  #changed = Promise.withResolvers<void>();

  static async start(t: TestContext): Promise<Secondary> {
    const secondary = new Secondary();
    const socket = secondary.#socket;
    t.after(() => socket.close());
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    socket.on("message", (bytes: Uint8Array, from) => {
      const message = decodeMessage(bytes);
      assert.ok(!("error" in message));
      const received = { message, bytes, from };
      secondary.received.push(received);
      for (const answer of secondary.#answer(received)) socket.send(answer, from.port, "127.0.0.1");
      secondary.#changed.resolve();
      secondary.#changed = Promise.withResolvers();
    });
    return secondary;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  answerWith(answer: (received: Received) => readonly Uint8Array[]): void {
    this.#answer = answer;
  }

  async count(wanted: number): Promise<void> {
    while (this.received.length < wanted) await this.#changed.promise;
  }

  get serials(): number[] {
    return this.received.map(({ message }) => {
      const rdata = Buffer.from(message.answer[0]?.rdata ?? []);
      return rdata.readUInt32BE(rdata.length - 20);
    });
  }
}

/** What is said in the log, as it comes. */
class Log {
  readonly lines: string[] = [];
  readonly notices: TransferNotices = new TransferNotices(({ zone, client, outcome }) => {
    this.lines.push(`${zone} ${client} ${outcome}`);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  });
  #changed = Promise.withResolvers<void>();

  async count(wanted: number): Promise<void> {
    while (this.lines.length < wanted) await this.#changed.promise;
  }
}

test("who does not answer is told again until the answer of a serial and key is right", async (t) => {
  const secondary = await Secondary.start(t);
  const log = new Log();
  const notifier = new Notifier(log.notices, undefined, WAIT_MS);
  const { port } = secondary;
  const follow = (serial: number): void =>
    notifier.follow([zone(serial, { address: "127.0.0.1", port, key })]);
  follow(5);
  await secondary.count(2);
  const [first, second] = secondary.received;
  assert.ok(first !== undefined && second !== undefined);
  const { opcode, flags, question } = first.message;
  assert.deepEqual([opcode, flags.aa, flags.qr], [Opcode.NOTIFY, true, false]);
  assert.deepEqual(question, [{ name: origin, type: RRType.SOA, class: 1 }]);
  assert.equal(second.message.id, first.message.id);
  secondary.answerWith(({ message, bytes }) => {
    const record = readTsig(bytes);
    assert.ok(record !== undefined && record !== "malformed");
    const session = new TsigSession(key);
    const now = Math.floor(Date.now() / 1000);
    assert.equal(session.verify(bytes, record, now), Rcode.NOERROR);
    // What somebody else made up, for another question, and then the right one.
    const other = encodeMessage({ ...reply(message), id: message.id ^ 1 });
    return [encodeMessage(reply(message)), other, session.sign(encodeMessage(reply(message)), now)];
  });
  await log.count(1);
  follow(5);
  follow(6);
  await log.count(2);
  const where = `example.org. 127.0.0.1:${port}`;
  assert.deepEqual(log.lines, [`${where} was told of serial 5`, `${where} was told of serial 6`]);
  assert.equal(secondary.serials.at(-1), 6);
});

test("a newer serial takes the place of one that nobody answered, and who never answers is given up", async (t) => {
  const secondary = await Secondary.start(t);
  const log = new Log();
  const counts: number[] = [];
  const notifier = new Notifier(log.notices, (counter) => counts.push(counter), WAIT_MS / 5);
  const target = { address: "127.0.0.1", port: secondary.port };
  notifier.follow([zone(5, target)]);
  await secondary.count(1);
  notifier.follow([zone(6, target)]);
  await log.count(1);
  assert.match(log.lines.join(), /does not answer, and was not told of 6$/);
  const newest = (): number[] => secondary.serials.filter((serial) => serial === 6);
  while (newest().length < 5) await secondary.count(secondary.received.length + 1);
  assert.deepEqual(secondary.serials.slice(-5), newest());
  const { notifySent, notifyFailed } = FixedCounter;
  const sent = counts.filter((counter) => counter === notifySent).length;
  assert.deepEqual([sent >= 6, counts.at(-1)], [true, notifyFailed]);
});

test("a refusal ends it, and is said", async (t) => {
  const secondary = await Secondary.start(t);
  const log = new Log();
  secondary.answerWith(({ message }) => [
    encodeMessage({ ...reply(message), rcode: Rcode.REFUSED }),
  ]);
  const zones = Array.from({ length: 20 }, (_, index) => ({
    ...zone(index + 1, { address: "127.0.0.1", port: secondary.port }),
    origin: wire(`z${index}.example.`),
    id: String(index),
  }));
  // Slow to be told again: what is seen here are answers.
  new Notifier(log.notices, undefined, 60_000).follow(zones);
  await secondary.count(20);
  await log.count(1);
  assert.match(log.lines[0] ?? "", /refused to be told of serial 1: REFUSED$/);
  assert.deepEqual(
    secondary.serials.toSorted((a, b) => a - b),
    zones.map(({ serial }) => serial),
  );
});

function zone(serial: number, target: NotifiedZone["targets"][number]): NotifiedZone {
  const rdata = Buffer.alloc(22);
  rdata.writeUInt32BE(serial, 2);
  const soa = { owner: origin, type: RRType.SOA, ttl: 60, rdata, cutA: -1, cutB: -1 };
  return { origin, id: origin.join(), serial, soa, targets: [target] };
}

function reply(message: Message): Message {
  return { ...message, flags: { ...message.flags, qr: true }, answer: [], additional: [] };
}

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}
