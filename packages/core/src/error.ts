// SPDX-License-Identifier: Apache-2.0

/** Who has to act: the user who gave the input, or whoever runs the system. */
export type ErrorCause = "user" | "system";

/** An expected failure with a stable `code` (see docs/reference/errors.md). */
export class MeridianError extends Error {
  override readonly name: string = "MeridianError";
  readonly code: string;
  readonly causedBy: ErrorCause;

  constructor(code: string, causedBy: ErrorCause, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.causedBy = causedBy;
  }
}

/** The short reason of a failed system call, or the error's own words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  const known: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file",
    EACCES: "permission denied",
    EISDIR: "it is a folder",
    ENOTDIR: "part of the path is no folder",
  };
  return known[code] ?? error.message;
}
