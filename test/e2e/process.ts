// SPDX-License-Identifier: Apache-2.0

// Real processes for the end-to-end tests: the `meridian` command as it ships, on free ports and in temporary folders, and endpoints that
// can be broken in several ways. Everything ends with the test that began it.

import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { createServer } from "node:net";
import { availableParallelism, loadavg, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { program } from "../program.ts";

const endpointProcess = join(import.meta.dirname, "endpoint-process.ts");
const START_MS_MAX = 60_000;
const LOOK_MS = 10;

/** What a command that ended left. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export function meridian(...args: readonly string[]): Promise<Ended> {
  return runProgram(program, args);
}

/** Runs a command of another `program` than the tests' to its end. */
export async function runProgram(path: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = [gather(child, "stdout"), gather(child, "stderr")];
  await once(child, "close");
  return { code: child.exitCode, stdout: stdout(), stderr: stderr() };
}

/** A folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-e2e-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** How a server is started. */
export interface ServerSetup {
  readonly files: string;
  readonly stateDir: string;
  /** On 127.0.0.1 and, where it exists, ::1; unless `listen` says otherwise. */
  readonly port?: number;
  readonly listen?: readonly string[];
  readonly flags?: readonly string[];
  /** What runs instead of the checkout's own files. */
  readonly program?: string;
}

/** `meridian up` in a process of its own. */
export class ServerProcess {
  readonly setup: ServerSetup;
  readonly startedAt: number = performance.now();
  readonly #child: ChildProcess;
  readonly #stderr: () => string;

  private constructor(setup: ServerSetup) {
    this.setup = setup;
    const { files, stateDir, port = 0, flags = [] } = setup;
    const onLoopback = hasIpv6 ? [`127.0.0.1:${port}`, `[::1]:${port}`] : [`127.0.0.1:${port}`];
    const listen = setup.listen ?? onLoopback;
    this.#child = spawn(
      process.execPath,
      [
        ...[setup.program ?? program, "up", "--file", files, "--state", stateDir, "--http", "none"],
        ...["--workers", "2", "--listen", ...listen, ...flags],
      ],
      { stdio: ["ignore", "inherit", "pipe"] },
    );
    this.#stderr = gather(this.#child, "stderr");
  }

  /** Starts one that is killed after the test; does not wait for it. */
  static spawn(t: TestContext, setup: ServerSetup): ServerProcess {
    const server = new ServerProcess(setup);
    t.after(() => server.kill());
    return server;
  }

  /** Starts one and waits until it says that it answers. */
  static async start(t: TestContext, setup: ServerSetup): Promise<ServerProcess> {
    const server = ServerProcess.spawn(t, setup);
    await server.whenLogged(/"msg":"Answering"/);
    return server;
  }

  /** All that it logged. */
  get log(): string {
    return this.#stderr();
  }

  async whenLogged(pattern: RegExp): Promise<void> {
    await until(`a log line ${pattern.source}`, START_MS_MAX, () => {
      if (this.#child.exitCode !== null)
        throw new Error(`The server ended with ${this.#child.exitCode}: ${this.log}`);
      return pattern.test(this.log);
    });
  }

  /** Asks the API over the state folder's socket. */
  async api(path: string, method = "GET"): Promise<unknown> {
    const asked = request({ socketPath: join(this.setup.stateDir, "meridian.sock"), path, method });
    const answered = Promise.withResolvers<IncomingMessage>();
    asked.on("response", answered.resolve);
    asked.on("error", answered.reject);
    asked.end();
    const text = Buffer.concat(await (await answered.promise).toArray()).toString();
    return text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Stops it as a machine is that is moved; SIGCONT takes that back. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** Asks it to end, and waits; its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
      await once(this.#child, "exit");
    }
    return this.#child.exitCode;
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  /** Waits until it has ended by itself; its exit code. */
  async whenEnded(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    return this.#child.exitCode;
  }
}

/** An HTTP server in a process of its own, to be killed, stopped or broken. */
export class EndpointProcess {
  readonly address: string;
  readonly port: number;
  #child: ChildProcess | undefined;

  constructor(t: TestContext, address: string, port: number) {
    this.address = address;
    this.port = port;
    t.after(() => {
      this.#child?.kill("SIGKILL");
    });
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [endpointProcess, this.address, String(this.port)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child = child;
    await once(child, "message");
  }

  /** Closes its port. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  /** Makes it accept connections and say nothing; SIGCONT takes that back. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(signal);
  }

  /** Makes it answer with this status from now on. */
  async answerWith(status: number): Promise<void> {
    this.#child?.send({ status });
    if (this.#child !== undefined) await once(this.#child, "message");
  }
}

export const hasIpv6: boolean = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === "::1");

/** Ports below those that the kernel gives to outgoing connections, so that none takes one while a server restarts. */
const PORT_MIN = 20_000;
const PORT_COUNT = 12_000;

/** A port that is free on 127.0.0.1 now, for UDP and TCP. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * PORT_COUNT);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const udp = createSocket("udp4");
  const tcp = createServer();
  try {
    udp.bind(port, "127.0.0.1");
    await once(udp, "listening");
    tcp.listen(port, "127.0.0.1");
    await once(tcp, "listening");
    return true;
  } catch {
    return false;
  } finally {
    udp.close();
    tcp.close();
  }
}

/** How much longer things take now than on an idle machine: load by processor, at least 1. */
export function busyFactor(): number {
  return Math.max(1, (loadavg()[0] ?? 1) / availableParallelism());
}

/** The first attempt that takes at most `msMax`: a machine that stands still makes one late, or several, and a fault all of them. */
export async function leastMs(
  msMax: number,
  attemptsMax: number,
  attempt: () => Promise<number>,
): Promise<number> {
  let least = Infinity;
  for (let count = 0; count < attemptsMax && least > msMax; count++)
    least = Math.min(least, await attempt());
  return least;
}

/** Looks until it is so; after how many milliseconds. Throws, with `what`, after `msMax`. */
export async function until(
  what: string,
  msMax: number,
  isSo: () => boolean | Promise<boolean>,
): Promise<number> {
  const start = performance.now();
  while (!(await isSo())) {
    if (performance.now() - start > msMax)
      throw new Error(`Waited ${msMax} ms in vain for ${what}`);
    await new Promise((done) => {
      setTimeout(done, LOOK_MS);
    });
  }
  return performance.now() - start;
}

function gather(child: ChildProcess, stream: "stdout" | "stderr"): () => string {
  let text = "";
  child[stream]?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
