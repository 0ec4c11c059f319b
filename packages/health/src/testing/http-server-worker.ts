// SPDX-License-Identifier: Apache-2.0

// A server in a process of its own, for tests that stop or kill it: answers 200 and tells its port to its parent.

import { createServer } from "node:http";
import { portOf } from "./probe-run.ts";

const server = createServer((_request, response) => response.end("ok"));
server.listen(0, "127.0.0.1", () => process.send?.(portOf(server.address())));
process.on("disconnect", () => process.exit());
