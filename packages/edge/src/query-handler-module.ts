// SPDX-License-Identifier: Apache-2.0

/** The handler module for `EdgeOptions.handlerModule`: Meridian's own query path (`HandlerData`, `SnapshotMessage`). */
export const queryHandlerModule: URL = new URL("./handler.ts", import.meta.url);
