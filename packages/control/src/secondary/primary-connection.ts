// SPDX-License-Identifier: Apache-2.0

// One connection to a primary, over TCP or TLS (RFC 9103): its SOA, then the zone or its changes. Bounded in bytes and in time; every
// message is one of the exchange that was signed, where there is a key (RFC 8945 §5.3.1).

import { randomInt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  BADSIG,
  RRType,
  Rcode,
  TransferReader,
  TsigSession,
  decodeMessage,
  encodeMessage,
  equalNames,
  fullRcode,
  isRdata,
  makeQuery,
  rcodeToText,
  readSoa,
  readTsig,
  type Message,
  type SoaTimers,
  type TransferOutcome,
  type TsigKey,
  type ZoneRecord,
} from "@meridian/dns";
import { ZONE_BYTES_MAX } from "./zone-copy.ts";

/** A primary that is silent for so long has given up. */
const IDLE_MS = 10_000;
const CONNECT_MS = 5000;
/** Of one transfer as a whole: a zone of the greatest size at 100 kB a second. */
const TRANSFER_MS_MAX = 600_000;
/** What names that end in pointers may have in one message of 64 KiB. */
const EXPANDED_BYTES_MAX = 1024 * 1024;
const LENGTH_BYTES = 2;

/** A server that has the zone. */
export interface Primary {
  readonly address: string;
  readonly port: number;
  /** By which both sides sign. */
  readonly key: TsigKey | undefined;
  readonly tls: PrimaryTls | undefined;
}

export interface PrimaryTls {
  /** Name that its certificate is to have; its address where undefined. */
  readonly serverName: string | undefined;
  /** Path of a PEM file of issuers; those that Node trusts where undefined. */
  readonly ca: string | undefined;
  /** Paths of PEM files: what this end shows of itself. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
}

/** Why nothing came of it; the message is the end of a sentence. */
export class TransferFailure extends Error {}

export class PrimaryConnection {
  readonly #primary: Primary;
  readonly #origin: Uint8Array;
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer, unknown>;
  readonly #nowMs: () => number;
  readonly #deadline: NodeJS.Timeout;
  #received: Buffer = Buffer.alloc(0);
  #receivedBytes = 0;

  private constructor(primary: Primary, origin: Uint8Array, socket: Socket, nowMs: () => number) {
    this.#primary = primary;
    this.#origin = origin;
    this.#socket = socket;
    this.#nowMs = nowMs;
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_MS, () =>
      socket.destroy(new TransferFailure(`no byte came for ${IDLE_MS / 1000} s`)),
    );
    this.#deadline = setTimeout(
      () => socket.destroy(new TransferFailure(`it took more than ${TRANSFER_MS_MAX / 1000} s`)),
      TRANSFER_MS_MAX,
    );
    const chunks: AsyncIterable<Buffer> = socket;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Rejects where it cannot be reached, or is not who it is to be; ended by `signal`. */
  static async open(
    primary: Primary,
    origin: Uint8Array,
    { signal, nowMs }: { readonly signal: AbortSignal; readonly nowMs: () => number },
  ): Promise<PrimaryConnection> {
    const socket = await connected(primary, signal);
    return new PrimaryConnection(primary, origin, socket, nowMs);
  }

  close(): void {
    clearTimeout(this.#deadline);
    this.#socket.destroy();
  }

  /** Its SOA now. */
  async soa(): Promise<SoaTimers> {
    const session = this.#ask(RRType.SOA, undefined);
    const { id } = session;
    const message = await this.#next(session.tsig);
    if (session.tsig?.isOpen === true) throw new TransferFailure("its answer is not signed");
    const rcode = fullRcode(message);
    if (rcode !== Rcode.NOERROR) throw new TransferFailure(`it answers ${rcodeToText(rcode)}`);
    const soa = message.answer.find(
      ({ type, owner, rdata }) =>
        type === RRType.SOA && equalNames(owner, this.#origin) && isRdata(type, rdata),
    );
    if (message.id !== id || !message.flags.qr || !message.flags.aa || soa === undefined)
      throw new TransferFailure("it has no authoritative SOA of the zone");
    return readSoa(soa.rdata);
  }

  /** The zone; or, with the SOA of a copy, what has changed since. */
  async transfer(since?: ZoneRecord): Promise<TransferOutcome> {
    const { id, tsig } = this.#ask(since === undefined ? RRType.AXFR : RRType.IXFR, since);
    const reader = new TransferReader({
      id,
      origin: this.#origin,
      ...(since === undefined ? {} : { since: readSoa(since.rdata).serial }),
    });
    let isMore = true;
    while (isMore) isMore = reader.take(await this.#next(tsig));
    const { error, outcome } = reader;
    if (error !== undefined || outcome === undefined)
      throw new TransferFailure(error ?? "it brought nothing");
    if (tsig?.isOpen === true) throw new TransferFailure("its last message is not signed");
    return outcome;
  }

  /** The rcode of its answer to a message. */
  async exchange(message: Message): Promise<number> {
    const tsig = this.#send(encodeMessage(message));
    const answer = await this.#next(tsig);
    if (tsig?.isOpen === true) throw new TransferFailure("its answer is not signed");
    if (answer.id !== message.id || !answer.flags.qr || answer.opcode !== message.opcode)
      throw new TransferFailure("it answers something else");
    return fullRcode(answer);
  }

  #ask(
    type: number,
    since: ZoneRecord | undefined,
  ): { readonly id: number; readonly tsig: TsigSession | undefined } {
    const id = randomInt(65_536);
    const query = makeQuery(this.#origin, type, { id });
    const authority = since === undefined ? [] : [{ ...since, owner: this.#origin, class: 1 }];
    return { id, tsig: this.#send(encodeMessage({ ...query, authority })) };
  }

  #send(bytes: Uint8Array): TsigSession | undefined {
    const { key } = this.#primary;
    const tsig = key === undefined ? undefined : new TsigSession(key);
    const signed = tsig?.sign(bytes, this.#nowSeconds()) ?? bytes;
    const framed = Buffer.allocUnsafe(LENGTH_BYTES + signed.length);
    framed.writeUInt16BE(signed.length);
    framed.set(signed, LENGTH_BYTES);
    this.#socket.write(framed);
    this.#receivedBytes = 0;
    return tsig;
  }

  async #next(tsig: TsigSession | undefined): Promise<Message> {
    const bytes = await this.#nextBytes();
    if (tsig !== undefined) {
      const rcode = tsig.verifyNext(bytes, this.#nowSeconds());
      if (rcode !== Rcode.NOERROR) throw new TransferFailure(signatureFault(bytes, rcode));
    }
    const message = decodeMessage(bytes, EXPANDED_BYTES_MAX);
    if ("error" in message) throw new TransferFailure(`a message cannot be read: ${message.error}`);
    return message;
  }

  async #nextBytes(): Promise<Uint8Array> {
    while (!this.#isWhole()) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new TransferFailure("it ends before it is whole");
      this.#receivedBytes += value.length;
      if (this.#receivedBytes > 2 * ZONE_BYTES_MAX)
        throw new TransferFailure(`it has more than ${2 * ZONE_BYTES_MAX} bytes`);
      this.#received = this.#received.length === 0 ? value : Buffer.concat([this.#received, value]);
    }
    const end = LENGTH_BYTES + this.#received.readUInt16BE(0);
    const bytes = this.#received.subarray(LENGTH_BYTES, end);
    this.#received = this.#received.subarray(end);
    return bytes;
  }

  #isWhole(): boolean {
    const { length } = this.#received;
    return length >= LENGTH_BYTES && length >= LENGTH_BYTES + this.#received.readUInt16BE(0);
  }

  #nowSeconds(): number {
    return Math.floor(this.#nowMs() / 1000);
  }
}

const signatureFaults: Readonly<Record<number, string>> = {
  [BADSIG]: "BADSIG",
  [Rcode.BADKEY]: "BADKEY",
  [Rcode.BADTIME]: "BADTIME",
  [Rcode.BADTRUNC]: "BADTRUNC",
};

/** What is wrong with the signature of a message: what its sender says of ours, or what is found here. */
function signatureFault(bytes: Uint8Array, rcode: number): string {
  const record = readTsig(bytes);
  const said = typeof record === "object" ? signatureFaults[record.error] : undefined;
  if (said !== undefined) return `it does not take the signature: ${said}`;
  if (record === undefined) return "a message is not signed";
  return `a message is signed wrongly: ${signatureFaults[rcode] ?? rcodeToText(rcode)}`;
}

async function connected({ address, port, tls }: Primary, signal: AbortSignal): Promise<Socket> {
  // Read each time: they are renewed now and then.
  const read = (path: string | undefined): Promise<Buffer | undefined> =>
    path === undefined ? Promise.resolve(undefined) : readFile(path, { signal });
  const { ca: caPath, certificate } = tls ?? {};
  const [ca, cert, ownKey] = await Promise.all(
    [caPath, certificate?.cert, certificate?.key].map(read),
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const target = { host: address, port };
  const socket =
    tls === undefined
      ? connect(target, resolve)
      : connectTls(
          {
            ...target,
            // RFC 9103 §7.1, §7.3.
            minVersion: "TLSv1.3",
            ALPNProtocols: ["dot"],
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined || ownKey === undefined ? {} : { cert, key: ownKey }),
            ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
          },
          resolve,
        );
  socket.once("error", reject);
  // The signal outlives many connections.
  const stop = (): void => void socket.destroy();
  signal.addEventListener("abort", stop);
  socket.once("close", () => signal.removeEventListener("abort", stop));
  if (signal.aborted) stop();
  const timer = setTimeout(
    () => socket.destroy(new TransferFailure(`no connection within ${CONNECT_MS / 1000} s`)),
    CONNECT_MS,
  );
  socket.once("close", () => reject(new TransferFailure("it closed the connection")));
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.removeListener("error", reject);
    // What comes later reaches who reads.
    socket.on("error", () => undefined);
  }
}
