// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { buildNative, nativePath } from "../measure/native.ts";
import { startPinned } from "../measure/program.ts";
import type { ServerAdapter } from "./adapter.ts";

/** The floor: a C program that turns each datagram round. */
export const echo: ServerAdapter = {
  name: "echo",
  label: () => "C echo (floor)",
  answers: () => undefined,
  version: async () =>
    (await buildNative("echo")) === undefined ? undefined : "recvmmsg/sendmmsg",
  serves: () => true,
  configure: () => undefined,
  start: ({ cores, port, folder }) =>
    startPinned(cores, nativePath("echo"), ["127.0.0.1", String(port)], join(folder, "log")),
};
