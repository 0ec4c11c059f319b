// SPDX-License-Identifier: Apache-2.0

/**
 * Opening what an edge listens on: for each address one UDP socket a worker, which share the port by SO_REUSEPORT, and
 * one TCP listener. SO_REUSEPORT alone would let a second process of the same user bind a port that is in use and take
 * half of its queries, so each address is first bound without it, as a question.
 *
 * A packet waits in the socket that the kernel chose for it, and closing that socket loses it. So sockets that were
 * handed over are all kept, whatever the number of workers is now.
 */

import { createServer } from "node:net";

import { MeridianError } from "@meridian/core";
import type { Native } from "@meridian/native";

import { formatListenAddress } from "./transport-address.ts";
import type { ListenAddress } from "./transport-address.ts";
import { bindUdp } from "./transport-dgram.ts";
import { errorCode, listenError } from "./transport-error.ts";
import type { Protocol } from "./transport-error.ts";

/** Counted with the kernel's own of each packet, some 800 bytes: a quarter of a second of 150,000 queries, as a hand-over may take. */
const RECEIVE_BUFFER_BYTES = 16 << 20;
/** How long a worker may sleep in the kernel: the bound on reading a command while no query comes. */
const RECEIVE_TIMEOUT_MS = 50;
/** Tries to find a port that is free for UDP and TCP, where the kernel is asked to choose. */
const PORT_TRIES_MAX = 16;

/** An open listening socket of this process. */
export interface OpenSocket {
  readonly protocol: Protocol;
  readonly listen: ListenAddress;
  readonly fd: number;
}

/** Opens all sockets or none; `inherited` ones are used where they fit and closed where nothing listens there now. */
export function openSockets(
  native: Native,
  listens: readonly ListenAddress[],
  workers: number,
  inherited: readonly OpenSocket[],
  backlog: number,
): OpenSocket[] {
  const opened: OpenSocket[] = [];
  const kept = inherited.filter((socket) =>
    listens.some((listen) => isSame(listen, socket.listen)),
  );
  try {
    for (const listen of listens) {
      const udp = kept.filter((socket) => isFor(socket, "udp", listen));
      const tcp = kept.filter((socket) => isFor(socket, "tcp", listen));
      const isHeld = udp.length + tcp.length > 0;
      const bound = isHeld ? listen : probePort(native, listen);
      for (let count = udp.length; count < workers; count += 1) {
        opened.push(open("udp", bound, () => openBeside(native, bound, udp.length, workers)));
      }
      if (tcp.length === 0) {
        opened.push(
          open("tcp", bound, () => native.openTcp(bound.address, bound.port, 1, backlog)),
        );
      }
    }
  } catch (error) {
    closeSockets(native, opened);
    throw error;
  }
  closeSockets(
    native,
    inherited.filter((socket) => !kept.includes(socket)),
  );
  return [...kept, ...opened];
}

/** One TCP listener for each address, as `openSockets` has them; those of `inherited` that fit are used. */
export function openListeners(
  native: Native,
  listens: readonly ListenAddress[],
  inherited: readonly OpenSocket[],
  backlog: number,
): OpenSocket[] {
  const opened: OpenSocket[] = [];
  try {
    for (const listen of listens) {
      const held = inherited.find((socket) => isFor(socket, "tcp", listen));
      opened.push(held ?? openListener(native, listen, backlog));
    }
  } catch (error) {
    closeSockets(native, opened);
    throw error;
  }
  return opened;
}

function openListener(native: Native, listen: ListenAddress, backlog: number): OpenSocket {
  const alone = open("tcp", listen, () => native.openTcp(listen.address, listen.port, 0, 1));
  const bound = { ...listen, port: native.socketPort(alone.fd) };
  native.closeSocket(alone.fd);
  return open("tcp", bound, () => native.openTcp(bound.address, bound.port, 1, backlog));
}

/** True for a socket of that protocol and address. */
export function isListener(socket: OpenSocket, listen: ListenAddress): boolean {
  return isFor(socket, "tcp", listen);
}

export function closeSockets(native: Native, sockets: readonly OpenSocket[]): void {
  for (const socket of sockets) native.closeSocket(socket.fd);
}

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const ACTIVATED_FD_FIRST = 3;

/**
 * The sockets that a service manager opened for this process (systemd's LISTEN_PID and LISTEN_FDS), for
 * `EdgeOptions.inherited`; [] where there are none. A unit for more than one worker needs `ReusePort=yes`.
 */
export function activatedSockets(
  native: Native,
  environment: Readonly<Record<string, string | undefined>>,
  processId: number,
): OpenSocket[] {
  if (environment["LISTEN_PID"] !== String(processId)) return [];
  const count = Number(environment["LISTEN_FDS"] ?? 0);
  return Array.from({ length: count }, (_, index) => ACTIVATED_FD_FIRST + index).flatMap((fd) => {
    const [protocol, address, port] = native.describeSocket(fd);
    if (protocol < 0) return [];
    if (protocol === 0) native.adoptUdp(fd, RECEIVE_BUFFER_BYTES, RECEIVE_TIMEOUT_MS);
    const listen = { address, port, family: address.includes(":") ? 6 : 4 } as const;
    return [{ protocol: protocol === 0 ? "udp" : "tcp", listen, fd } as const];
  });
}

/** The descriptors that worker `index` of `workers` reads: its share of each address's sockets. */
export function shareOfWorker(
  sockets: readonly OpenSocket[],
  index: number,
  workers: number,
): number[] {
  const positions = new Map<string, number>();
  return sockets
    .filter((socket) => socket.protocol === "udp")
    .filter((socket) => {
      const key = formatListenAddress(socket.listen);
      const position = positions.get(key) ?? 0;
      positions.set(key, position + 1);
      return position % workers === index;
    })
    .map((socket) => socket.fd);
}

/** The same question without the add-on. Resolves to the address with the port that was found free. */
export async function probeWithoutNative(listen: ListenAddress): Promise<ListenAddress> {
  for (let tries = 1; ; tries += 1) {
    const bound = await probeUdp(listen);
    try {
      await probeTcp(bound);
      return bound;
    } catch (error) {
      const mayTryAgain = listen.port === 0 && tries < PORT_TRIES_MAX;
      if (!mayTryAgain) throw listenError(formatListenAddress(bound), "tcp", error);
    }
  }
}

async function probeUdp(listen: ListenAddress): Promise<ListenAddress> {
  try {
    const socket = await bindUdp(listen, false, 0);
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(resolve));
    return { ...listen, port };
  } catch (error) {
    throw listenError(formatListenAddress(listen), "udp", error);
  }
}

/** The address with the port that was found free. Rejects with the system's error. */
function probeTcp(listen: ListenAddress): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: listen.address, port: listen.port, ipv6Only: true }, () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : listen.port;
      server.close(() => resolve({ ...listen, port }));
    });
  });
}

/** As `probeWithoutNative`, for TCP alone. */
export async function probeListener(listen: ListenAddress): Promise<ListenAddress> {
  try {
    return await probeTcp(listen);
  } catch (error) {
    throw listenError(formatListenAddress(listen), "tcp", error);
  }
}

/** Binds alone, for UDP and TCP, and lets go again; returns the address with the port that was found free. */
function probePort(native: Native, listen: ListenAddress): ListenAddress {
  for (let tries = 1; ; tries += 1) {
    const udp = open("udp", listen, () => openUdp(native, listen, 0));
    const bound = { ...listen, port: native.socketPort(udp.fd) };
    try {
      native.closeSocket(native.openTcp(bound.address, bound.port, 0, 1));
      return bound;
    } catch (error) {
      const mayTryAgain = listen.port === 0 && errorCode(error) === "EADDRINUSE";
      if (!mayTryAgain || tries === PORT_TRIES_MAX) {
        throw listenError(formatListenAddress(bound), "tcp", error);
      }
    } finally {
      native.closeSocket(udp.fd);
    }
  }
}

/** One more socket for an address; `held` are passed ones, which may not share their port. */
function openBeside(native: Native, listen: ListenAddress, held: number, workers: number): number {
  try {
    return openUdp(native, listen, 1);
  } catch (error) {
    if (held === 0 || errorCode(error) !== "EADDRINUSE") throw error;
    throw new MeridianError(
      "EDGE_LISTEN_IN_USE",
      "user",
      `Cannot listen on ${formatListenAddress(listen)} (UDP) for ${workers} workers: the socket that was passed does not share its port; set ReusePort=yes in the socket unit, or --workers ${held}`,
    );
  }
}

function openUdp(native: Native, listen: ListenAddress, reusePort: 0 | 1): number {
  const { address, port } = listen;
  return native.openUdp(address, port, reusePort, RECEIVE_BUFFER_BYTES, RECEIVE_TIMEOUT_MS);
}

function open(protocol: Protocol, listen: ListenAddress, bind: () => number): OpenSocket {
  try {
    return { protocol, listen, fd: bind() };
  } catch (error) {
    if (error instanceof MeridianError) throw error;
    throw listenError(formatListenAddress(listen), protocol, error);
  }
}

function isFor(socket: OpenSocket, protocol: Protocol, listen: ListenAddress): boolean {
  return socket.protocol === protocol && isSame(socket.listen, listen);
}

function isSame(one: ListenAddress, other: ListenAddress): boolean {
  return one.address === other.address && one.port === other.port;
}
