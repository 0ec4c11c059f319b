// SPDX-License-Identifier: Apache-2.0

// Sockets that a service manager opened and passed (systemd's LISTEN_PID and LISTEN_FDS, sd_listen_fds(3)). They outlive this process:
// what is asked while it restarts waits in them. Listening on port 53 then needs no capability.

import { activatedSockets, formatListenAddress, type OpenSocket } from "@meridian/edge";
import { loadNative } from "@meridian/native";
import { CommandError, ExitCode } from "./exit-code.ts";

/** Most sockets that a manager passes: more is a mistake. */
const PASSED_MAX = 1024;

/** What was passed to this process; [] where nothing was. Child processes are not told of it. */
export function passedSockets(): OpenSocket[] {
  const { LISTEN_PID, LISTEN_FDS = "0" } = process.env;
  for (const name of Object.keys(process.env))
    if (/^LISTEN_(PID|FDS|FDNAMES)$/.test(name)) Reflect.deleteProperty(process.env, name);
  if (LISTEN_PID !== String(process.pid)) return [];
  const count = Number(LISTEN_FDS);
  if (!Number.isInteger(count) || count < 0 || count > PASSED_MAX)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot take the sockets that were passed: LISTEN_FDS is "${LISTEN_FDS}", expected 0 to ${PASSED_MAX}`,
    );
  if (count === 0) return [];
  const loaded = loadNative();
  if (loaded.kind !== "loaded")
    throw new CommandError(
      ExitCode.failed,
      `Cannot take the sockets that were passed: the UDP add-on is missing (${loaded.reason})`,
    );
  return activatedSockets(loaded.native, { LISTEN_PID, LISTEN_FDS }, process.pid);
}

/** Where to listen: where sockets were passed for, and where the operator says besides; else `unlessPassed`. */
export function listenWith(
  passed: readonly OpenSocket[],
  given: readonly string[],
  unlessPassed: readonly string[],
): string[] {
  if (passed.length === 0) return [...unlessPassed];
  return [...new Set([...passed.map(({ listen }) => formatListenAddress(listen)), ...given])];
}
