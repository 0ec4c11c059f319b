// SPDX-License-Identifier: Apache-2.0

/**
 * Counters of one worker's sockets, in memory that outlives the worker: an array of float64, written by that worker
 * only and read by the main thread. A 64-bit store is never torn on the platforms that Node runs on, and a count of
 * packets stays exact up to 2^53.
 */

export const TRANSPORT_COUNTERS = [
  "packetsReceived",
  "turns",
  "answersDropped",
  "packetsTooLong",
  "receiveErrors",
  "connectionsAccepted",
  "connectionsRefused",
  "connectionsEvicted",
  "connectionsOpen",
  "framesInvalid",
  "handshakes",
  "handshakesFailed",
  "dohQueries",
  "dohRefused",
] as const;

export type TransportCounter = (typeof TRANSPORT_COUNTERS)[number];
export type TransportCounts = Readonly<Record<TransportCounter, number>>;

/** Writes for one worker. */
export class TransportCounters {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(TRANSPORT_COUNTERS.length * 8)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
  }

  add(counter: TransportCounter, by: number): void {
    const index = TRANSPORT_COUNTERS.indexOf(counter);
    this.#values[index] = (this.#values[index] ?? 0) + by;
  }

  /** The array and the index of one counter, for a loop that cannot afford to look the name up. */
  slot(counter: TransportCounter): readonly [values: Float64Array, index: number] {
    return [this.#values, TRANSPORT_COUNTERS.indexOf(counter)];
  }

  set(counter: TransportCounter, value: number): void {
    this.#values[TRANSPORT_COUNTERS.indexOf(counter)] = value;
  }

  get(counter: TransportCounter): number {
    return this.#values[TRANSPORT_COUNTERS.indexOf(counter)] ?? 0;
  }
}

/** The sums over all workers. */
export function sumCounters(all: readonly TransportCounters[]): TransportCounts {
  const sum = (counter: TransportCounter): number =>
    all.reduce((total, counters) => total + counters.get(counter), 0);
  return {
    packetsReceived: sum("packetsReceived"),
    turns: sum("turns"),
    answersDropped: sum("answersDropped"),
    packetsTooLong: sum("packetsTooLong"),
    receiveErrors: sum("receiveErrors"),
    connectionsAccepted: sum("connectionsAccepted"),
    connectionsRefused: sum("connectionsRefused"),
    connectionsEvicted: sum("connectionsEvicted"),
    connectionsOpen: sum("connectionsOpen"),
    framesInvalid: sum("framesInvalid"),
    handshakes: sum("handshakes"),
    handshakesFailed: sum("handshakesFailed"),
    dohQueries: sum("dohQueries"),
    dohRefused: sum("dohRefused"),
  };
}
