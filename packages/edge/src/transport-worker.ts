// SPDX-License-Identifier: Apache-2.0

import type { Certificate } from "./tcp-encryption.ts";
import type { TcpLimits, TcpListen } from "./tcp-server.ts";
import type { ListenAddress } from "./transport-address.ts";

/** What a worker is given to start with. */
export interface WorkerStart {
  readonly kind: "meridian-edge-worker";
  readonly index: number;
  readonly sockets: WorkerSockets;
  /** See `EdgeOptions.standby`; undefined for a worker that is to answer at once. */
  readonly standby: { readonly nice: number } | undefined;
  /** The handler module's URL. */
  readonly handlerModule: string;
  readonly handlerData: unknown;
  /** See `EdgeOptions.proxies`. */
  readonly proxies: readonly string[];
  /** See WorkerControl. */
  readonly controlWord: SharedArrayBuffer;
  /** See TransportCounters. */
  readonly counters: SharedArrayBuffer;
}

/** What a worker serves. */
export type WorkerSockets =
  | {
      readonly kind: "native";
      readonly fds: readonly number[];
      readonly addonPath: string | undefined;
    }
  | { readonly kind: "dgram"; readonly addresses: readonly ListenAddress[] }
  | {
      readonly kind: "tcp";
      readonly listens: readonly TcpListen[];
      readonly limits: TcpLimits;
      /** For the encrypted services among `listens`. */
      readonly certificate: Certificate | undefined;
      readonly addonPath: string | undefined;
    };

/** Recognises what the main thread sent; a worker started by anything else refuses. */
export function isWorkerStart(value: unknown): value is WorkerStart {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    value.kind === "meridian-edge-worker"
  );
}
