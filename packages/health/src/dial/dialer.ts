// SPDX-License-Identifier: Apache-2.0

/** What a connection tells. Nothing is told once it is closed. */
export interface ConnectionEvents {
  /** It is open: only from now on may be sent. Comes once, first, unless `onError` does. */
  onConnect(): void;
  /** Bytes have come: `bytes[start..end)`, valid only during the call. */
  onBytes(bytes: Uint8Array, start: number, end: number): void;
  /** The other side sends no more. */
  onEnd(): void;
  /** It failed, with the name of an errno such as `ECONNREFUSED`; comes last. */
  onError(code: string): void;
}

/** One TCP connection. Whoever dialled closes it. */
export interface Connection {
  send(bytes: Uint8Array): void;
  /** `reset`: leaves nothing of it at either end; for those where all that matters was received. Closing twice is closing once. */
  close(how: "reset" | "end"): void;
}

/** Opens TCP connections. */
export interface Dialer {
  /** Begins to connect to a numeric address. Events come after this has returned. */
  dial(address: string, port: number, events: ConnectionEvents): Connection;
}
