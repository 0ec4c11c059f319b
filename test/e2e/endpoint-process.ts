// SPDX-License-Identifier: Apache-2.0

// An endpoint for the end-to-end tests: node endpoint-process.ts ADDRESS PORT. Its parent may send `{status}`.

import { createServer } from "node:http";
import { once } from "node:events";

const [address, port] = process.argv.slice(2);
let status = 200;
process.on("message", (message: unknown) => {
  if (typeof message === "object" && message !== null && "status" in message)
    status = Number(message.status);
  process.send?.("set");
});
process.on("disconnect", () => process.exit(0));
const server = createServer((request, response) => {
  request.resume();
  response.statusCode = status;
  response.end();
});
server.listen(Number(port), address);
await once(server, "listening");
process.send?.("listening");
