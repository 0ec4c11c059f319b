// SPDX-License-Identifier: Apache-2.0

/**
 * An edge with the echo handler as a process of its own: `echo-process.ts HANDOVER_PATH LISTEN TRANSPORT WORKERS`. Takes
 * over from a process at the path, prints its address as one line when it serves, exits when it is replaced.
 */

import { Edge, formatEdgeAddress } from "../edge.ts";
import { SILENT_LOGGER } from "../edge-logger.ts";
import { HandoverServer, takeOver } from "../handover.ts";

const [path = "", listen = "", transport = "auto", workers = "1"] = process.argv.slice(2);
const takeover = await takeOver(path);
const edge = new Edge({
  listen: [listen],
  workers: Number(workers),
  transport: transport === "dgram" ? "dgram" : "auto",
  handlerModule: new URL("echo-handler.ts", import.meta.url),
  logger: SILENT_LOGGER,
  ...(takeover && { inherited: takeover.sockets, joinExisting: takeover.joinExisting }),
});
await edge.start();
await takeover?.finish();
await HandoverServer.start({
  path,
  edge,
  logger: SILENT_LOGGER,
  onReplaced: () => process.exit(0),
});
process.stdout.write(`${edge.addresses().map(formatEdgeAddress).join(" ")}\n`);
process.on("message", () => {
  process.send?.({ cpu: process.cpuUsage(), counts: edge.status().counts });
});
