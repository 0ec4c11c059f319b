// SPDX-License-Identifier: Apache-2.0

/** The batched UDP add-on: sockets, batches of packets, handing sockets over, ICMP. Linux only; see `../build.mjs`. */

export { loadNative } from "./load.ts";
export type { NativeLoad } from "./load.ts";
export { TURN_POLL, TURN_SEND, TURN_WAIT } from "./native.ts";
export type { Native, NativeBatch, NativeIcmp, TurnMode } from "./native.ts";
export { IcmpPinger } from "./icmp.ts";
export type { EchoResult } from "./icmp.ts";
