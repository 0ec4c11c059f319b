// SPDX-License-Identifier: Apache-2.0

// A region of the failure tests, in a process of its own so that signals stop it: an HTTP or HTTPS server that misbehaves when told.
//
//   node region.ts '{"address": "127.0.0.2", "tls": {"good": {cert, key}, "expired": {cert, key}}}'      commands come over IPC

import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer, Server as SecureServer } from "node:https";
import type { AddressInfo } from "node:net";

interface Leaf {
  readonly cert: string;
  readonly key: string;
}

/** What the parent asks for; each is acknowledged when it holds. */
export type RegionCommand = "open" | "close" | "fail" | "serve" | "expire" | "renew";

export interface RegionStart {
  readonly address: string;
  readonly tls?: { readonly good: Leaf; readonly expired: Leaf };
}

const start: RegionStart = JSON.parse(process.argv[2] ?? "{}");
let status = 200;
let port = 0;
const answer: RequestListener = (_, response) => {
  response.writeHead(status, { "content-type": "text/plain", connection: "close" });
  response.end("region\n");
};
const server =
  start.tls === undefined
    ? createServer(answer)
    : createSecureServer({ ...start.tls.good }, answer);

function listen(done: () => void): void {
  server.listen(port, start.address, () => {
    const address: string | AddressInfo | null = server.address();
    if (typeof address === "object" && address !== null) port = address.port;
    done();
  });
}

function use(leaf: Leaf | undefined): void {
  if (server instanceof SecureServer && leaf !== undefined) server.setSecureContext(leaf);
}

function obey(command: RegionCommand, done: () => void): void {
  if (command === "open") {
    listen(done);
    return;
  }
  if (command === "close") {
    server.close(() => done());
    server.closeAllConnections();
    return;
  }
  if (command === "fail") status = 500;
  else if (command === "serve") status = 200;
  else if (command === "expire") use(start.tls?.expired);
  else use(start.tls?.good);
  done();
}

process.on("message", (message: { readonly id: number; readonly command: RegionCommand }) => {
  obey(message.command, () => process.send?.({ id: message.id }));
});
process.on("disconnect", () => process.exit());
listen(() => process.send?.({ id: 0, port }));
