// SPDX-License-Identifier: Apache-2.0

/** The entry of the edge's worker threads: loads the handler module, then serves its sockets until told to stop. */

import { flushCompileCache } from "node:module";
import { setPriority } from "node:os";
import { setFlagsFromString } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";

import { assert } from "@meridian/core";
import { loadNative } from "@meridian/native";
import type { Native } from "@meridian/native";

import { AnsweringUrgency, answeringThread } from "./answering-urgency.ts";
import type { HandlerModule, PacketHandler } from "./packet-handler.ts";
import { TcpServer } from "./tcp-server.ts";
import type { ProxyPeers } from "./proxy-peers.ts";
import type { Encryption, TcpListen } from "./tcp-server.ts";
import { CertificateRenewals } from "./certificate-renewals.ts";
import type { Certificate } from "./tcp-encryption.ts";
import { WorkerControl } from "./transport-control.ts";
import type { StopMode, WorkerReport } from "./transport-control.ts";
import { TransportCounters } from "./transport-counters.ts";
import { DgramTransport } from "./transport-dgram.ts";
import { runNativeTransport } from "./transport-native.ts";
import { isWorkerStart } from "./transport-worker.ts";
import type { WorkerSockets, WorkerStart } from "./transport-worker.ts";

/** How long TCP connections may go on after a stop, and how long one must have been quiet to be closed before. */
const LINGER_MS: Readonly<Record<StopMode, number>> = { drain: 500, leave: 2000 };
const QUIET_MS: Readonly<Record<StopMode, number>> = { drain: 50, leave: 250 };

// The query path is some forty small functions; the compiler's default budget leaves a third of them as calls. With four times the
// budget a weighted answer takes 523 instead of 546 ns at least, 609 instead of 690 on average over runs. The flag is the process's.
const INLINING_FLAG = "--max-inlined-bytecode-size-cumulative=4000";

const data: unknown = workerData;
assert(
  parentPort !== null && isWorkerStart(data),
  "The worker module runs only in a worker of Edge",
);
await serve(parentPort, data);
// What a handler module left behind, a timer say, must not keep the thread.
process.exit(0);

async function serve(port: MessagePort, start: WorkerStart): Promise<void> {
  setFlagsFromString(INLINING_FLAG);
  const report = (message: WorkerReport): void => port.postMessage(message);
  const module: unknown = await import(start.handlerModule);
  assert(isHandlerModule(module), `"${start.handlerModule}" exports no function createHandler`);
  const binding = await module.createHandler(start.handlerData, {
    index: start.index,
    role: start.sockets.kind === "tcp" ? "tcp" : "udp",
    post: (message) => report({ kind: "message", message }),
  });
  const certificates = new CertificateRenewals();
  const urgency = urgencyOf(start.sockets);
  // Only for who answers all day: connections over TCP, and node:dgram, live by an event loop.
  const setPatient = (isPatient: boolean): void => urgency?.setPatient(isPatient);
  const control = new WorkerControl(
    port,
    start.controlWord,
    (message) => {
      if (!certificates.take(message)) binding.onMessage(message);
    },
    setPatient,
  );
  // The state that was posted before this worker began is in force before its first packet.
  control.read();
  if (start.standby !== undefined) {
    binding.rehearse?.();
    setPatient(true);
    comeForward(start.standby.nice);
  }
  const counters = new TransportCounters(start.counters);
  const ready = (): void => report({ kind: "ready" });
  const handler = await proxiedBy(start, binding.handler);
  await run(start, handler, control, counters, certificates, urgency, ready);
}

function urgencyOf(sockets: WorkerSockets): AnsweringUrgency | undefined {
  if (sockets.kind !== "native") return undefined;
  return new AnsweringUrgency(answeringThread(requireNative(sockets.addonPath)));
}

/** Who waits no more competes with the answers of the process that is replaced as an equal. */
function comeForward(nice: number): void {
  // 0 is the calling thread on Linux, and the whole process elsewhere.
  if (process.platform === "linux") unlessForbidden(() => setPriority(0, nice));
}

/** A sandbox may forbid it: answers that share the core otherwise are better than none. */
function unlessForbidden(change: () => void): void {
  try {
    change();
  } catch {
    // As before, then.
  }
}

/** Takes what listed proxies write off each packet; over TCP they write once, and the server takes it. */
async function proxiedBy(start: WorkerStart, handler: PacketHandler): Promise<PacketHandler> {
  if (start.proxies.length === 0 || start.sockets.kind === "tcp") return handler;
  const { ProxiedHandler } = await import("./proxy-peers.ts");
  return new ProxiedHandler(handler, start.proxies);
}

async function run(
  { sockets, proxies }: WorkerStart,
  handler: PacketHandler,
  control: WorkerControl,
  counters: TransportCounters,
  certificates: CertificateRenewals,
  urgency: AnsweringUrgency | undefined,
  ready: () => void,
): Promise<void> {
  switch (sockets.kind) {
    case "native": {
      const native = requireNative(sockets.addonPath);
      ready();
      // Else every worker strips types from modules that the main thread never loads, by a program in WebAssembly whose memory grows:
      // from then on this thread's compiled code looks at each array access whether its buffer is gone. With the cache a weighted answer
      // takes 546 instead of 600 ns. Nothing is written where nothing is new; without a cache this does nothing.
      flushCompileCache();
      runNativeTransport(native, sockets.fds, handler, control, counters, urgency);
      return;
    }
    case "dgram": {
      const transport = new DgramTransport(sockets.addresses, handler, counters);
      await transport.start();
      ready();
      await Promise.race([control.listen(), transport.failed]);
      await transport.stop();
      return;
    }
    case "tcp": {
      const certificate = certificates.newest ?? sockets.certificate;
      const encryption = certificate === undefined ? undefined : await encryptWith(certificate);
      const server = new TcpServer(handler, counters, sockets.limits, {
        encryption,
        proxies: await peersOf(proxies),
      });
      certificates.onRenewed = (renewed) => server.renew(renewed);
      await server.start(ownListens(sockets.listens, sockets.addonPath));
      ready();
      const mode = await control.listen();
      await server.stop(QUIET_MS[mode], LINGER_MS[mode]);
    }
  }
}

async function peersOf(proxies: readonly string[]): Promise<ProxyPeers | undefined> {
  if (proxies.length === 0) return undefined;
  const loaded = await import("./proxy-peers.ts");
  return new loaded.ProxyPeers(proxies);
}

/** Half of what this thread loads, and of no use to most. */
async function encryptWith(certificate: Certificate): Promise<Encryption> {
  const { TlsWrapper } = await import("./tcp-encryption.ts");
  const { DohSession } = await import("./doh-session.ts");
  return {
    wrapper: new TlsWrapper(certificate),
    openDoh: (options) => new DohSession(options),
  };
}

/** node:net closes the descriptor it is given, and the main thread's must outlive this worker: it gets a copy. */
function ownListens(listens: readonly TcpListen[], addonPath: string | undefined): TcpListen[] {
  return listens.map((listen) =>
    listen.kind === "fd"
      ? { ...listen, fd: requireNative(addonPath).duplicate(listen.fd) }
      : listen,
  );
}

function requireNative(addonPath: string | undefined): Native {
  const loaded = loadNative(addonPath);
  assert(loaded.kind === "loaded", "The add-on that the main thread loaded is gone");
  return loaded.native;
}

function isHandlerModule(module: unknown): module is HandlerModule {
  return (
    typeof module === "object" &&
    module !== null &&
    "createHandler" in module &&
    typeof module.createHandler === "function"
  );
}
