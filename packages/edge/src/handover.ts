// SPDX-License-Identifier: Apache-2.0

/**
 * Replacing a running process without losing a query. The old process listens on a Unix socket in its state folder;
 * the new one takes the very sockets over, so what is queued in them is never lost and at no moment does nobody listen.
 *
 *   new ── {"kind":"take", "version":1, "receiver":PATH} ──► old
 *   new ◄── descriptors by SCM_RIGHTS to PATH ────────────── old
 *   new ◄── {"kind":"sockets", "sockets":[…]} ────────────── old      both read the same sockets from here …
 *   new starts its workers
 *   new ── {"kind":"ready"} ────────────────────────────────► old
 *   new ◄── {"kind":"left"} ──────────────────────────────── old      … to here
 *
 * Messages are JSON, one a line. Until "ready" nothing is final: if either end dies, the old process goes on or, if it
 * was the old one, the new one has the sockets anyway. The socket file has mode 0600; who may connect may take over.
 */

import { chmodSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { createInterface } from "node:readline";

import { MeridianError } from "@meridian/core";
import { loadNative } from "@meridian/native";
import type { Native } from "@meridian/native";

import type { Edge } from "./edge.ts";
import type { EdgeLogger } from "./edge-logger.ts";
import { errorCode, errorMessage } from "./transport-error.ts";
import { closeSockets } from "./transport-sockets.ts";
import type { OpenSocket } from "./transport-sockets.ts";

const VERSION = 1;
/** How long each message is waited for. A new process may have a large state to load before it is ready. */
const STEP_MS_MAX = 60_000;
const FDS_PER_MESSAGE = 250;

type SocketDescription = Omit<OpenSocket, "fd">;

type HandoverMessage =
  | { readonly kind: "take"; readonly version: number; readonly receiver: string | null }
  | { readonly kind: "sockets"; readonly sockets: readonly SocketDescription[] }
  | { readonly kind: "ready" }
  | { readonly kind: "left" }
  | { readonly kind: "refused"; readonly reason: string; readonly isBusy?: boolean };

export interface HandoverServerOptions {
  /** The Unix socket, at most 107 bytes long. */
  readonly path: string;
  readonly edge: Edge;
  readonly logger: EdgeLogger;
  readonly addonPath?: string;
  /** Another process asks for the sockets: what it is to go on from is to be on disk when this returns. */
  readonly onTake?: () => void;
  /** The process that asked has gone: this one goes on. */
  readonly onAbandoned?: () => void;
  /** The edge has left its sockets to another process, and `path` is free: time to exit. */
  readonly onReplaced: () => void;
}

/** The old process's end. */
export class HandoverServer {
  readonly #options: HandoverServerOptions;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #isReplacing = false;

  private constructor(options: HandoverServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Listens at `path`; a file left there by a process that died is removed. Throws where a live one listens. */
  static async start(options: HandoverServerOptions): Promise<HandoverServer> {
    const probe = await connectTo(options.path);
    if (probe !== undefined) {
      probe.destroy();
      throw new MeridianError(
        "EDGE_HANDOVER_IN_USE",
        "user",
        `Cannot offer a handover at "${options.path}": another process does`,
      );
    }
    rmSync(options.path, { force: true });
    const handover = new HandoverServer(options);
    await handover.#listen();
    return handover;
  }

  /** Stops offering and removes the socket file. Idempotent. */
  close(): void {
    this.#server.close();
    for (const socket of this.#connections) socket.destroy();
  }

  async #listen(): Promise<void> {
    const { path } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  }

  #accept(socket: Socket): void {
    this.#connections.add(socket);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => undefined);
    void this.#serve(new MessageLines(socket)).catch((error: unknown) => {
      this.#options.logger.warn(
        `The handover failed: ${errorMessage(error)}; this process goes on`,
      );
      socket.destroy();
    });
  }

  async #serve(lines: MessageLines): Promise<void> {
    const take = await lines.receive("take");
    if (take === undefined) return;
    if (take.version !== VERSION || this.#isReplacing) {
      const reason = this.#isReplacing
        ? "another process is taking over"
        : `version ${take.version} of the handover is not known, expected ${VERSION}`;
      lines.send({ kind: "refused", reason, isBusy: this.#isReplacing });
      lines.end();
      return;
    }
    this.#isReplacing = true;
    const { edge } = this.#options;
    try {
      this.#giveSockets(lines, take.receiver);
      // The new process has to come up on what these workers leave of the cores.
      edge.setPatient("replaced", true);
      if ((await lines.receive("ready")) === undefined) throw new Error("the new process has gone");
    } catch (error) {
      this.#isReplacing = false;
      this.#options.onAbandoned?.();
      edge.setPatient("replaced", false);
      throw error;
    }
    // While it leaves, the sockets are the new process's alone to hand on.
    await this.#leave(lines);
  }

  /** Tells the new process where that fails. */
  #giveSockets(lines: MessageLines, receiver: string | null): void {
    try {
      this.#options.onTake?.();
      this.#sendSockets(lines, receiver);
    } catch (error) {
      lines.send({ kind: "refused", reason: errorMessage(error) });
      lines.end();
      throw error;
    }
  }

  #sendSockets(lines: MessageLines, receiver: string | null): void {
    const loaded = receiver === null ? undefined : loadNative(this.#options.addonPath);
    const sockets = loaded?.kind === "loaded" ? this.#options.edge.exportSockets() : [];
    if (loaded?.kind === "loaded" && receiver !== null) {
      for (let start = 0; start < sockets.length; start += FDS_PER_MESSAGE) {
        const fds = sockets.slice(start, start + FDS_PER_MESSAGE).map((socket) => socket.fd);
        loaded.native.sendSockets(receiver, fds);
      }
    }
    const described = sockets.map(({ protocol, listen }) => ({ protocol, listen }));
    lines.send({ kind: "sockets", sockets: described });
  }

  async #leave(lines: MessageLines): Promise<void> {
    // Closing the server removes its file, so it comes before "left": the new process then listens there.
    this.#server.close();
    const left = this.#options.edge.leave();
    await left;
    lines.send({ kind: "left" });
    lines.end();
    this.#options.logger.info("Another process has taken over");
    this.#options.onReplaced();
  }
}

/** What takeOver() brings. */
export interface Takeover {
  /** For `EdgeOptions.inherited`. */
  readonly sockets: readonly OpenSocket[];
  /** For `EdgeOptions.joinExisting`: no sockets could be handed over, so this process binds beside the old one. */
  readonly joinExisting: boolean;
  /**
   * Tells the old process that this one serves; resolves when the old one has stopped reading. Where this process was told to end before, it
   * rejects with code EDGE_HANDOVER_INTERRUPTED, and the old process goes on.
   */
  finish(): Promise<void>;
  /** Gives up: the old process goes on. Closes the sockets, unless an edge has them, as it has from `finish()` on. */
  abandon(): void;
}

export interface TakeOverOptions {
  readonly addonPath?: string;
  /** This process is told to end: it is not to take over any more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks the process that offers a handover at `path` for its sockets; undefined where no process does. Throws a
 * MeridianError with code EDGE_HANDOVER_FAILED where it refuses or falls silent, EDGE_HANDOVER_INTERRUPTED where `signal` says so.
 */
export async function takeOver(
  path: string,
  { addonPath, signal }: TakeOverOptions = {},
): Promise<Takeover | undefined> {
  const socket = await connectTo(path);
  if (socket === undefined) return undefined;
  socket.on("error", () => undefined);
  const lines = new MessageLines(socket);
  const loaded = loadNative(addonPath);
  const hangUp = (): void => void socket.destroy();
  signal?.addEventListener("abort", hangUp);
  let isGiven = false;
  try {
    if (isAborted(signal)) throw interruptedError(path);
    const sockets =
      loaded.kind === "loaded"
        ? await receiveSockets(lines, loaded.native, `${path}.${process.pid}`)
        : await askWithoutSockets(lines);
    return {
      sockets,
      joinExisting: sockets.length === 0,
      finish: async () => {
        isGiven = true;
        if (isAborted(signal)) {
          socket.destroy();
          throw interruptedError(path);
        }
        await finish(lines);
      },
      abandon: () => {
        socket.destroy();
        if (loaded.kind === "loaded" && !isGiven) closeSockets(loaded.native, sockets);
      },
    };
  } catch (error) {
    socket.destroy();
    throw isAborted(signal) ? interruptedError(path) : handoverError(path, error);
  } finally {
    signal?.removeEventListener("abort", hangUp);
  }
}

/** Asked anew each time: it changes while something is waited for. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

export function interruptedError(path: string): MeridianError {
  return new MeridianError(
    "EDGE_HANDOVER_INTERRUPTED",
    "user",
    `Did not take over from the process at "${path}": this one was told to end before`,
  );
}

async function finish(lines: MessageLines): Promise<void> {
  lines.send({ kind: "ready" });
  // An old process that dies now has stopped reading as well.
  await lines.receive("left");
  lines.end();
}

async function receiveSockets(
  lines: MessageLines,
  native: Native,
  receiverPath: string,
): Promise<OpenSocket[]> {
  rmSync(receiverPath, { force: true });
  const receiver = native.openHandover(receiverPath);
  const fds: number[] = [];
  try {
    lines.send({ kind: "take", version: VERSION, receiver: receiverPath });
    const described = await expectSockets(lines);
    // Descriptors were queued before their description was sent.
    for (let more = native.receiveSockets(receiver); more.length > 0;) {
      fds.push(...more);
      more = native.receiveSockets(receiver);
    }
    if (fds.length !== described.length) {
      throw new Error(`${fds.length} sockets came, expected ${described.length}`);
    }
    return described.map(({ protocol, listen }, index) => ({
      protocol,
      listen,
      fd: fds[index] ?? -1,
    }));
  } catch (error) {
    for (const fd of fds) native.closeSocket(fd);
    throw error;
  } finally {
    native.closeSocket(receiver);
    rmSync(receiverPath, { force: true });
  }
}

async function askWithoutSockets(lines: MessageLines): Promise<OpenSocket[]> {
  lines.send({ kind: "take", version: VERSION, receiver: null });
  await expectSockets(lines);
  return [];
}

async function expectSockets(lines: MessageLines): Promise<readonly SocketDescription[]> {
  const message = await lines.receive("sockets");
  if (message === undefined && lines.isLate) {
    throw new Error(`the running process says nothing for ${STEP_MS_MAX / 1000} s`);
  }
  if (message === undefined) throw new BusyError("the running process closed the connection");
  return message.sockets;
}

function handoverError(path: string, cause: unknown): MeridianError {
  const message = `Cannot take over from the process at "${path}": ${errorMessage(cause)}`;
  return new MeridianError("EDGE_HANDOVER_FAILED", "system", message, { cause });
}

/** Connects; undefined where nothing listens. */
function connectTo(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.off("error", fail);
      resolve(socket);
    });
    socket.once("error", fail);
    function fail(error: Error): void {
      const isAbsent = ["ENOENT", "ECONNREFUSED"].includes(errorCode(error));
      if (isAbsent) resolve(undefined);
      else reject(handoverError(path, error));
    }
  });
}

/** The process that has the sockets starts or ends, or hands them to another one: asked again in a while it may be otherwise. */
class BusyError extends Error {}

/** Whether what `takeOver()` threw may be otherwise in a while. */
export function isBusy(error: unknown): boolean {
  return error instanceof MeridianError && error.cause instanceof BusyError;
}

/** JSON messages, one a line, over a stream. */
class MessageLines {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;
  #isLate = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket, crlfDelay: Infinity });
    // A socket that was destroyed ends without "end", which is all that readline looks for.
    socket.once("close", () => lines.close());
    this.#lines = lines[Symbol.asyncIterator]();
  }

  send(message: HandoverMessage): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  end(): void {
    this.#socket.end();
  }

  /** Whether a message was waited for in vain. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** The next message, which must be of `kind`; undefined at the end of the stream, and where none came in time. */
  async receive<K extends HandoverMessage["kind"]>(
    kind: K,
  ): Promise<Extract<HandoverMessage, { kind: K }> | undefined> {
    const late = setTimeout(() => {
      this.#isLate = true;
      this.#socket.destroy();
    }, STEP_MS_MAX);
    const line = await this.#lines.next().finally(() => clearTimeout(late));
    if (line.done === true) return undefined;
    const message: unknown = JSON.parse(line.value);
    if (isMessage(message, kind)) return message;
    if (isMessage(message, "refused")) {
      throw message.isBusy === true ? new BusyError(message.reason) : new Error(message.reason);
    }
    throw new Error(`expected a message "${kind}"`);
  }
}

/** Both ends are this program; only the kind is checked, the version covers the rest. */
function isMessage<K extends HandoverMessage["kind"]>(
  value: unknown,
  kind: K,
): value is Extract<HandoverMessage, { kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}
