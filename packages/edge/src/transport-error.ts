// SPDX-License-Identifier: Apache-2.0

import { MeridianError } from "@meridian/core";

/** "udp" or "tcp": what a listening socket speaks. */
export type Protocol = "udp" | "tcp";

const REASONS: Readonly<Record<string, readonly [code: string, reason: string]>> = {
  EADDRINUSE: ["EDGE_LISTEN_IN_USE", "the address is in use"],
  EACCES: [
    "EDGE_LISTEN_FORBIDDEN",
    "permission denied, a port below 1024 needs CAP_NET_BIND_SERVICE",
  ],
  EPERM: [
    "EDGE_LISTEN_FORBIDDEN",
    "permission denied, a port below 1024 needs CAP_NET_BIND_SERVICE",
  ],
  EADDRNOTAVAIL: ["EDGE_LISTEN_UNAVAILABLE", "this host does not have the address"],
  EAFNOSUPPORT: ["EDGE_LISTEN_UNAVAILABLE", "this host does not support the address family"],
  EMFILE: ["EDGE_LISTEN_FAILED", "the process has too many open files"],
};

/** The address was not an address. */
export function invalidListenError(text: string): MeridianError {
  return new MeridianError(
    "EDGE_LISTEN_INVALID",
    "user",
    `Cannot listen on "${text}": expected an address and a port, such as "127.0.0.1:5300" or "[::1]:5300"`,
  );
}

/** One sentence for whatever bind or listen failed with. `where` is an address and port as the user writes it. */
export function listenError(where: string, protocol: Protocol, cause: unknown): MeridianError {
  const [code, reason] = REASONS[errorCode(cause)] ?? ["EDGE_LISTEN_FAILED", errorMessage(cause)];
  const message = `Cannot listen on ${where} (${protocol.toUpperCase()}): ${reason}`;
  return new MeridianError(code, "user", message, { cause });
}

/** The `code` of a system error, "" where there is none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}

export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The add-on was asked for by name and is not there. */
export function nativeMissingError(reason: string): MeridianError {
  return new MeridianError(
    "EDGE_ADDON_MISSING",
    "system",
    `Cannot use the UDP add-on: ${reason}; build it with "node native/build.mjs"`,
  );
}
