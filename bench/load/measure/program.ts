// SPDX-License-Identifier: Apache-2.0
import { execFile, spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { createSocket } from "node:dgram";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const OUTPUT_BYTES_MAX = 64 << 20;
const STOP_GRACE_MS = 5000;

/** Runs a program to its end and returns its standard output. Throws, with its error output, if it fails. */
export async function runProgram(file: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { maxBuffer: OUTPUT_BYTES_MAX });
  return stdout;
}

/** Standard and error output of a program that may fail or be missing; empty where it is missing. */
export async function outputOf(file: string, args: readonly string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile(file, args, { maxBuffer: OUTPUT_BYTES_MAX }, (_error, stdout, stderr) => {
    resolve(stdout + stderr);
  });
  return promise;
}

/** Starts a long-lived program pinned to some cores ("0", "0,1"), its output going to a log file. */
export function startPinned(
  cores: string,
  file: string,
  args: readonly string[],
  log: string,
): ChildProcess {
  const descriptor = openSync(log, "a");
  try {
    return startWith(["ignore", descriptor, descriptor], cores, file, args);
  } finally {
    closeSync(descriptor);
  }
}

/** Starts a program pinned to some cores, with pipes to its standard input and output. */
export function startPiped(cores: string, file: string, args: readonly string[]): ChildProcess {
  return startWith(["pipe", "pipe", "inherit"], cores, file, args);
}

function startWith(
  stdio: StdioOptions,
  cores: string,
  file: string,
  args: readonly string[],
): ChildProcess {
  const child = spawn("taskset", ["-c", cores, file, ...args], { stdio });
  child.on("error", (error) => {
    console.error(`Cannot start "${file}": ${error.message}`);
  });
  return child;
}

/** Ends a program politely, then by force. Resolves once it has gone. */
export async function stopProgram(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
  await gone;
  clearTimeout(timer);
}

/** The process id of a started program. Throws if it could not be started. */
export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined)
    throw new Error(`Cannot start "${child.spawnfile}": it has no process`);
  return child.pid;
}

/** A port of 127.0.0.1 that is free for both TCP and UDP now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const isFree = await canBindUdp(port);
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

/** Tries until it gives a value other than undefined. Throws after the time-out, or when `child` ends before. */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<T | undefined>,
  child?: ChildProcess,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    const value = await attempt();
    if (value !== undefined) return value;
    if (child !== undefined && (child.exitCode !== null || child.signalCode !== null)) {
      throw new Error(
        `Cannot wait for ${what}: the process ended with ${child.exitCode ?? child.signalCode}`,
      );
    }
    await sleep(5);
  }
  throw new Error(`Cannot wait for ${what}: nothing after ${timeoutMs} ms`);
}

async function canBindUdp(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once("error", () => resolve(false));
  socket.bind(port, "127.0.0.1", () => resolve(true));
  const isFree = await promise;
  socket.close();
  return isFree;
}
