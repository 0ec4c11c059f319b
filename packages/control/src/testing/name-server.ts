// SPDX-License-Identifier: Apache-2.0
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { RRType, Rcode, decodeMessage, encodeMessage, formatName } from "@meridian/dns";
import { addressBytes } from "@meridian/model";

/** What the server says of a name: addresses of either family and their TTL in seconds, or a response code. */
export type NameData =
  | { readonly addresses: readonly string[]; readonly ttl: number }
  | { readonly rcode: number };

/** A small name server on loopback: answers A and AAAA from `names` (lower case, with the last dot), NXDOMAIN elsewhere. */
export class NameServer {
  readonly names: Map<string, NameData> = new Map();
  queries = 0;
  readonly #socket: Socket = createSocket("udp4");

  /** Listens on a free port; returns `ADDRESS:PORT`. */
  async start(): Promise<string> {
    this.#socket.on("message", (bytes, { port, address }) => {
      const reply = this.#answer(bytes);
      if (reply !== undefined) this.#socket.send(reply, port, address);
    });
    this.#socket.bind(0, "127.0.0.1");
    await once(this.#socket, "listening");
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  close(): void {
    this.#socket.close();
  }

  #answer(bytes: Uint8Array): Uint8Array | undefined {
    const query = decodeMessage(bytes);
    const question = "error" in query ? undefined : query.question[0];
    if ("error" in query || question === undefined) return undefined;
    this.queries += 1;
    const data = this.names.get(formatName(question.name).toLowerCase());
    const addresses = data !== undefined && "addresses" in data ? data : { addresses: [], ttl: 0 };
    const length = question.type === RRType.A ? 4 : 16;
    const isAddress = question.type === RRType.A || question.type === RRType.AAAA;
    const { edns: _, ...rest } = query;
    return encodeMessage({
      ...rest,
      flags: { ...query.flags, qr: true, ra: true },
      rcode: data === undefined ? Rcode.NXDOMAIN : "rcode" in data ? data.rcode : Rcode.NOERROR,
      answer: addresses.addresses.flatMap((text) => {
        const rdata = addressBytes(text);
        if (!isAddress || rdata?.length !== length) return [];
        return [{ owner: question.name, type: question.type, class: 1, ttl: addresses.ttl, rdata }];
      }),
    });
  }
}
