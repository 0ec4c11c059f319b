// SPDX-License-Identifier: Apache-2.0
import { createSocket } from "node:dgram";
import {
  decodeMessage,
  encodeMessage,
  equalNames,
  makeQuery,
  parseName,
  type Message,
} from "@meridian/dns";

const ASK_MS_MAX = 2000;
const UDP_BYTES = 4096;

/** A name as it is in messages. Throws where it is none. */
export function wireName(text: string): Uint8Array {
  const name = parseName(text);
  if (name instanceof Uint8Array) return name;
  throw new Error(`Cannot ask for "${text}": ${name.error}`);
}

/** The records of a set that a server on 127.0.0.1 has, and whether it validated them; undefined without an answer. */
export async function recordsOf(
  port: number,
  name: string,
  type: number,
): Promise<{ readonly records: readonly Uint8Array[]; readonly isSecure: boolean } | undefined> {
  const owner = wireName(name);
  const edns = { udpSize: UDP_BYTES, do: true };
  const message = await exchange(port, encodeMessage(makeQuery(owner, type, { rd: true, edns })));
  if (message === undefined) return undefined;
  const records = message.answer.filter(
    (record) => record.type === type && equalNames(record.owner, owner),
  );
  return { records: records.map(({ rdata }) => rdata), isSecure: message.flags.ad };
}

async function exchange(port: number, query: Uint8Array): Promise<Message | undefined> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<Message | undefined>();
  socket.once("message", (bytes) => {
    const message = decodeMessage(bytes);
    resolve("error" in message ? undefined : message);
  });
  socket.once("error", () => resolve(undefined));
  const timer = setTimeout(() => resolve(undefined), ASK_MS_MAX);
  socket.connect(port, "127.0.0.1", () => socket.send(query));
  const message = await promise;
  clearTimeout(timer);
  socket.close();
  return message;
}
