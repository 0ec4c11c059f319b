// SPDX-License-Identifier: Apache-2.0

// A whole zone from a running server: AXFR over TCP (RFC 5936), whose records begin and end with the SOA; with a key, every message is of
// the exchange that it signs (RFC 8945 §5.3.1).

import { connect } from "node:net";
import {
  decodeMessage,
  encodeMessage,
  fullRcode,
  makeQuery,
  Rcode,
  rcodeToText,
  RRType,
  TsigSession,
  type Message,
  type TsigKey,
  type ZoneRecord,
} from "@meridian/dns";
import { splitServer } from "../dns-question.ts";
import { CommandError, ExitCode } from "../exit-code.ts";

/** Without a byte for so long, the server has given up. */
const IDLE_MS = 10_000;
/** Bytes of one transfer: twenty million small records. */
const BYTES_MAX = 1024 * 1024 * 1024;

/**
 * The records of `origin` at `HOST[:PORT]`, the closing SOA left out.
 *
 * @throws CommandError where the server refuses, or says something else than a zone.
 */
export async function transferZone(
  server: string,
  origin: Uint8Array,
  key?: TsigKey,
): Promise<ZoneRecord[]> {
  const { host, port } = splitServer(server);
  const socket = connect(port, host);
  socket.setTimeout(IDLE_MS, () =>
    socket.destroy(new Error(`no byte came for ${IDLE_MS / 1000} s`)),
  );
  const query = encodeMessage(makeQuery(origin, RRType.AXFR, { id: 1 }));
  const session = key === undefined ? undefined : new TsigSession(key);
  const packet = session?.sign(query, nowSeconds()) ?? query;
  socket.write(Uint8Array.of(packet.length >>> 8, packet.length & 0xff, ...packet));
  const records: ZoneRecord[] = [];
  const fail = (exitCode: ExitCode, why: string, cause?: unknown): never => {
    throw new CommandError(exitCode, `Cannot transfer the zone from ${server}: ${why}`, { cause });
  };
  try {
    for await (const bytes of messagesOf(socket)) {
      const message = read(bytes);
      const isSigned = session?.verifyNext(bytes, nowSeconds()) ?? Rcode.NOERROR;
      if (isSigned !== Rcode.NOERROR && fullRcode(message) === 0)
        fail(ExitCode.refused, "a message is not signed by the key, or wrongly");
      if (fullRcode(message) !== 0)
        fail(ExitCode.refused, `it answers ${rcodeToText(fullRcode(message))}`);
      for (const { owner, type, ttl, rdata } of message.answer) {
        if (records.length === 0 && type !== RRType.SOA)
          fail(ExitCode.failed, "its first record is no SOA");
        if (records.length > 0 && type === RRType.SOA) {
          if (session?.isOpen === true) fail(ExitCode.refused, "its last message is not signed");
          return records;
        }
        records.push({ owner, type, ttl, rdata });
      }
      if (message.answer.length === 0) fail(ExitCode.failed, "a message holds no record");
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    fail(ExitCode.unreachable, error instanceof Error ? error.message : String(error), error);
  } finally {
    socket.destroy();
  }
  return fail(ExitCode.failed, "it ended before the closing SOA");
}

/** The messages of a connection, each after its length (RFC 1035 §4.2.2). */
async function* messagesOf(socket: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let received: Buffer = Buffer.alloc(0);
  let bytes = 0;
  for await (const data of socket) {
    bytes += data.length;
    if (bytes > BYTES_MAX) throw new Error(`it sends more than ${BYTES_MAX} bytes`);
    received = received.length === 0 ? data : Buffer.concat([received, data]);
    let at = 0;
    while (received.length >= at + 2 && received.length >= at + 2 + received.readUInt16BE(at)) {
      const end = at + 2 + received.readUInt16BE(at);
      yield received.subarray(at + 2, end);
      at = end;
    }
    received = received.subarray(at);
  }
}

function read(bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  if ("error" in message) throw new Error(`a message cannot be read: ${message.error}`);
  return message;
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
