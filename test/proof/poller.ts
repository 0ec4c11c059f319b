// SPDX-License-Identifier: Apache-2.0

// Asks the edge without pause, in a thread of its own, from many source ports (SO_REUSEPORT spreads them over the workers) and over
// TCP, and writes into shared memory when each source last was told of the victim.
//
//   per (name, source): lastVictim   latest start of a query answered with the victim (milliseconds of the monotonic clock)
//                       firstVictim  when the first such answer came since the parent zeroed it
//                       answers      answers so far

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { FIELDS, Field, nowMs, type PollerData } from "./poller-data.ts";
import { decode, query } from "./system.ts";

const TYPE_A = 1;
const TYPE_AAAA = 28;

type Send = (packet: Uint8Array) => void;

/** One question on its way: id → what it was. */
interface Asked {
  readonly name: number;
  readonly startMs: number;
}

// The thread's data is what the parent of this module passes, see `PollerData`.
const data: PollerData = workerData;
const facts = new Float64Array(data.facts);
const packets = data.names.map(({ name }) => [query(name, TYPE_A), query(name, TYPE_AAAA)]);
const victims = data.names.map(({ victims: texts }) => new Set(texts));

function addressText(type: number, rdata: Uint8Array): string {
  return type === TYPE_A ? rdata.join(".") : Buffer.from(rdata).toString("hex");
}

class Source {
  readonly #index: number;
  readonly #asked = new Map<number, Asked>();
  #send: Send = () => undefined;
  #nextId = 1;

  constructor(index: number) {
    this.#index = index;
  }

  use(send: Send): void {
    this.#send = send;
  }

  ask(name: number, round: number): void {
    const packet = Uint8Array.from(packets[name]?.[(round + this.#index) % 2] ?? []);
    const id = this.#nextId;
    this.#nextId = (id % 0xffff) + 1;
    packet[0] = id >>> 8;
    packet[1] = id;
    this.#asked.set(id, { name, startMs: nowMs() });
    this.#send(packet);
  }

  take(bytes: Uint8Array): void {
    const id = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    const at = (asked.name * data.sources + this.#index) * FIELDS;
    facts[at + Field.answers] = (facts[at + Field.answers] ?? 0) + 1;
    const isVictim = decode(bytes).answer.some(
      ({ type, rdata }) => victims[asked.name]?.has(addressText(type, rdata)) === true,
    );
    if (!isVictim) return;
    facts[at + Field.lastVictim] = Math.max(facts[at + Field.lastVictim] ?? 0, asked.startMs);
    if (facts[at + Field.firstVictim] === 0) facts[at + Field.firstVictim] = nowMs();
  }
}

async function udp(source: Source, address: string, port: number): Promise<void> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (bytes) => source.take(bytes));
  socket.on("error", () => undefined);
  socket.connect(port, address);
  await once(socket, "connect");
  source.use((packet) => socket.send(packet, () => undefined));
}

async function tcp(source: Source, address: string, port: number): Promise<void> {
  const socket = connect(port, address);
  await once(socket, "connect");
  socket.setNoDelay(true);
  let received: Buffer = Buffer.alloc(0);
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      source.take(received.subarray(2, end));
      received = received.subarray(end);
    }
  });
  source.use((packet) => {
    socket.write(Uint8Array.of(packet.length >>> 8, packet.length & 0xff, ...packet));
  });
}

const sources = Array.from({ length: data.sources }, (_, index) => new Source(index));
for (const [index, source] of sources.entries()) {
  const isIpv6 = index % 2 === 1;
  const address = isIpv6 ? "::1" : "127.0.0.1";
  const port = isIpv6 ? data.portIpv6 : data.portIpv4;
  await (index < data.udpSources ? udp(source, address, port) : tcp(source, address, port));
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
parentPort?.postMessage("ready");
let round = 0;
setInterval(() => {
  round += 1;
  // One name a turn: the load is even, and each (name, source) is asked every `periodMs`.
  const name = round % data.names.length;
  const cycle = Math.floor(round / data.names.length);
  for (const source of sources) source.ask(name, cycle);
}, data.periodMs / data.names.length);
