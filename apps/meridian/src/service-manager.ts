// SPDX-License-Identifier: Apache-2.0

// What a service manager is told (sd_notify(3)): that this process answers, that it is about to end, and that its main thread is alive.
// Where none asks nothing happens, and a manager that cannot be told is no reason to answer worse: it has its own time limits.

import { spawn } from "node:child_process";
import { loadNative } from "@meridian/native";

type Send = (message: string) => void;

/** A manager that asks for signs of life wants one at least this often, or the process is ended: it gets two in that time. */
const SIGNS_PER_LIMIT = 2;

export class ServiceManager {
  readonly #send: Send | undefined;
  readonly #signMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(send: Send | undefined, signMs: number | undefined) {
    this.#send = send;
    this.#signMs = signMs;
  }

  /** The manager of this process. Child processes are not told of it: what they say would be taken for this one's. */
  static ofProcess(
    env: NodeJS.ProcessEnv = process.env,
    pid: number = process.pid,
  ): ServiceManager {
    const { NOTIFY_SOCKET: path, WATCHDOG_USEC, WATCHDOG_PID } = env;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"])
      Reflect.deleteProperty(env, name);
    if (path === undefined || !/^[/@]/.test(path)) return new ServiceManager(undefined, undefined);
    const limitMs = Number(WATCHDOG_USEC) / 1000;
    const isWatched = WATCHDOG_PID === undefined || WATCHDOG_PID === String(pid);
    const signMs = isWatched && limitMs >= 1 ? limitMs / SIGNS_PER_LIMIT : undefined;
    return new ServiceManager(senderTo(path), signMs);
  }

  /** This process serves; from now on its manager sees that it is alive. */
  ready(): void {
    this.#tell("READY=1");
    if (this.#signMs === undefined || this.#timer !== undefined) return;
    this.#tell("WATCHDOG=1");
    this.#timer = setInterval(() => this.#tell("WATCHDOG=1"), this.#signMs).unref();
  }

  /** This process ends: it closes what it has, in bounded time. */
  stopping(): void {
    this.#tell("STOPPING=1");
    clearInterval(this.#timer);
  }

  #tell(message: string): void {
    try {
      this.#send?.(message);
    } catch {
      // The manager is gone, or has no room: it finds out by its own limits.
    }
  }
}

/** Without the add-on, systemd's own program says it: then the unit has to accept that from any process of its own. */
function senderTo(path: string): Send {
  const loaded = loadNative();
  if (loaded.kind === "loaded") return (message) => loaded.native.notifyManager(path, message);
  return (message) => {
    const child = spawn("systemd-notify", [message], {
      env: { ...process.env, NOTIFY_SOCKET: path },
      stdio: "ignore",
    });
    child.on("error", () => undefined);
    child.unref();
  };
}
