// SPDX-License-Identifier: Apache-2.0

/**
 * The edge's sockets and threads: UDP workers that each run a turn loop over their own sockets, one TCP worker, and
 * this object in the main thread, which opens and keeps the sockets, replaces workers that die, and passes messages to
 * the handler module that runs in each of them.
 *
 *   main thread ── post(message) ──► worker 0 … n − 1 (UDP) and n (TCP): handler module
 *        └─ owns every listening socket; a worker borrows them
 */

import { assert } from "@meridian/core";
import { loadNative } from "@meridian/native";
import type { Native } from "@meridian/native";

import type { EdgeLogger } from "./edge-logger.ts";
import { Patience, type PatienceReason } from "./patience.ts";
import { Supervisor } from "./supervisor.ts";
import type { SupervisorState } from "./supervisor.ts";
import { TCP_LIMITS } from "./tcp-server.ts";
import type { Certificate, EncryptedService } from "./tcp-encryption.ts";
import type { TcpLimits, TcpListen } from "./tcp-server.ts";
import { expandWildcard, formatListenAddress, parseListenAddress } from "./transport-address.ts";
import type { ListenAddress } from "./transport-address.ts";
import type { StopMode } from "./transport-control.ts";
import { sumCounters } from "./transport-counters.ts";
import type { TransportCounts } from "./transport-counters.ts";
import { nativeMissingError } from "./transport-error.ts";
import {
  closeSockets,
  isListener,
  openListeners,
  openSockets,
  probeListener,
  probeWithoutNative,
  shareOfWorker,
} from "./transport-sockets.ts";
import type { OpenSocket } from "./transport-sockets.ts";
import type { WorkerSockets } from "./transport-worker.ts";

export interface EdgeOptions {
  /** "127.0.0.1:5300", "[::1]:5300", "0.0.0.0:53"; port 0 lets the kernel choose. Each serves UDP and TCP. */
  readonly listen: readonly string[];
  /** UDP workers, 1 to 256. One more thread serves TCP. */
  readonly workers: number;
  /** "auto" takes the add-on where it can be loaded and says at start where it cannot. */
  readonly transport: "auto" | "native" | "dgram";
  /** A module that exports `createHandler` (see HandlerModule). */
  readonly handlerModule: URL | string;
  /** First argument of createHandler, cloned to each worker; a SharedArrayBuffer in it is shared. */
  readonly handlerData?: unknown;
  readonly logger: EdgeLogger;
  /** What a handler posted. */
  readonly onMessage?: (message: unknown, workerIndex: number) => void;
  /** A worker ended, by itself or because the edge closes; a new one may follow. */
  readonly onWorkerExit?: (workerIndex: number) => void;
  /** Sockets of the process that this one replaces (see handover.ts). */
  readonly inherited?: readonly OpenSocket[];
  /**
   * Another process answers meanwhile, and this one is started at a low weight: each worker rehearses, takes the nice value given here when
   * it is ready, and is patient until `setPatient("begins", false)`.
   */
  readonly standby?: { readonly nice: number };
  /** Bind beside a process that is being replaced: node:dgram cannot take its sockets. */
  readonly joinExisting?: boolean;
  readonly tcp?: Partial<TcpLimits>;
  /** Prefixes of proxies that state the client before what it sent (PROXY protocol, version 2), and must; none unless given. */
  readonly proxies?: readonly string[];
  /** Where DNS is spoken inside TLS; nowhere where left out. */
  readonly encrypted?: EncryptedListens;
  /** A worker beyond it runs out of memory and is replaced. Sections and buffers do not count. */
  readonly workerHeapMaxMb?: number;
  /** Where a bundle keeps the worker's entry and the add-on. */
  readonly workerModule?: URL;
  readonly addonPath?: string;
}

/** Addresses as in `EdgeOptions.listen`, for TCP alone, and the certificate of all of them. */
export interface EncryptedListens {
  /** DNS over TLS (RFC 7858). */
  readonly dot: readonly string[];
  /** DNS over HTTPS (RFC 8484), over HTTP/2. */
  readonly doh: readonly string[];
  readonly certificate: Certificate;
}

/** An encrypted service's address, and the socket where the add-on opened it. */
interface EncryptedListen {
  readonly service: EncryptedService;
  readonly listen: ListenAddress;
  readonly socket: OpenSocket | undefined;
}

/** Messages to handlers; the last of each kind is what a replaced worker gets. */
export interface EdgeMessage {
  readonly kind: string;
}

export interface EdgeAddress {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
}

export interface EdgeWorkerStatus {
  readonly index: number;
  readonly role: "udp" | "tcp";
  readonly state: SupervisorState;
  readonly restarts: number;
  readonly lastError: string | undefined;
}

export interface EdgeStatus {
  /** Undefined before the start. */
  readonly transport: "native" | "dgram" | undefined;
  readonly workers: readonly EdgeWorkerStatus[];
  readonly counts: TransportCounts;
  /** Packets that the kernel dropped because a socket's queue was full; undefined without the add-on. */
  readonly kernelDrops: number | undefined;
}

const WORKERS_MAX = 256;
const WORKER_HEAP_MAX_MB = 512;

export class Edge {
  readonly #options: EdgeOptions;
  readonly #listens: readonly ListenAddress[];
  readonly #encryptedListens: readonly Pick<EncryptedListen, "service" | "listen">[];
  #encrypted: readonly EncryptedListen[] = [];
  readonly #patience: Patience;
  readonly #latest = new Map<string, EdgeMessage>();
  #native: Native | undefined;
  #isNative: boolean | undefined;
  #bound: readonly ListenAddress[] = [];
  #sockets: readonly OpenSocket[] = [];
  #supervisors: readonly Supervisor[] = [];
  #closing: Promise<void> | undefined;
  readonly #answering = Promise.withResolvers<void>();

  /** Throws for an address that cannot be parsed, before anything is opened. */
  constructor(options: EdgeOptions) {
    assert(
      Number.isInteger(options.workers) && options.workers >= 1 && options.workers <= WORKERS_MAX,
      `Cannot create an edge with ${options.workers} workers, expected 1 to ${WORKERS_MAX}`,
    );
    this.#options = options;
    const reasons = options.standby === undefined ? [] : (["begins"] as const);
    this.#patience = new Patience(reasons, (isPatient) => {
      for (const worker of this.#supervisors) worker.setPatient(isPatient);
    });
    this.#listens = options.listen.map(parseListenAddress);
    const { dot = [], doh = [] } = options.encrypted ?? {};
    this.#encryptedListens = [
      ...dot.map((text) => ({ service: "dot", listen: parseListenAddress(text) }) as const),
      ...doh.map((text) => ({ service: "doh", listen: parseListenAddress(text) }) as const),
    ];
  }

  /** How many handlers run: `HandlerContext.index` is below it. */
  get handlerCount(): number {
    return this.#options.workers + 1;
  }

  /**
   * Opens all sockets, starts all workers, and resolves when each is ready. Messages posted before are delivered
   * before the first packet. Rejects, with everything closed, if an address cannot be bound or a handler not created.
   */
  async start(): Promise<void> {
    this.#isNative = this.#chooseTransport();
    this.#sockets = this.#isNative ? this.#openSockets() : [];
    if (!this.#isNative) this.#bound = await this.#probe();
    const { workers } = this.#options;
    const udp = Array.from({ length: workers }, (_, index) =>
      this.#supervise(index, this.#udpSockets(index)),
    );
    const tcp = this.#supervise(workers, this.#tcpSockets());
    this.#supervisors = [...udp, tcp];
    // On few cores the threads that nearly all queries come to are not to wait for the other one: connections wait in the kernel. But
    // while another process answers, each core would do the work of two readers of one queue until that is there, too.
    const isAlone = this.#options.standby === undefined;
    if (!isAlone) await this.#startAll([tcp]);
    if (this.#closing === undefined) await this.#startAll(udp);
    this.#answering.resolve();
    if (isAlone && this.#closing === undefined) await this.#startAll([tcp]);
  }

  /** Resolves when workers take queries over UDP, sooner than `start()`; never where that fails. */
  whenAnswering(): Promise<void> {
    return this.#answering.promise;
  }

  async #startAll(supervisors: readonly Supervisor[]): Promise<void> {
    const results = await Promise.allSettled(supervisors.map((worker) => worker.start()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) return;
    await this.close();
    throw failed.reason;
  }

  /** Sends a message to every handler, in order with all others. */
  post(message: EdgeMessage): void {
    // Re-inserted, so that a replay keeps the order of the last messages.
    this.#latest.delete(message.kind);
    this.#latest.set(message.kind, message);
    for (const worker of this.#supervisors) worker.post(message);
  }

  /** Sends a message to one handler; one that takes its place is not told. */
  tell(worker: number, message: unknown): void {
    this.#supervisors[worker]?.post(message);
  }

  /**
   * Whether workers let other threads, which have more to do than usual, run for some milliseconds before they answer: queries then wait
   * that long, and are answered in batches. Where each one is answered as it comes, changing from thread to thread takes what is left of a
   * core, so that at 80,000 queries a second a thread of low weight hardly ran at all. Without the add-on nothing changes.
   */
  setPatient(reason: PatienceReason, isReason: boolean): void {
    this.#patience.set(reason, isReason);
  }

  /** What is listened on, with the ports that the kernel chose. */
  addresses(): readonly EdgeAddress[] {
    return this.#bound;
  }

  /** Where an encrypted service is listened on. */
  encryptedAddresses(service: EncryptedService): readonly EdgeAddress[] {
    return this.#encrypted.filter((one) => one.service === service).map(({ listen }) => listen);
  }

  /** The open sockets, for a process that replaces this one; [] over node:dgram. They stay this edge's to close. */
  exportSockets(): readonly OpenSocket[] {
    return this.#sockets;
  }

  status(): EdgeStatus {
    const { workers } = this.#options;
    const udp = this.#sockets.filter((socket) => socket.protocol === "udp");
    const native = this.#native;
    return {
      transport: this.#isNative === undefined ? undefined : this.#isNative ? "native" : "dgram",
      workers: this.#supervisors.map((worker, index) => ({
        index,
        role: index < workers ? "udp" : "tcp",
        state: worker.state,
        restarts: worker.restarts,
        lastError: worker.lastError,
      })),
      counts: sumCounters(this.#supervisors.map((worker) => worker.counters)),
      kernelDrops:
        this.#isNative === true && native !== undefined
          ? udp.reduce((sum, socket) => sum + native.socketDrops(socket.fd), 0)
          : undefined,
    };
  }

  /** Answers what is queued, then closes everything; bounded to a few seconds. Idempotent. */
  close(): Promise<void> {
    return this.#stop("drain");
  }

  /** Stops reading because another process reads the same sockets now: queued packets are left to it. Idempotent. */
  leave(): Promise<void> {
    return this.#stop("leave");
  }

  #stop(mode: StopMode): Promise<void> {
    this.#closing ??= this.#closeAll(mode);
    return this.#closing;
  }

  async #closeAll(mode: StopMode): Promise<void> {
    // Without the add-on the other process has its own sockets, so what is queued in these must be answered here.
    const workerMode = this.#isNative === true ? mode : "drain";
    await Promise.all(this.#supervisors.map((worker) => worker.stop(workerMode)));
    if (this.#native !== undefined) closeSockets(this.#native, this.#sockets);
    this.#sockets = [];
  }

  /** Loads the add-on where it is wanted; says so where it is missing. */
  #chooseTransport(): boolean {
    const { transport, addonPath, logger } = this.#options;
    if (transport === "dgram") return false;
    const loaded = loadNative(addonPath);
    if (loaded.kind === "loaded") {
      this.#native = loaded.native;
      return true;
    }
    if (transport === "native") throw nativeMissingError(loaded.reason);
    logger.warn(
      `The UDP add-on is missing (${loaded.reason}): DNS runs over node:dgram, at about half the speed`,
    );
    return false;
  }

  #openSockets(): readonly OpenSocket[] {
    const { workers, inherited = [], tcp } = this.#options;
    if (this.#native === undefined) return [];
    const native = this.#native;
    const backlog = tcp?.backlog ?? TCP_LIMITS.backlog;
    const wanted = this.#encryptedListens;
    const isEncrypted = (socket: OpenSocket): boolean =>
      wanted.some(({ listen }) => isListener(socket, listen));
    const plain = inherited.filter((socket) => !isEncrypted(socket));
    const sockets = openSockets(native, this.#listens, workers, plain, backlog);
    this.#bound = sockets
      .filter((socket) => socket.protocol === "tcp")
      .map((socket) => socket.listen);
    try {
      const listens = wanted.map(({ listen }) => listen);
      const opened = openListeners(native, listens, inherited.filter(isEncrypted), backlog);
      this.#encrypted = wanted.flatMap(({ service }, index) => {
        const socket = opened[index];
        return socket === undefined ? [] : [{ service, listen: socket.listen, socket }];
      });
      return [...sockets, ...opened];
    } catch (error) {
      closeSockets(native, sockets);
      throw error;
    }
  }

  async #probe(): Promise<readonly ListenAddress[]> {
    const { joinExisting = false } = this.#options;
    const encrypted: EncryptedListen[] = [];
    for (const { service, listen } of this.#encryptedListens)
      encrypted.push({
        service,
        listen: joinExisting ? listen : await probeListener(listen),
        socket: undefined,
      });
    this.#encrypted = encrypted;
    if (joinExisting) return this.#listens;
    const bound: ListenAddress[] = [];
    for (const listen of this.#listens) bound.push(await probeWithoutNative(listen));
    return bound;
  }

  #udpSockets(index: number): WorkerSockets {
    const { workers, addonPath } = this.#options;
    if (this.#isNative === true) {
      return { kind: "native", fds: shareOfWorker(this.#sockets, index, workers), addonPath };
    }
    return { kind: "dgram", addresses: this.#bound.flatMap(expandWildcard) };
  }

  #tcpSockets(): WorkerSockets {
    const { addonPath } = this.#options;
    const limits = { ...TCP_LIMITS, ...this.#options.tcp };
    const isEncrypted = (socket: OpenSocket): boolean =>
      this.#encrypted.some((one) => one.socket === socket);
    const plain: TcpListen[] =
      this.#isNative === true
        ? this.#sockets
            .filter((socket) => socket.protocol === "tcp" && !isEncrypted(socket))
            .map(({ fd, listen }) => ({ kind: "fd", fd, listen }) as const)
        : this.#bound.map((listen) => ({ kind: "address", listen }) as const);
    const encrypted = this.#encrypted.map(({ service, listen, socket }): TcpListen =>
      socket === undefined
        ? { kind: "address", listen, service }
        : { kind: "fd", fd: socket.fd, listen, service },
    );
    const certificate = this.#options.encrypted?.certificate;
    return { kind: "tcp", listens: [...plain, ...encrypted], limits, certificate, addonPath };
  }

  #supervise(index: number, sockets: WorkerSockets): Supervisor {
    const { handlerModule, handlerData, logger, onMessage, onWorkerExit } = this.#options;
    return new Supervisor({
      index,
      workerModule: this.#options.workerModule ?? new URL("./worker.ts", import.meta.url),
      handlerModule: String(handlerModule),
      handlerData,
      sockets,
      proxies: this.#options.proxies ?? [],
      standby: this.#options.standby,
      heapMaxMb: this.#options.workerHeapMaxMb ?? WORKER_HEAP_MAX_MB,
      logger,
      onMessage: (message) => onMessage?.(message, index),
      onExit: () => onWorkerExit?.(index),
      replay: () => this.#latest.values(),
    });
  }
}

/** "127.0.0.1:5300" of an address of `Edge.addresses()`. */
export function formatEdgeAddress(address: EdgeAddress): string {
  return formatListenAddress(address);
}
