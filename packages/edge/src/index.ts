// SPDX-License-Identifier: Apache-2.0

export { Edge, formatEdgeAddress } from "./edge.ts";
export type {
  EdgeAddress,
  EdgeMessage,
  EdgeOptions,
  EdgeStatus,
  EdgeWorkerStatus,
} from "./edge.ts";
export { SILENT_LOGGER } from "./edge-logger.ts";
export type { EdgeLogger } from "./edge-logger.ts";
export { HandoverServer, takeOver } from "./handover.ts";
export type { HandoverServerOptions, Takeover } from "./handover.ts";
export type {
  HandlerBinding,
  HandlerContext,
  HandlerModule,
  PacketHandler,
} from "./packet-handler.ts";
export { TCP_LIMITS } from "./tcp-server.ts";
export type { TcpLimits } from "./tcp-server.ts";
export { formatListenAddress, parseListenAddress } from "./transport-address.ts";
export type { ListenAddress } from "./transport-address.ts";
export type { TransportCounter, TransportCounts } from "./transport-counters.ts";
export type { OpenSocket } from "./transport-sockets.ts";
