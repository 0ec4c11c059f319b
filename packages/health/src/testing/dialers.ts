// SPDX-License-Identifier: Apache-2.0

import { loadNative } from "@meridian/native";
import type { Dialer } from "../dial/dialer.ts";
import { NativeDialer } from "../dial/native-dialer.ts";
import { SocketDialer } from "../dial/socket-dialer.ts";

/** Every way to connect that this machine has: probes do the same over each. */
export function dialers(): readonly { readonly how: string; readonly dialer: Dialer }[] {
  const load = loadNative();
  const sockets = { how: "sockets of node", dialer: new SocketDialer() };
  if (load.kind === "missing") return [sockets];
  return [sockets, { how: "the add-on", dialer: new NativeDialer(load.native) }];
}
