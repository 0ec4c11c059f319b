// SPDX-License-Identifier: Apache-2.0

/** Least severe level that is written. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];
