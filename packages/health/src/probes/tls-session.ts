// SPDX-License-Identifier: Apache-2.0

// TLS for the probes that need it. Node is told not to reject by itself, and nothing is sent before `inspect` has looked at the
// result: only so can the reason name the date on which a certificate expired, which is what an operator wants to read.

import { isIP } from "node:net";
import {
  connect,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import type { ProbeTarget, TlsFields } from "../check.ts";
import { socketReason } from "./socket-reason.ts";

const dayMs = 86_400_000;

/** Starts TLS connections to one target. */
export class TlsDialer {
  readonly #target: ProbeTarget;
  readonly #name: string;
  readonly #alpn: string[];
  readonly #context: SecureContext;

  constructor(target: ProbeTarget, fields: TlsFields, alpn: readonly string[]) {
    this.#target = target;
    this.#name = fields.serverName ?? target.hostName ?? target.address;
    this.#alpn = [...alpn];
    // Made once: node would make one for each connection, at 180 µs of CPU time.
    this.#context = createSecureContext(fields.caPem === undefined ? {} : { ca: fields.caPem });
  }

  /** `secured` is called when the handshake is done, whatever the certificate. */
  open(secured: () => void): TLSSocket {
    const socket = connect({
      host: this.#target.address,
      port: this.#target.port,
      rejectUnauthorized: false,
      ALPNProtocols: this.#alpn,
      secureContext: this.#context,
      // SNI carries names only (RFC 6066 section 3); the identity is checked against the address then.
      ...(isIP(this.#name) === 0 ? { servername: this.#name } : {}),
    });
    socket.setNoDelay(true);
    socket.on("secureConnect", secured);
    return socket;
  }
}

/** Why the certificate of a finished handshake is not acceptable, or undefined where it is. */
export function certificateProblem(socket: TLSSocket, fields: TlsFields): string | undefined {
  if (fields.insecureSkipVerify || socket.authorized) return undefined;
  const problem: unknown = socket.authorizationError;
  const code = errorCode(problem);
  const certificate = socket.getPeerCertificate();
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return `certificate expired on ${dateText(certificate.valid_to)}`;
    case "CERT_NOT_YET_VALID":
      return `certificate is valid from ${dateText(certificate.valid_from)} only`;
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `certificate is for ${namesOf(certificate)}`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return "certificate is self-signed";
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return "certificate issuer is not trusted";
    default:
      return `certificate is not valid: ${code}`;
  }
}

/** Whole days until the certificate of `socket` expires, negative when it has; undefined where it has none. */
export function daysToExpiry(socket: TLSSocket, nowMs: number): number | undefined {
  const expiresMs = Date.parse(socket.getPeerCertificate().valid_to);
  return Number.isNaN(expiresMs) ? undefined : Math.floor((expiresMs - nowMs) / dayMs);
}

/** Short text for an error before the handshake was done. */
export function tlsReason(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (code === "ECONNRESET" && error.message.includes("TLS")) {
    return "connection closed during the TLS handshake";
  }
  return socketReason(error);
}

/** Date of a certificate's time, or the text as it is. */
export function dateText(certificateTime: string): string {
  const ms = Date.parse(certificateTime);
  return Number.isNaN(ms) ? certificateTime : new Date(ms).toISOString().slice(0, 10);
}

function namesOf(certificate: PeerCertificate): string {
  const names = certificate.subjectaltname ?? "";
  const text = names.replaceAll("DNS:", "").replaceAll("IP Address:", "");
  return text === "" ? "another name" : text.slice(0, 200);
}

function errorCode(problem: unknown): string {
  if (typeof problem === "string") return problem;
  if (problem instanceof Error) {
    return "code" in problem && typeof problem.code === "string" ? problem.code : problem.message;
  }
  return "unknown";
}
