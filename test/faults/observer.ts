// SPDX-License-Identifier: Apache-2.0

// Clients of the edges while faults happen: one that asks each edge on its own, and one that asks like a resolver, an edge after the other.

import { setTimeout as sleep } from "node:timers/promises";
import { addressesIn, queryFor } from "../e2e/ask.ts";
import { udpClient, type DnsClient } from "../conformance/dns-client.ts";
import type { Answer, Resolution, Sending, Sighting } from "./judgement.ts";
import { hashOf, idOf } from "./replays.ts";

const PERIOD_MS = 50;
/** As Unbound: the next server is asked after that much silence. */
const NEXT_MS = 400;
const GIVEN_UP_MS = 6000;

export interface ObservedEdge {
  readonly name: string;
  readonly address: string;
}

/** What is asked, and what answers mean. */
export interface Meaning {
  readonly counterName: string;
  /** The counter's value; less than 0 where there is none. */
  readonly valueOf: (addresses: readonly string[]) => number;
  readonly serviceName: string;
  readonly placeOf: (addresses: readonly string[]) => string;
}

interface EdgeClient {
  readonly edge: string;
  readonly client: DnsClient;
}

export class Observer {
  readonly sightings: Sighting[] = [];
  readonly resolutions: Resolution[] = [];
  readonly sendings: Sending[] = [];
  readonly #clients: readonly EdgeClient[];
  readonly #counter: Uint8Array;
  readonly #service: Uint8Array;
  readonly #meaning: Meaning;
  readonly #stop = new AbortController();
  readonly #open = new Set<Promise<void>>();
  #loop: Promise<void> | undefined;

  private constructor(clients: readonly EdgeClient[], meaning: Meaning) {
    this.#clients = clients;
    this.#meaning = meaning;
    this.#counter = queryFor(meaning.counterName, "A");
    this.#service = queryFor(meaning.serviceName, "A");
  }

  static async start(edges: readonly ObservedEdge[], meaning: Meaning): Promise<Observer> {
    const clients = await Promise.all(
      edges.map(async ({ name: edge, address }) => ({
        edge,
        client: await udpClient(address, 53),
      })),
    );
    const observer = new Observer(clients, meaning);
    observer.#loop = observer.#run();
    return observer;
  }

  /** Ends when all that was asked is answered or given up. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await Promise.all(this.#open);
    for (const { client } of this.#clients) client.close();
  }

  async #run(): Promise<void> {
    for (let round = 0; !this.#stop.signal.aborted; round++) {
      for (const { edge, client } of this.#clients) {
        this.#keep(this.#sight(edge, client));
        this.#keep(this.#follow(edge, client));
      }
      this.#keep(this.#resolve(round));
      await sleep(PERIOD_MS);
    }
  }

  #keep(asked: Promise<void>): void {
    const whole = asked.finally(() => this.#open.delete(whole));
    this.#open.add(whole);
  }

  async #sight(edge: string, client: DnsClient): Promise<void> {
    const askedMs = performance.now();
    // Silence is for the resolver to judge: an edge that is dead says nothing.
    const bytes = await client.ask(this.#counter).catch(() => undefined);
    if (bytes === undefined) return;
    const value = this.#meaning.valueOf(addressesIn(bytes));
    const answeredMs = performance.now();
    this.sightings.push({ ...answerOf(edge, askedMs, bytes), answeredMs, value });
  }

  async #follow(edge: string, client: DnsClient): Promise<void> {
    const askedMs = performance.now();
    const bytes = await client.ask(this.#service).catch(() => undefined);
    if (bytes === undefined) return;
    const place = this.#meaning.placeOf(addressesIn(bytes));
    this.sendings.push({ ...answerOf(edge, askedMs, bytes), place });
  }

  /** Around and around, until somebody answers. */
  async #resolve(first: number): Promise<void> {
    const askedMs = performance.now();
    const answered = Promise.withResolvers<true>();
    let isAnswered = false;
    for (let turn = first; !isAnswered && performance.now() - askedMs < GIVEN_UP_MS; turn++) {
      const { client } = this.#clients[turn % this.#clients.length] ?? {};
      client?.ask(this.#counter).then(
        (bytes) => {
          if (this.#meaning.valueOf(addressesIn(bytes)) >= 0) answered.resolve(true);
        },
        () => undefined,
      );
      isAnswered = await Promise.race([answered.promise, sleep(NEXT_MS, false)]);
    }
    this.resolutions.push({ askedMs, answeredMs: performance.now(), isAnswered });
  }
}

function answerOf(edge: string, askedMs: number, bytes: Uint8Array): Answer {
  return { edge, askedMs, id: idOf(bytes), hash: hashOf(bytes) };
}
