// SPDX-License-Identifier: Apache-2.0

// ICMP through the system's `ping`, for machines where this process may not open such sockets itself. One process an echo, a bounded
// number at a time.

import { spawn, type ChildProcess } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { delimiter, join } from "node:path";
import { PING_PROCESSES_MAX } from "../../limits.ts";
import type { IcmpAvailability, IcmpSender } from "./icmp-sender.ts";

type Done = (answered: boolean, reason: string) => void;

interface Echo {
  readonly address: string;
  readonly timeoutMs: number;
  readonly done: Done;
  child: ChildProcess | undefined;
  isOver: boolean;
}

/** Sends echoes with the program at `path` (iputils: `-n -c 1 -W SECONDS`). */
export class PingProgramSender implements IcmpSender {
  readonly #path: string;
  readonly #waiting: Echo[] = [];
  #running = 0;

  constructor(path: string) {
    this.#path = path;
  }

  send(address: string, timeoutMs: number, done: Done): () => void {
    const echo: Echo = { address, timeoutMs, done, child: undefined, isOver: false };
    if (this.#running < PING_PROCESSES_MAX) this.#start(echo);
    else this.#waiting.push(echo);
    return () => {
      echo.isOver = true;
      echo.child?.kill("SIGKILL");
    };
  }

  #start(echo: Echo): void {
    this.#running++;
    const family = isIPv6(echo.address) ? "-6" : "-4";
    const seconds = (echo.timeoutMs / 1000).toFixed(3);
    const child = spawn(this.#path, [family, "-n", "-c", "1", "-W", seconds, "--", echo.address], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    echo.child = child;
    let complaint = "";
    child.stderr.on("data", (bytes: Buffer) => {
      complaint = (complaint + bytes.toString("latin1")).slice(0, 200);
    });
    child.on("error", () => {
      this.#end(echo, false, "ping program does not start");
    });
    child.on("close", (code) => {
      if (code === 0) this.#end(echo, true, "echo answered");
      else if (code === 1) this.#end(echo, false, "echo not answered");
      else this.#end(echo, false, `ping failed: ${firstLine(complaint)}`);
    });
  }

  #end(echo: Echo, answered: boolean, reason: string): void {
    if (echo.child === undefined) return;
    echo.child = undefined;
    this.#running--;
    if (!echo.isOver) {
      echo.isOver = true;
      echo.done(answered, reason);
    }
    let next = this.#waiting.shift();
    while (next?.isOver === true) next = this.#waiting.shift();
    if (next !== undefined) this.#start(next);
  }
}

/**
 * Whether echoes can be sent: looks for `ping` in the search path and tries it on the loopback address. Control asks this before
 * it accepts an ICMP check.
 */
export async function icmpAvailability(
  searchPath: string = process.env["PATH"] ?? "",
): Promise<IcmpAvailability> {
  const path = await findPing(searchPath);
  if (path === undefined) {
    return { available: false, reason: "no add-on for ICMP and no ping program in PATH" };
  }
  const sender = new PingProgramSender(path);
  const { promise, resolve } = Promise.withResolvers<IcmpAvailability>();
  sender.send("127.0.0.1", 1000, (answered, reason) => {
    if (answered) resolve({ available: true, sender });
    else resolve({ available: false, reason: `"${path}" does not reach 127.0.0.1: ${reason}` });
  });
  return promise;
}

async function findPing(searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter)) {
    if (folder === "") continue;
    const path = join(folder, "ping");
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function firstLine(text: string): string {
  return text.split("\n")[0]?.trim().slice(0, 120) ?? "";
}
