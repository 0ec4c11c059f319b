// SPDX-License-Identifier: Apache-2.0

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "connection timed out",
  EADDRNOTAVAIL: "no local port free",
  EMFILE: "no file descriptor free",
  ENFILE: "no file descriptor free",
  EACCES: "connection forbidden by this machine",
  EPERM: "connection forbidden by this machine",
};

/** Short stable text for a socket error. */
export function socketReason(error: Error): string {
  return socketReasonOfCode("code" in error && typeof error.code === "string" ? error.code : "");
}

/** As `socketReason`, by the error's code; "" for none. */
export function socketReasonOfCode(code: string): string {
  const known = reasons[code];
  if (known !== undefined) return known;
  if (code.startsWith("ERR_SSL_") || code === "EPROTO") return "TLS handshake failed";
  return code === "" ? "connection failed" : `connection failed: ${code}`;
}
