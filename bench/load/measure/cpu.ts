// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";

// CPU time of a server comes from two files of each thread: `schedstat` counts nanoseconds exactly, `stat` splits them into
// user and system in clock ticks. So totals are taken from the first and only the split from the second.

const TICKS_PER_SECOND = 100;

/** CPU time spent so far, in microseconds. */
export interface CpuTime {
  readonly total: number;
  readonly user: number;
  readonly system: number;
  /** By thread, keyed by process and thread id, with the thread's name. */
  readonly threads: ReadonlyMap<string, ThreadTime>;
}

/** CPU time of one thread, in microseconds. */
export interface ThreadTime {
  readonly name: string;
  readonly total: number;
}

/** Name, user and system ticks in a line of `/proc/PID/stat`; the name may hold spaces and parentheses. */
export function parseStat(text: string): { name: string; userTicks: number; systemTicks: number } {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const fields = text.slice(close + 2).split(" ");
  return {
    name: text.slice(open + 1, close),
    userTicks: Number(fields[11]),
    systemTicks: Number(fields[12]),
  };
}

/** Nanoseconds on the CPU in a line of `schedstat`. */
export function parseSchedstat(text: string): number {
  return Number(text.split(" ")[0]);
}

/** CPU time of all threads of some processes; a thread that has gone is left out. */
export function readCpu(pids: readonly number[]): CpuTime {
  const threads = new Map<string, ThreadTime>();
  let user = 0;
  let system = 0;
  let total = 0;
  for (const pid of pids) {
    for (const thread of listThreads(pid)) {
      try {
        const stat = parseStat(readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8"));
        const ns = parseSchedstat(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"));
        user += (stat.userTicks * 1e6) / TICKS_PER_SECOND;
        system += (stat.systemTicks * 1e6) / TICKS_PER_SECOND;
        total += ns / 1000;
        threads.set(`${pid}/${thread}`, { name: stat.name, total: ns / 1000 });
      } catch {
        // The thread ended between the listing and the reading.
      }
    }
  }
  return { total, user, system, threads };
}

/** What was spent between two readings: the split is scaled so that user + system = total. */
export function cpuBetween(
  before: CpuTime,
  after: CpuTime,
): { total: number; user: number; system: number; busiest: ThreadTime } {
  const total = after.total - before.total;
  const user = after.user - before.user;
  const system = after.system - before.system;
  const scale = user + system > 0 ? total / (user + system) : 0;
  let busiest: ThreadTime = { name: "", total: 0 };
  for (const [id, thread] of after.threads) {
    const spent = thread.total - (before.threads.get(id)?.total ?? 0);
    if (spent > busiest.total) busiest = { name: thread.name, total: spent };
  }
  return { total, user: user * scale, system: system * scale, busiest };
}

/** Busy time of some cores ("0", "0,1") in a text of `/proc/stat`, in microseconds, whoever spent it. */
export function parseBusy(text: string, cores: string): number {
  let ticks = 0;
  for (const core of cores.split(",")) {
    const fields =
      new RegExp(`^cpu${core} (.*)$`, "m").exec(text)?.[1]?.split(" ").map(Number) ?? [];
    // user, nice, system, idle, iowait, irq, softirq, steal; the guest fields are in user already.
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
    ticks += user + nice + system + irq + softirq + steal;
  }
  return (ticks * 1e6) / TICKS_PER_SECOND;
}

/** Busy time of some cores so far, in microseconds. */
export function readBusy(cores: string): number {
  return parseBusy(readFileSync("/proc/stat", "utf8"), cores);
}

/** A process and all its descendants that are alive. */
export function processTree(root: number): readonly number[] {
  const found = [root];
  for (let index = 0; index < found.length; index += 1) {
    const pid = found[index];
    if (pid === undefined) break;
    for (const thread of listThreads(pid)) {
      try {
        const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
        if (children !== "") found.push(...children.split(" ").map(Number));
      } catch {
        // The thread ended between the listing and the reading.
      }
    }
  }
  return found;
}

function listThreads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
