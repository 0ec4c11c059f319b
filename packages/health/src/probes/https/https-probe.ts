// SPDX-License-Identifier: Apache-2.0

// HTTP over TLS. The server picks the protocol (ALPN): HTTP/2 through node:http2 where it is offered and taken, otherwise the same
// HTTP/1.1 parser as plain HTTP. Each probe makes its own handshake unless the check keeps connections, which works for HTTP/1.1 and HTTP/2.

import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import type { HttpsCheck, ProbeTarget } from "../../check.ts";
import { HTTP_BODY_WINDOW_BYTES, HTTP_DRAIN_BYTES_MAX, HTTP_HEAD_BYTES_MAX } from "../../limits.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import type { HttpExchange } from "../http/http-exchange.ts";
import type { HttpAnswer, HttpExpectation } from "../http/http-expectation.ts";
import type { ResponseParser } from "../http/response-parser.ts";
import { socketReason } from "../socket-reason.ts";
import { certificateProblem, TlsDialer, tlsReason } from "../tls-session.ts";

const httpsPort = 443;

/** Probes one target over HTTPS. */
export class HttpsProbe implements Probe {
  readonly #dialer: TlsDialer;
  readonly #check: HttpsCheck;
  readonly #authority: string;
  readonly #expectation: HttpExpectation;
  readonly #request: Buffer;
  readonly #parser: ResponseParser;
  #socket: TLSSocket | undefined;
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #done: ((result: ProbeResult) => void) | undefined;
  #isReused = false;

  constructor(target: ProbeTarget, check: HttpsCheck, exchange: HttpExchange) {
    const alpn = check.http2 ? ["h2", "http/1.1"] : ["http/1.1"];
    this.#dialer = new TlsDialer(target, check, alpn);
    this.#check = check;
    this.#authority = exchange.authorityOf(target, httpsPort);
    this.#expectation = exchange.expectation;
    this.#request = exchange.requestTo(target, httpsPort);
    this.#parser = exchange.takeParser();
  }

  run(done: (result: ProbeResult) => void): void {
    this.#done = done;
    this.#parser.reset();
    this.#isReused = this.#socket !== undefined;
    if (this.#socket === undefined) this.#connect();
    else if (this.#session === undefined) this.#socket.write(this.#request);
    else this.#ask(this.#session);
  }

  cancel(): void {
    this.#done = undefined;
    this.#drop();
  }

  close(): void {
    this.cancel();
  }

  #connect(): void {
    const socket = this.#dialer.open(() => {
      if (this.#socket === socket) this.#onSecured(socket);
    });
    this.#socket = socket;
    let isSecured = false;
    socket.once("secureConnect", () => {
      isSecured = true;
    });
    socket.on("error", (error) => {
      if (this.#socket !== socket) return;
      this.#fail(isSecured ? socketReason(error) : tlsReason(error));
    });
    socket.on("close", () => {
      if (this.#socket === socket && this.#session === undefined) this.#onEnd();
    });
  }

  #onSecured(socket: TLSSocket): void {
    const problem = certificateProblem(socket, this.#check);
    if (problem !== undefined) {
      this.#fail(problem);
      return;
    }
    if (socket.alpnProtocol === "h2") {
      this.#startHttp2(socket);
      return;
    }
    socket.on("data", (bytes: Buffer) => {
      if (this.#socket === socket) this.#onBytes(bytes);
    });
    socket.on("end", () => {
      if (this.#socket === socket) this.#onEnd();
    });
    socket.write(this.#request);
  }

  #onBytes(bytes: Buffer): void {
    if (this.#done === undefined) {
      this.#drop();
      return;
    }
    const progress = this.#parser.push(bytes, 0, bytes.length);
    if (progress === "complete") this.#onAnswer(this.#answer(), this.#parser.isReusable);
    else if (progress === "broken") this.#fail(this.#parser.problem);
    else if (this.#parser.isInBody) {
      const answer = this.#answer();
      if (this.#isDecided(answer)) this.#onAnswer(answer, false);
    }
  }

  #onEnd(): void {
    if (this.#done === undefined) {
      this.#drop();
    } else if (this.#parser.end() === "complete") {
      this.#onAnswer(this.#answer(), false);
    } else {
      this.#fail(this.#parser.problem);
    }
  }

  #answer(): HttpAnswer {
    const { status, headerValue, window, windowLength } = this.#parser;
    return { status, loadHeader: headerValue, body: window.subarray(0, windowLength) };
  }

  #startHttp2(socket: TLSSocket): void {
    const session = connectHttp2(`https://${this.#authority}`, {
      createConnection: () => socket,
      maxHeaderListPairs: 256,
      settings: { enablePush: false, maxHeaderListSize: HTTP_HEAD_BYTES_MAX },
    });
    this.#session = session;
    session.on("error", (error) => {
      if (this.#session === session) this.#fail(socketReason(error));
    });
    session.on("goaway", () => {
      if (this.#session === session && this.#done === undefined) this.#drop();
    });
    session.on("close", () => {
      if (this.#session === session) this.#fail("closed without an answer");
    });
    this.#ask(session);
  }

  #ask(session: ClientHttp2Session): void {
    const stream = session.request(this.#http2Headers(), { endStream: true });
    this.#stream = stream;
    const body = Buffer.alloc(this.#expectation.wantsBody ? HTTP_BODY_WINDOW_BYTES : 0);
    let windowLength = 0;
    let bodyBytes = 0;
    let head: { status: number; loadHeader: string } | undefined;
    const answer = (): HttpAnswer => ({
      status: head?.status ?? 0,
      loadHeader: head?.loadHeader ?? "",
      body: body.subarray(0, windowLength),
    });
    stream.on("response", (headers: IncomingHttpHeaders & { ":status"?: number }) => {
      if (this.#stream !== stream) return;
      const value = headers[this.#expectation.loadHeaderName];
      head = {
        status: headers[":status"] ?? 0,
        loadHeader: typeof value === "string" ? value : "",
      };
      const wantsMore = this.#expectation.wantsBody || this.#check.keepAlive;
      if (!wantsMore || this.#isDecided(answer())) this.#onAnswer(answer(), false);
    });
    stream.on("data", (bytes: Buffer) => {
      if (this.#stream !== stream) return;
      bodyBytes += bytes.length;
      windowLength += bytes.copy(body, windowLength);
      const isFull = windowLength === body.length && bodyBytes > HTTP_DRAIN_BYTES_MAX;
      const isEnough = windowLength === body.length && !this.#check.keepAlive;
      if (isFull || isEnough || this.#isDecided(answer())) this.#onAnswer(answer(), false);
    });
    stream.on("end", () => {
      if (this.#stream === stream && head !== undefined) this.#onAnswer(answer(), true);
    });
    stream.on("error", (error) => {
      if (this.#stream === stream) this.#fail(http2Reason(stream, error));
    });
    stream.on("close", () => {
      if (this.#stream === stream) this.#fail("closed without an answer");
    });
  }

  #http2Headers(): Record<string, string> {
    const headers: Record<string, string> = {
      ":method": this.#check.method,
      ":path": this.#check.path,
      ":authority": this.#authority,
      ":scheme": "https",
      "user-agent": "meridian-health",
      accept: "*/*",
    };
    for (const [name, value] of Object.entries(this.#check.headers)) {
      const lower = name.toLowerCase();
      if (lower === "host") headers[":authority"] = value;
      else if (lower !== "connection") headers[lower] = value;
    }
    return headers;
  }

  /** See HttpProbe: a body that never ends must not hide what its start says. */
  #isDecided(answer: HttpAnswer): boolean {
    if (!this.#expectation.accepts(answer.status)) return true;
    return (
      this.#expectation.isContentWithStart && this.#expectation.judge(answer).outcome === "pass"
    );
  }

  #onAnswer(answer: HttpAnswer, isReusable: boolean): void {
    const result = this.#expectation.judge(answer);
    this.#stream = undefined;
    if (!this.#check.keepAlive || !isReusable) this.#drop();
    this.#tell(result);
  }

  #fail(reason: string): void {
    const isStale = this.#isReused && this.#parser.isUntouched && this.#done !== undefined;
    this.#drop();
    if (!isStale) {
      this.#tell({ outcome: "fail", reason });
      return;
    }
    // The server closed a kept connection meanwhile: once more, on a new one.
    this.#isReused = false;
    this.#parser.reset();
    this.#connect();
  }

  #tell(result: ProbeResult): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(result);
  }

  #drop(): void {
    const { socket, session } = { socket: this.#socket, session: this.#session };
    this.#socket = undefined;
    this.#session = undefined;
    this.#stream = undefined;
    session?.destroy();
    socket?.destroy();
  }
}

function http2Reason(stream: ClientHttp2Stream, error: Error): string {
  const { rstCode } = stream;
  if (rstCode !== undefined && rstCode !== constants.NGHTTP2_NO_ERROR) {
    return `HTTP/2 stream reset with code ${rstCode}`;
  }
  return socketReason(error);
}
