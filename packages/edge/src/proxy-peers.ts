// SPDX-License-Identifier: Apache-2.0

// Proxies that are listed: what comes from them states its client (proxy-header.ts), who then is the client for everything: location,
// limits, cookies, the log. What comes from them without a header is not answered, as they would not send it. Loaded only where some
// are listed, so that nothing is looked at elsewhere.

import { PrefixList } from "@meridian/snapshot";
import type { Socket } from "node:net";
import type { LaterAnswer, PacketHandler } from "./packet-handler.ts";
import { NOT_PROXIED, PROXY_BYTES_MAX, PROXY_INCOMPLETE, ProxyHeader } from "./proxy-header.ts";
import { peerOf, type ClientAddress } from "./tcp-connection.ts";

/** First byte of a connection that begins with TLS (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 22;

/** Over UDP: takes the header off and hands the rest on, without looking ahead in batches. */
export class ProxiedHandler implements PacketHandler {
  readonly #handler: PacketHandler;
  readonly #proxies: PrefixList;
  readonly #header = new ProxyHeader();

  constructor(handler: PacketHandler, proxies: readonly string[]) {
    this.#handler = handler;
    this.#proxies = new PrefixList(proxies);
  }

  beginBatch(): void {
    this.#handler.beginBatch();
  }

  endBatch(): void {
    this.#handler.endBatch();
  }

  takeLater(): LaterAnswer | undefined {
    return this.#handler.takeLater?.();
  }

  handle(
    input: Uint8Array,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    outputMax: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
    isTcp: boolean,
  ): number {
    let [from, client, clientStart, clientFamily] = [start, source, sourceStart, family];
    if (this.#proxies.contains(source, sourceStart, family)) {
      const header = this.#header;
      const bytes = header.read(input, start, start + length);
      if (bytes < 0) return 0;
      from += bytes;
      if (header.family !== 0)
        [client, clientStart, clientFamily] = [input, header.sourceStart, header.family];
    }
    return this.#handler.handle(
      input,
      from,
      start + length - from,
      output,
      outputStart,
      outputMax,
      client,
      clientStart,
      clientFamily,
      isTcp,
    );
  }
}

/** Over TCP: reads the header before anything else of the connection. */
export class ProxyPeers {
  readonly #proxies: PrefixList;

  constructor(proxies: readonly string[]) {
    this.#proxies = new PrefixList(proxies);
  }

  isListed({ source, family }: ClientAddress): boolean {
    return this.#proxies.contains(source, 0, family);
  }

  /**
   * Calls `onClient` with whom the header names, the rest of what came being the socket's again; with nobody where `mayBeInside` and a
   * TLS handshake begins, as the header then is in what it protects (dnsdist writes it there, HAProxy before). Without a whole header
   * within `waitMs` the socket is closed; `onInvalid` is told where it is none.
   */
  read(
    socket: Socket,
    waitMs: number,
    mayBeInside: boolean,
    onClient: (client: ClientAddress | undefined) => void,
    onInvalid: () => void,
  ): void {
    let bytes: Uint8Array = new Uint8Array(0);
    const late = setTimeout(() => socket.destroy(), waitMs);
    socket.once("close", () => clearTimeout(late));
    socket.on("error", () => undefined);
    socket.on("end", () => socket.destroy());
    const take = (chunk: Uint8Array): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const header = new ProxyHeader();
      const length = header.read(bytes, 0, bytes.length);
      if (length === PROXY_INCOMPLETE && bytes.length < PROXY_BYTES_MAX) return;
      clearTimeout(late);
      socket.off("data", take);
      const isInside = mayBeInside && length < 0 && bytes[0] === TLS_HANDSHAKE;
      if (length < 0 && !isInside) {
        if (length === NOT_PROXIED) onInvalid();
        socket.destroy();
        return;
      }
      socket.pause();
      socket.removeAllListeners("end");
      const rest = bytes.subarray(Math.max(length, 0));
      if (rest.length > 0) socket.unshift(Buffer.from(rest));
      if (isInside) onClient(undefined);
      else onClient(header.family === 0 ? peerOf(socket) : clientOf(header, bytes));
    };
    socket.on("data", take);
  }
}

function clientOf({ family, sourceStart }: ProxyHeader, bytes: Uint8Array): ClientAddress {
  const source = new Uint8Array(16);
  source.set(bytes.subarray(sourceStart, sourceStart + (family === 4 ? 4 : 16)));
  return { source, family };
}
