// SPDX-License-Identifier: Apache-2.0

// One question over UDP or TCP, for commands that ask a name server themselves.

import { createSocket } from "node:dgram";
import { connect } from "node:net";
import {
  decodeMessage,
  RRType,
  ecsOption,
  encodeMessage,
  formatIpv4,
  formatIpv6,
  makeQuery,
  parseIpv4,
  parseIpv6,
  parseName,
  type EdnsOption,
  type Message,
} from "@meridian/dns";

/** What is asked, and whom. */
export interface DnsQuestion {
  /** `127.0.0.1:5300` or `[::1]:5300`. */
  readonly server: string;
  readonly name: string;
  readonly type: number;
  /** Address of this host to ask from; the system's choice unless given. */
  readonly from?: string | undefined;
  /** Client subnet to send, such as `192.0.2.0/24`. */
  readonly subnet?: string;
  readonly recursive?: boolean;
  readonly tcp?: boolean;
  readonly timeoutMs?: number;
  /** Ask for signatures (the DO bit). */
  readonly signatures?: boolean;
  /** Have a resolver answer what it cannot validate, too (the CD bit). */
  readonly checkingDisabled?: boolean;
  /** Version of EDNS; 0 unless given. */
  readonly ednsVersion?: number;
  readonly options?: readonly EdnsOption[];
}

/** An answer, and how many bytes it was. */
export interface DnsReply {
  readonly message: Message;
  readonly bytes: number;
}

const TIMEOUT_MS = 2000;

/** Asks once. Rejects where no answer comes in time, or one that cannot be read. */
export async function askDns(question: DnsQuestion): Promise<Message> {
  return (await exchangeDns(question)).message;
}

/** As askDns, with the size of the answer. */
export async function exchangeDns(question: DnsQuestion): Promise<DnsReply> {
  const id = Math.floor(Math.random() * 65_536);
  const packet = packetOf(question, id);
  const answer = await (question.tcp === true ? overTcp : overUdp)(question, packet);
  const message = decodeMessage(answer);
  if ("error" in message)
    throw new Error(`Cannot read the answer of ${question.server}: ${message.error}`);
  return { message, bytes: answer.length };
}

/** Addresses in the answer section. */
export function addressesOf(message: Pick<Message, "answer">): string[] {
  return message.answer.flatMap(({ type, rdata }) => {
    if (type === RRType.A) return [formatIpv4(rdata, 0)];
    return type === RRType.AAAA ? [formatIpv6(rdata, 0)] : [];
  });
}

/** The bytes of a query. */
export function packetOf(question: DnsQuestion, id: number): Uint8Array {
  const name = parseName(question.name.endsWith(".") ? question.name : `${question.name}.`);
  if (!(name instanceof Uint8Array))
    throw new Error(`Cannot ask for "${question.name}": ${name.error}`);
  const subnets = question.subnet === undefined ? [] : [subnetOption(question.subnet)];
  const query = makeQuery(name, question.type, {
    id,
    rd: question.recursive ?? false,
    edns: {
      options: [...subnets, ...(question.options ?? [])],
      do: question.signatures ?? false,
      version: question.ednsVersion ?? 0,
    },
  });
  const flags = { ...query.flags, cd: question.checkingDisabled ?? false };
  return encodeMessage({ ...query, flags });
}

function subnetOption(subnet: string): ReturnType<typeof ecsOption> {
  const [text = "", length] = subnet.split("/");
  const isIpv6 = text.includes(":");
  const address = isIpv6 ? parseIpv6(text) : parseIpv4(text);
  if (address === undefined) throw new Error(`Cannot use subnet "${subnet}": it is no address`);
  return ecsOption(address, Number(length ?? (isIpv6 ? 56 : 24)));
}

/** Host and port of `HOST:PORT`, port 53 where there is none. */
export function splitServer(server: string): { host: string; port: number } {
  const match = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(server);
  return { host: match?.[1] ?? server, port: Number(match?.[2] ?? 53) };
}

async function overUdp(question: DnsQuestion, packet: Uint8Array): Promise<Uint8Array> {
  const { host, port } = splitServer(question.server);
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const timer = setTimeout(() => reject(silent(question)), question.timeoutMs ?? TIMEOUT_MS);
  socket.on("error", reject);
  socket.on("message", (message) => {
    if (message[0] === packet[0] && message[1] === packet[1]) resolve(message);
  });
  // Not as its callback, which is called for errors, too: they are events then.
  socket.once("connect", () => socket.send(packet));
  const ask = (): void => socket.connect(port, host);
  if (question.from === undefined) ask();
  else socket.bind(0, question.from, ask);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

async function overTcp(question: DnsQuestion, packet: Uint8Array): Promise<Uint8Array> {
  const { host, port } = splitServer(question.server);
  const { from } = question;
  const socket = connect({ port, host, ...(from === undefined ? {} : { localAddress: from }) });
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const timer = setTimeout(() => reject(silent(question)), question.timeoutMs ?? TIMEOUT_MS);
  let received = Buffer.alloc(0);
  socket.on("error", reject);
  socket.on("close", () => reject(silent(question)));
  socket.on("data", (data: Buffer) => {
    received = Buffer.concat([received, data]);
    const end = received.length < 2 ? Infinity : 2 + received.readUInt16BE(0);
    if (received.length >= end) resolve(received.subarray(2, end));
  });
  socket.write(Uint8Array.of(packet.length >>> 8, packet.length & 0xff, ...packet));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function silent({ server, name, timeoutMs }: DnsQuestion): Error {
  return new Error(`No answer for "${name}" from ${server} within ${timeoutMs ?? TIMEOUT_MS} ms`);
}
