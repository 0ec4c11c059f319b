// SPDX-License-Identifier: Apache-2.0

/** The batched UDP add-on: sockets, batches of packets, TCP connections of probes, handing sockets over, ICMP. Linux only; see `../build.mjs`. */

export { loadNative } from "./load.ts";
export type { NativeLoad } from "./load.ts";
export {
  DIAL_BYTES,
  DIAL_ENDED,
  DIAL_EVENT_FIELDS,
  DIAL_FAILED,
  DIAL_WRITABLE,
  PRIORITY_ANSWERS,
  PRIORITY_FAIR,
  PRIORITY_VERDICTS,
  TURN_POLL,
  TURN_SEND,
  TURN_WAIT,
} from "./native.ts";
export type { Native, NativeBatch, NativeDialer, NativeIcmp, TurnMode } from "./native.ts";
export { IcmpPinger } from "./icmp.ts";
export type { EchoResult } from "./icmp.ts";
