// SPDX-License-Identifier: Apache-2.0

import { MeridianError } from "@meridian/core";

/** What the command's exit code says. */
export const ExitCode = {
  done: 0,
  failed: 1,
  invalid: 2,
  refused: 3,
  notFound: 4,
  unreachable: 5,
  differences: 10,
  interrupted: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A command cannot do what it was asked to; the message is all that is shown. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

const codesRefused = new Set([
  "STATE_LOCKED",
  "EDGE_LISTEN_IN_USE",
  "EDGE_LISTEN_FORBIDDEN",
  "STORE_ACCESS_DENIED",
  "STORE_CONFLICT",
  "STORE_IN_USE",
  "STORE_NOT_EMPTY",
]);
const codesInvalid = new Set([
  "EDGE_LISTEN_INVALID",
  "HTTP_INSECURE",
  "TLS_FILES_INVALID",
  "STORE_FOREIGN",
  "STORE_REQUEST_INVALID",
  "STORE_REVISION_UNKNOWN",
]);
const codesInterrupted = new Set(["EDGE_HANDOVER_INTERRUPTED"]);
const codesUnreachable = new Set(["STORE_UNAVAILABLE"]);

/** The exit code for whatever a command threw. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof MeridianError) {
    if (codesRefused.has(error.code)) return ExitCode.refused;
    if (codesInvalid.has(error.code)) return ExitCode.invalid;
    if (codesInterrupted.has(error.code)) return ExitCode.interrupted;
    if (codesUnreachable.has(error.code)) return ExitCode.unreachable;
  }
  return ExitCode.failed;
}
