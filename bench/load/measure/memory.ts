// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/** Memory of some processes in bytes, as `/proc/PID/status` tells it. Pages that they share are counted once for each. */
export interface Memory {
  /** What is resident: the sum of the next three. */
  readonly resident: number;
  /** Heaps, stacks and buffers. */
  readonly anonymous: number;
  /** Mapped files, programs and libraries among them. */
  readonly file: number;
  readonly shared: number;
  /** The most that was ever resident. */
  readonly peak: number;
}

const none: Memory = { resident: 0, anonymous: 0, file: 0, shared: 0, peak: 0 };

/** Memory of some processes; one that has gone is left out. */
export function readMemory(pids: readonly number[]): Memory {
  let sum = none;
  for (const pid of pids) {
    try {
      sum = add(sum, parseMemory(readFileSync(`/proc/${pid}/status`, "utf8")));
    } catch {
      // The process ended.
    }
  }
  return sum;
}

/** Memory in a text of `/proc/PID/status`; 0 where a line is missing. */
export function parseMemory(status: string): Memory {
  const bytes = (field: string): number =>
    1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);
  return {
    resident: bytes("VmRSS"),
    anonymous: bytes("RssAnon"),
    file: bytes("RssFile"),
    shared: bytes("RssShmem"),
    peak: bytes("VmHWM"),
  };
}

function add(a: Memory, b: Memory): Memory {
  return {
    resident: a.resident + b.resident,
    anonymous: a.anonymous + b.anonymous,
    file: a.file + b.file,
    shared: a.shared + b.shared,
    peak: a.peak + b.peak,
  };
}
