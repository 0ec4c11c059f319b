// SPDX-License-Identifier: Apache-2.0
import { createSocket } from "node:dgram";
import { formatAddress } from "../data/regions.ts";
import { encodeQuery } from "../data/query-file.ts";

const TYPE_A = 1;

/** What a server answered. */
export interface Answer {
  readonly rcode: number;
  readonly isResponse: boolean;
  readonly addresses: readonly string[];
}

/** Asks 127.0.0.1 for the A records of a name; undefined if no answer comes in time. */
export async function ask(
  port: number,
  name: string,
  timeoutMs: number,
): Promise<Answer | undefined> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
  socket.once("message", (message) => resolve(readAnswer(message)));
  socket.once("error", () => resolve(undefined));
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  socket.connect(port, "127.0.0.1", () => socket.send(encodeQuery(name, undefined).subarray(2)));
  const answer = await promise;
  clearTimeout(timer);
  socket.close();
  return answer;
}

/** Reads rcode and A records of a DNS message; addresses end where the message cannot be read on. */
export function readAnswer(message: Buffer): Answer {
  const addresses: string[] = [];
  let at = skipName(message, 12) + 4;
  for (let left = message.readUInt16BE(6); left > 0; left -= 1) {
    at = skipName(message, at);
    if (at + 10 > message.length) break;
    const bytes = message.readUInt16BE(at + 8);
    if (message.readUInt16BE(at) === TYPE_A && bytes === 4 && at + 14 <= message.length) {
      addresses.push(formatAddress(message.readUInt32BE(at + 10)));
    }
    at += 10 + bytes;
  }
  return { rcode: (message[3] ?? 0) & 15, isResponse: ((message[2] ?? 0) & 128) !== 0, addresses };
}

function skipName(message: Buffer, start: number): number {
  let at = start;
  while (at < message.length) {
    const label = message[at] ?? 0;
    if (label >= 192) return at + 2;
    at += 1 + label;
    if (label === 0) return at;
  }
  return message.length;
}
