// SPDX-License-Identifier: Apache-2.0

/** What the edge tells its owner; any structured logger can stand behind it. */
export interface EdgeLogger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Says nothing. */
export const SILENT_LOGGER: EdgeLogger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
