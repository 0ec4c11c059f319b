// SPDX-License-Identifier: Apache-2.0

// Receivers of notifications, real ones on loopback: an HTTP server that keeps what is posted, and a mail server that takes what SMTP
// (RFC 5321) brings, in the smallest form that a client accepts.

import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** What came in one POST. */
export interface Posted {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

export interface HttpReceiver {
  readonly url: string;
  readonly posted: readonly Posted[];
  /** Answered to the next requests. */
  status: number;
}

export async function httpReceiver(context: TestContext): Promise<HttpReceiver> {
  const posted: Posted[] = [];
  const receiver = { url: "", posted, status: 200 };
  const server = createHttpServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      text += chunk;
    });
    request.on("end", () => {
      const { url: path = "", headers } = request;
      posted.push({ path, authorization: headers.authorization, body: JSON.parse(text) });
      response.writeHead(receiver.status).end();
    });
  });
  await listening(server);
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  receiver.url = `http://127.0.0.1:${portOf(server.address())}`;
  return receiver;
}

export interface MailReceiver {
  /** HOST:PORT. */
  readonly server: string;
  /** Envelope and text of each mail. */
  readonly mails: readonly { readonly to: readonly string[]; readonly text: string }[];
}

export async function mailReceiver(context: TestContext): Promise<MailReceiver> {
  const mails: { to: readonly string[]; text: string }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    takeMail(socket, (to, text) => mails.push({ to, text }));
  });
  await listening(server);
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server: `127.0.0.1:${portOf(server.address())}`, mails };
}

function takeMail(socket: Socket, onMail: (to: readonly string[], text: string) => void): void {
  let to: string[] = [];
  let data: string[] | undefined;
  let rest = "";
  const line = (text: string): void => {
    if (data !== undefined) {
      if (text !== ".") {
        data.push(text);
        return;
      }
      onMail(to, data.join("\n"));
      data = undefined;
      socket.write("250 taken\r\n");
      return;
    }
    const [verb = ""] = text.split(/[ :]/, 1);
    if (verb === "RCPT") to.push(/<([^>]*)>/.exec(text)?.[1] ?? "");
    if (verb === "MAIL") to = [];
    if (verb === "DATA") data = [];
    const answer = verb === "DATA" ? "354 go on" : verb === "QUIT" ? "221 bye" : "250 test";
    socket.write(`${answer}\r\n`);
  };
  socket.setEncoding("utf8");
  socket.on("error", () => {});
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\r\n");
    rest = lines.pop() ?? "";
    for (const each of lines) line(each);
  });
  socket.write("220 test ESMTP\r\n");
}

function listening(server: ReturnType<typeof createServer>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  return promise;
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}
