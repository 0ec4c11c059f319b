// SPDX-License-Identifier: Apache-2.0

// The gRPC health protocol (grpc/doc/health-checking.md) over node:http2: one session, one Check call, one probe.

import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import type { GrpcCheck, ProbeTarget } from "../../check.ts";
import { GRPC_MESSAGE_BYTES_MAX, HTTP_HEAD_BYTES_MAX } from "../../limits.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import { socketReason } from "../socket-reason.ts";
import { certificateProblem, TlsDialer, tlsReason } from "../tls-session.ts";
import { decodeHealthStatus, encodeHealthRequest, servingStatusNames } from "./health-message.ts";

const servingStatus = 1;

/** Asks grpc.health.v1.Health/Check; only SERVING passes. */
export class GrpcProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #check: GrpcCheck;
  readonly #dialer: TlsDialer | undefined;
  readonly #request: Buffer;
  readonly #authority: string;
  #socket: Duplex | undefined;
  #session: ClientHttp2Session | undefined;
  #done: ((result: ProbeResult) => void) | undefined;

  constructor(target: ProbeTarget, check: GrpcCheck) {
    this.#target = target;
    this.#check = check;
    this.#dialer = check.tls ? new TlsDialer(target, check, ["h2"]) : undefined;
    this.#request = encodeHealthRequest(check.service);
    const name = target.hostName ?? target.address;
    this.#authority = `${name.includes(":") ? `[${name}]` : name}:${target.port}`;
  }

  run(done: (result: ProbeResult) => void): void {
    this.#done = done;
    if (this.#dialer === undefined) this.#openPlain();
    else this.#openTls(this.#dialer);
  }

  cancel(): void {
    this.#done = undefined;
    this.#drop();
  }

  close(): void {
    this.cancel();
  }

  #openPlain(): void {
    const { address, port } = this.#target;
    const socket = connectTcp({ host: address, port, noDelay: true });
    this.#socket = socket;
    socket.on("error", (error) => {
      if (this.#socket === socket) this.#fail(socketReason(error));
    });
    socket.on("connect", () => {
      if (this.#socket === socket) this.#call(socket, "http");
    });
  }

  #openTls(dialer: TlsDialer): void {
    const socket = dialer.open(() => {
      if (this.#socket !== socket) return;
      const problem = certificateProblem(socket, this.#check);
      if (problem !== undefined) this.#fail(problem);
      else if (socket.alpnProtocol !== "h2") this.#fail("server does not offer HTTP/2");
      else this.#call(socket, "https");
    });
    this.#socket = socket;
    socket.on("error", (error) => {
      if (this.#socket === socket) this.#fail(tlsReason(error));
    });
  }

  #call(socket: Duplex, scheme: "http" | "https"): void {
    const session = connectHttp2(`${scheme}://${this.#authority}`, {
      createConnection: () => socket,
      settings: { enablePush: false, maxHeaderListSize: HTTP_HEAD_BYTES_MAX },
    });
    this.#session = session;
    session.on("error", (error) => {
      if (this.#session === session) this.#fail(http2Reason(error));
    });
    session.on("close", () => {
      if (this.#session === session) this.#fail("closed without an answer");
    });
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      ":authority": this.#authority,
      ":scheme": scheme,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "meridian-health",
    });
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const pieces: Buffer[] = [];
    let size = 0;
    stream.on("response", (received) => {
      headers = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("data", (bytes: Buffer) => {
      size += bytes.length;
      if (size > GRPC_MESSAGE_BYTES_MAX) this.#fail("answer is too long");
      else pieces.push(bytes);
    });
    stream.on("end", () => {
      if (this.#session === session) {
        this.#finish(judgeCall(headers, trailers, Buffer.concat(pieces)));
      }
    });
    stream.on("error", (error) => {
      if (this.#session === session) this.#fail(http2Reason(error));
    });
    stream.end(this.#request);
  }

  #fail(reason: string): void {
    this.#finish({ outcome: "fail", reason });
  }

  #finish(result: ProbeResult): void {
    this.#drop();
    const done = this.#done;
    this.#done = undefined;
    done?.(result);
  }

  #drop(): void {
    const { socket, session } = { socket: this.#socket, session: this.#session };
    this.#socket = undefined;
    this.#session = undefined;
    session?.destroy();
    socket?.destroy();
  }
}

function judgeCall(
  headers: IncomingHttpHeaders,
  trailers: IncomingHttpHeaders,
  message: Uint8Array,
): ProbeResult {
  const httpStatus: unknown = headers[":status"];
  if (httpStatus !== 200) {
    return { outcome: "fail", reason: `HTTP status ${String(httpStatus)}, wanted 200` };
  }
  // A call that fails at once carries its status in the headers (trailers-only).
  const grpcStatus = trailers["grpc-status"] ?? headers["grpc-status"];
  if (grpcStatus !== "0") {
    const found = typeof grpcStatus === "string" ? grpcStatus.slice(0, 8) : "missing";
    return { outcome: "fail", reason: `gRPC status ${found}, wanted 0` };
  }
  const status = decodeHealthStatus(message);
  if (status === undefined) return { outcome: "fail", reason: "answer is no health message" };
  if (status === servingStatus) return { outcome: "pass", reason: "health SERVING" };
  const name = servingStatusNames[status] ?? String(status);
  return { outcome: "fail", reason: `health ${name}, wanted SERVING` };
}

function http2Reason(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return code.startsWith("ERR_HTTP2_") ? "answer is not HTTP/2" : socketReason(error);
}
