// SPDX-License-Identifier: Apache-2.0

// What the servers of the parent zone say of a zone's DS records. Asked over TCP, which nobody who is not on the path can forge: an old key
// goes by what is heard here. Bounded in time and bytes; what cannot be understood is taken as not known, never as "none".

import { randomInt } from "node:crypto";
import { getServers } from "node:dns";
import { connect, isIPv6 } from "node:net";
import {
  RRType,
  Rcode,
  decodeMessage,
  encodeMessage,
  equalNames,
  fullRcode,
  makeQuery,
} from "@meridian/dns";

const ASK_MS_MAX = 3000;
const ANSWER_BYTES_MAX = 65_535;
const LENGTH_BYTES = 2;

/** A server that is asked. */
export interface DsServer {
  readonly address: string;
  readonly port: number;
}

/** DS rdata that each server says; undefined where one of them was not heard or understood, or there is none to ask. */
export async function askForDs(
  zone: Uint8Array,
  given: readonly DsServer[],
): Promise<readonly (readonly Uint8Array[])[] | undefined> {
  const servers = given.length === 0 ? systemServers() : given;
  const heard = await Promise.all(servers.map((server) => askOne(zone, server)));
  const known = heard.filter((each) => each !== undefined);
  return known.length === 0 || known.length < heard.length ? undefined : known;
}

/** Those of the system's resolver, of which all say the same: the first is asked. */
function systemServers(): DsServer[] {
  return getServers()
    .slice(0, 1)
    .map((text) => {
      const bracketed = /^\[(.+)\]:(\d+)$/.exec(text);
      if (bracketed !== null) return { address: bracketed[1] ?? "", port: Number(bracketed[2]) };
      const [address = "", port = "53"] = isIPv6(text) ? [text] : text.split(":");
      return { address, port: Number(port) };
    });
}

async function askOne(
  zone: Uint8Array,
  server: DsServer,
): Promise<readonly Uint8Array[] | undefined> {
  const id = randomInt(65_536);
  const query = encodeMessage(makeQuery(zone, RRType.DS, { id, rd: true, edns: {} }));
  const bytes = await exchange(query, server);
  const answer = bytes === undefined ? undefined : decodeMessage(bytes);
  if (answer === undefined || "error" in answer || answer.id !== id) return undefined;
  const [question] = answer.question;
  const isOurs = answer.flags.qr && question?.type === RRType.DS && equalNames(question.name, zone);
  // A referral, or a server that has nothing to do with the zone, says nothing about it.
  const isFinal = answer.flags.aa || answer.flags.ra;
  const rcode = fullRcode(answer);
  if (!isOurs || !isFinal || (rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN))
    return undefined;
  return answer.answer
    .filter(({ owner, type }) => type === RRType.DS && equalNames(owner, zone))
    .map(({ rdata }) => rdata);
}

/** The answer to a query, or undefined; never rejects. */
function exchange(query: Uint8Array, { address, port }: DsServer): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const socket = connect({ host: address, port });
  let bytes: Uint8Array = new Uint8Array(0);
  const timer = setTimeout(() => socket.destroy(), ASK_MS_MAX);
  socket.on("connect", () => {
    socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]));
  });
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const [high = 0, low = 0] = bytes;
    const wanted = LENGTH_BYTES + ((high << 8) | low);
    if (bytes.length < LENGTH_BYTES || (bytes.length < wanted && bytes.length <= ANSWER_BYTES_MAX))
      return;
    resolve(bytes.subarray(LENGTH_BYTES, wanted));
    socket.destroy();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(undefined);
  });
  return promise;
}
