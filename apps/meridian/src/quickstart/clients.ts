// SPDX-License-Identifier: Apache-2.0

import { createSocket, type Socket } from "node:dgram";
import { RRType } from "@meridian/dns";
import { packetOf } from "../dns-question.ts";
import { clientSubnets } from "./places.ts";

const TICK_MS = 50;

/** Simulated clients from all over the world, who ask for the names in turn at a steady rate. Answers are not looked at. */
export class Clients {
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #due = 0;
  #sent = 0;

  constructor(server: { host: string; port: number }, names: readonly string[], qps: number) {
    this.#socket = createSocket(server.host.includes(":") ? "udp6" : "udp4");
    this.#socket.on("error", () => undefined);
    this.#socket.unref();
    this.#timer = setInterval(() => {
      this.#due += (qps * TICK_MS) / 1000;
      while (this.#sent < this.#due) {
        const name = names[this.#sent % names.length] ?? "";
        this.#send(server, name);
        this.#sent += 1;
      }
    }, TICK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #send(server: { host: string; port: number }, name: string): void {
    const known = clientSubnets[Math.floor(Math.random() * clientSubnets.length)] ?? "";
    // Another /24 of the same neighbourhood each time: one prefix is answered alike for a while.
    const [first, second] = known.split(".");
    const subnet = `${first}.${second}.${Math.floor(Math.random() * 256)}.0/24`;
    const packet = packetOf({ server: "", name, type: RRType.A, subnet }, this.#sent & 0xffff);
    this.#socket.send(packet, server.port, server.host);
  }
}
