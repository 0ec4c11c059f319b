// SPDX-License-Identifier: Apache-2.0

/** A process that holds a state folder: `folder-holder.ts FOLDER HANDOVER_PATH`. Told so by a message, it offers its sockets, and exits when they were taken. */

import { StateDir } from "@meridian/snapshot/disk";

import { Edge } from "../edge.ts";
import { SILENT_LOGGER } from "../edge-logger.ts";
import { HandoverServer } from "../handover.ts";

const [folder = "", path = ""] = process.argv.slice(2);
new StateDir(folder).lock();
process.once("message", () => void offer());
process.send?.("holding");

async function offer(): Promise<void> {
  const edge = new Edge({
    listen: ["127.0.0.1:0"],
    workers: 1,
    transport: "auto",
    handlerModule: new URL("echo-handler.ts", import.meta.url),
    logger: SILENT_LOGGER,
  });
  await edge.start();
  const onReplaced = (): void => process.exit(0);
  await HandoverServer.start({ path, edge, logger: SILENT_LOGGER, onReplaced });
}
