// SPDX-License-Identifier: Apache-2.0
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { RRType, Rcode, decodeMessage, encodeMessage, formatName } from "@meridian/dns";

/** The server of a parent zone, over TCP on loopback: it knows DS records alone. */
export class ParentServer {
  /** DS rdata by child (lower case, with the last dot). */
  readonly ds: Map<string, readonly Uint8Array[]> = new Map();
  /** Where not NOERROR, what it answers. */
  rcode: number = Rcode.NOERROR;
  port = 0;
  readonly #server: Server = createServer((socket) => this.#serve(socket));

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
    return this;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => {
      const query = decodeMessage(bytes.subarray(2));
      const question = "error" in query ? undefined : query.question[0];
      if ("error" in query || question === undefined) return;
      const name = formatName(question.name).toLowerCase();
      const { edns: _, ...rest } = query;
      const answer = encodeMessage({
        ...rest,
        flags: { ...query.flags, qr: true, aa: true },
        rcode: this.rcode,
        answer: (this.ds.get(name) ?? []).map((rdata) => ({
          ...{ owner: question.name, type: RRType.DS, class: 1, ttl: 1, rdata },
        })),
      });
      socket.end(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
    });
  }
}
