// SPDX-License-Identifier: Apache-2.0

// DNS over HTTPS (RFC 8484): one session of HTTP/2, of which each stream is a query.
//
//   GET /dns-query?dns=BASE64URL, or POST /dns-query with the message as body ──► handler ──► 200 with the message
//
// Whatever is not that gets the status that says why: 404 another path, 405 another method, 400 no message, 413 a long one, 415 another
// type of body, 406 a client that takes no message, JSON among them. What a client can make this process hold is bounded by the streams
// of its session, the longest query for each, and what nghttp2 keeps (`maxSessionMemory`).

import {
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import { leastTtl } from "./message-freshness.ts";
import type { PacketHandler } from "./packet-handler.ts";

/** Where queries are taken, as in the template `https://HOST/dns-query{?dns}`. */
const PATH = "/dns-query";
const MESSAGE = "application/dns-message";
const STREAMS_MAX = 64;
const HEADER_PAIRS_MAX = 32;
const HEADER_BYTES_MAX = 8192;
/** Megabytes that nghttp2 may hold for one session. */
const SESSION_MEMORY_MB = 1;
const QUERY_BYTES_MIN = 12;
const ANSWER_BYTES_MAX = 65_535;

export interface DohSessionOptions {
  readonly socket: TLSSocket;
  readonly handler: PacketHandler;
  /** Memory that all sessions use in turn, 65,535 bytes at least. */
  readonly scratch: Uint8Array;
  readonly queryBytesMax: number;
  readonly source: Uint8Array;
  readonly family: number;
  /** Called for each query that was answered, and for each request that was none. */
  readonly onAnswered: () => void;
  readonly onRefused: () => void;
}

export class DohSession {
  readonly #options: DohSessionOptions;
  readonly #session: ServerHttp2Session;

  constructor(options: DohSessionOptions) {
    this.#options = options;
    this.#session = performServerHandshake(options.socket, {
      maxSessionMemory: SESSION_MEMORY_MB,
      maxHeaderListPairs: HEADER_PAIRS_MAX,
      settings: {
        maxConcurrentStreams: STREAMS_MAX,
        maxHeaderListSize: HEADER_BYTES_MAX,
        enablePush: false,
      },
    });
    // What is wrong with a session closes it, and its socket tells.
    this.#session.on("error", () => undefined);
    // A session waits for this event of a socket that no tls.Server made; its handshake is over.
    options.socket.emit("secureConnect");
    this.#session.on("stream", (stream, headers) => this.#take(stream, headers));
  }

  /** Lets streams end, then closes. */
  end(): void {
    this.#session.close();
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", () => undefined);
    const { ":method": method, ":path": target = "", accept, "content-type": type } = headers;
    const question = target.indexOf("?");
    const path = question < 0 ? target : target.slice(0, question);
    if (path !== PATH) return this.#refuse(stream, 404);
    if (method !== "GET" && method !== "POST")
      return this.#refuse(stream, 405, { allow: "GET, POST" });
    if (!takesMessages(accept)) return this.#refuse(stream, 406);
    if (method === "GET") {
      const query = queryOf(question < 0 ? "" : target.slice(question + 1));
      if (query === undefined) return this.#refuse(stream, 400);
      return this.#answer(stream, query);
    }
    if (type?.split(";", 1)[0]?.trim().toLowerCase() !== MESSAGE) return this.#refuse(stream, 415);
    return this.#collect(stream, Number(headers["content-length"] ?? 0));
  }

  #collect(stream: ServerHttp2Stream, announced: number): void {
    const { queryBytesMax } = this.#options;
    if (announced > queryBytesMax) return this.#refuse(stream, 413);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    stream.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes <= queryBytesMax) chunks.push(chunk);
      else if (!stream.headersSent) this.#refuse(stream, 413);
    });
    stream.on("end", () => {
      if (!stream.headersSent) this.#answer(stream, Buffer.concat(chunks));
    });
  }

  #answer(stream: ServerHttp2Stream, query: Uint8Array): void {
    const { handler, scratch, source, family, queryBytesMax } = this.#options;
    if (query.length > queryBytesMax) return this.#refuse(stream, 413);
    if (query.length < QUERY_BYTES_MIN) return this.#refuse(stream, 400);
    handler.setChannel?.("tls");
    handler.beginBatch();
    const bytes = handler.handle(
      query,
      0,
      query.length,
      scratch,
      0,
      ANSWER_BYTES_MAX,
      source,
      0,
      family,
      true,
    );
    handler.endBatch();
    // A zone transfer is many messages, of which HTTPS has one (RFC 8484 §4.2).
    const transfer = handler.takeStream?.();
    transfer?.close();
    const later = bytes === 0 ? handler.takeLater?.() : undefined;
    if (later !== undefined) return later.whenAnswered((message) => this.#respond(stream, message));
    if (bytes <= 0 || transfer !== undefined) return this.#refuse(stream, 400);
    this.#respond(stream, scratch.subarray(0, bytes));
  }

  #respond(stream: ServerHttp2Stream, message: Uint8Array): void {
    if (stream.destroyed) return;
    this.#options.onAnswered();
    const answer = Buffer.from(message);
    stream.respond({
      ":status": 200,
      "content-type": MESSAGE,
      "content-length": answer.length,
      // For this client alone: another may be sent elsewhere (RFC 8484 §5.1).
      "cache-control": `private, max-age=${leastTtl(answer)}`,
    });
    stream.end(answer);
  }

  #refuse(
    stream: ServerHttp2Stream,
    status: number,
    more: Readonly<Record<string, string>> = {},
  ): void {
    this.#options.onRefused();
    stream.respond({ ":status": status, "content-length": 0, ...more }, { endStream: true });
    // The rest of a body goes nowhere; no query came, so a client that goes on sending is idle.
    stream.resume();
  }
}

/** False for a client that says what it takes, and takes no message: one that wants JSON is told so. */
function takesMessages(accept: string | undefined): boolean {
  if (accept === undefined) return true;
  return accept
    .toLowerCase()
    .split(",")
    .map((range) => range.split(";", 1)[0]?.trim())
    .some((range) => range === MESSAGE || range === "application/*" || range === "*/*");
}

/** The message in the `dns` parameter, base64url without padding (RFC 8484 §6). */
function queryOf(search: string): Uint8Array | undefined {
  const parameters = search.split("&").filter((part) => part.startsWith("dns="));
  const [text = ""] = parameters.map((part) => part.slice("dns=".length));
  if (parameters.length !== 1 || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  return Buffer.from(text, "base64url");
}
