// SPDX-License-Identifier: Apache-2.0

/** What the C files export, with the units that their types cannot say. Every function throws an Error with `code`. */

/** Send, then wait for packets: at most the receive time-out that the socket was opened with. */
export const TURN_WAIT = 0;
/** Send, then take what is there. */
export const TURN_POLL = 1;
/** Send only. */
export const TURN_SEND = 2;
export type TurnMode = typeof TURN_WAIT | typeof TURN_POLL | typeof TURN_SEND;

/**
 * Packets of one turn in memory shared with the add-on for life; see the picture in batch.c. With `size` slots:
 * `input` and `output` hold a packet every stride bytes; `meta` is an Int32Array of four runs of `size` numbers: input
 * length (0 where the packet did not fit), output length (the caller writes it, 0 is silence), where the client's
 * address begins in `sources`, and its family (4 or 6).
 */
export interface NativeBatch {
  readonly input: ArrayBuffer;
  readonly output: ArrayBuffer;
  readonly sources: ArrayBuffer;
  readonly meta: ArrayBuffer;
  /** Three float64 counters: answers that could not be sent, queries that did not fit, failed receives. */
  readonly stats: ArrayBuffer;
  /** Sends the answers of slots 0 to sendCount − 1; returns how many packets are in the batch now (0 ≤ n ≤ size). */
  readonly turn: (sendCount: number, mode: TurnMode) => number;
  /** What `reply` needs to answer the packet of a slot of this turn after it. */
  readonly hold: (slot: number) => ArrayBuffer;
  /** Sends one answer at once; where that fails it counts as one that could not be sent. */
  readonly reply: (held: ArrayBuffer, bytes: Uint8Array) => void;
  /** Thousandths of the fullest receive buffer; −1 less those where the kernel lost packets since it was asked last. */
  readonly pressure: () => number;
  /**
   * Has the kernel drop packets for which a classic BPF program of at most 4,096 instructions says 0, instead of queueing them; they count
   * as lost. It sees the UDP header and the packet. An empty one ends that, as a new batch does. Returns 1, or 0 where the kernel refuses: then
   * none is left, not even one from before.
   */
  readonly filter: (program: Uint8Array) => number;
}

/** Who goes before whom on a core: see `setUrgency`. A verdict is short work that answers wait for. */
export const PRIORITY_FAIR = 0;
export const PRIORITY_ANSWERS = 1;
export const PRIORITY_VERDICTS = 2;

/** An open ICMP socket; `raw` sockets deliver IPv4 headers and every process's replies. */
export interface NativeIcmp {
  readonly fd: number;
  readonly raw: boolean;
}

/** What happened to a connection, as bits. */
export const DIAL_WRITABLE = 1;
export const DIAL_BYTES = 2;
export const DIAL_ENDED = 4;
export const DIAL_FAILED = 8;
/** Numbers of an event: slot, what happened, where its bytes begin, how many there are, errno. */
export const DIAL_EVENT_FIELDS = 5;

/** TCP connections of one thread; see the picture in dial.c. Both buffers hold a batch of events, valid while it is told. */
export interface NativeDialer {
  readonly events: ArrayBuffer;
  readonly bytes: ArrayBuffer;
  /** Begins to connect; returns the descriptor, or −errno. Events name `slot`. The first of them is writable, or failed. */
  readonly connect: (slot: number, address: string, port: number) => number;
  /** Returns how many bytes were taken, or −errno. A writable event follows where not all were. */
  readonly send: (fd: number, bytes: Uint8Array) => number;
  /** Closes; `reset` 1 leaves nothing of the connection at either end. */
  readonly hangUp: (fd: number, reset: number) => void;
  /** Ends the events. Descriptors are the caller's to close. */
  readonly stop: () => void;
}

/** The functions of the add-on. Descriptors belong to the process: whoever opened one closes it, in any thread. */
export interface Native {
  /** Opens and binds a UDP socket; `reusePort` is 0 or 1. Wildcard sockets learn the address that was asked. */
  readonly openUdp: (
    address: string,
    port: number,
    reusePort: number,
    receiveBufferBytes: number,
    receiveTimeoutMs: number,
  ) => number;
  /** Opens a listening TCP socket, non-blocking. */
  readonly openTcp: (address: string, port: number, reusePort: number, backlog: number) => number;
  readonly duplicate: (fd: number) => number;
  readonly closeSocket: (fd: number) => void;
  readonly socketPort: (fd: number) => number;
  /** What a socket from elsewhere is: 0 for UDP, 1 for TCP, −1 for neither, with its address and port. */
  readonly describeSocket: (fd: number) => [protocol: number, address: string, port: number];
  /** Gives a bound UDP socket from elsewhere the options that openUdp gives its own. */
  readonly adoptUdp: (fd: number, receiveBufferBytes: number, receiveTimeoutMs: number) => void;
  /** Packets dropped by the kernel because the receive queue was full. */
  readonly socketDrops: (fd: number) => number;
  /** Binds a batch to 1 to 1,024 sockets; size ≤ 1,024, strides ≤ 65,536. */
  readonly createBatch: (
    fds: readonly number[],
    size: number,
    inputStride: number,
    outputStride: number,
  ) => NativeBatch;
  /** A receiver of descriptors at a Unix socket path (≤ 107 bytes) that only this user may send to. */
  readonly openHandover: (path: string) => number;
  /** Sends 1 to 250 descriptors to the receiver at `path`. */
  readonly sendSockets: (path: string, fds: readonly number[]) => void;
  /** Takes the descriptors of one datagram; [] where none waits. */
  readonly receiveSockets: (receiver: number) => number[];
  readonly openIcmp: (family: 4 | 6) => NativeIcmp;
  readonly sendIcmp: (fd: number, address: string, message: ArrayBuffer) => void;
  /** The messages that arrive within the time-out, as soon as there is one; [] after it. Uses a pool thread. */
  readonly receiveIcmp: (fd: number, timeoutMs: number) => Promise<ArrayBuffer[]>;
  /**
   * TCP connections of this thread, read in batches on its event loop, which they do not keep running. `onEvents` is called with the
   * number of events that are in `events`.
   */
  readonly openDialer: (onEvents: (count: number) => void) => NativeDialer;
  /** Asks the kernel to back memory that was not touched yet with huge pages; it may decline. */
  readonly adviseHugePages: (bytes: Uint8Array) => void;
  /** The calling thread's slice, 100,000 to 100,000,000 ns: with a short one it is let in soon after it wakes. Older kernels ignore it. */
  readonly setSlice: (ns: number) => void;
  /** Whether the calling thread lets the one that runs end its slice before it goes on; 0 or 1. */
  readonly setPatience: (isPatient: number) => void;
  /** One datagram of at most 1,023 bytes to a Unix socket (≤ 107 bytes; `@NAME` is an abstract one). Waits for nobody. */
  readonly notifyManager: (path: string, message: string) => void;
  /**
   * With a priority above `PRIORITY_FAIR` a thread (0: the calling one) goes before all that share its core fairly or have a lower one. Needs
   * CAP_SYS_NICE or as high an RLIMIT_RTPRIO. Who is fair again has the slice of others.
   */
  readonly setUrgency: (priority: number, thread: number) => void;
}

const FUNCTIONS = [
  "openUdp",
  "openTcp",
  "duplicate",
  "closeSocket",
  "socketPort",
  "describeSocket",
  "adoptUdp",
  "socketDrops",
  "createBatch",
  "openHandover",
  "sendSockets",
  "receiveSockets",
  "openIcmp",
  "sendIcmp",
  "receiveIcmp",
  "openDialer",
  "adviseHugePages",
  "setSlice",
  "setPatience",
  "notifyManager",
  "setUrgency",
] as const satisfies readonly (keyof Native)[];

/** Whether a loaded module has all functions of this version; an add-on built from older sources has not. */
export function isNative(module: unknown): module is Native {
  if (typeof module !== "object" || module === null) return false;
  const exported: Partial<Record<string, unknown>> = { ...module };
  return FUNCTIONS.every((name) => typeof exported[name] === "function");
}
