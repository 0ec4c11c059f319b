// SPDX-License-Identifier: Apache-2.0
import { isIPv6 } from "node:net";
import { IcmpPinger, loadNative } from "@meridian/native";
import type { IcmpAvailability, IcmpSender } from "./icmp-sender.ts";
import { icmpAvailability } from "./ping-program.ts";

/** How ICMP checks probe here: sockets of the add-on, else the `ping` program, else not at all (and why). */
export async function findIcmpSender(): Promise<IcmpAvailability> {
  const load = loadNative();
  if (load.kind === "loaded") {
    try {
      const pingers = {
        ipv4: IcmpPinger.open(load.native, 4),
        ipv6: openOptional(() => IcmpPinger.open(load.native, 6)),
      };
      return { available: true, sender: senderOf(pingers) };
    } catch {
      // Neither ping sockets nor raw ones are allowed to this user: the set-uid program may be.
    }
  }
  return icmpAvailability();
}

/** Why ICMP checks cannot run in this process, or undefined where they can. Takes microseconds where the add-on may open its socket. */
export async function echoesUnavailable(): Promise<string | undefined> {
  const load = loadNative();
  if (load.kind === "loaded") {
    try {
      load.native.closeSocket(load.native.openIcmp(4).fd);
      return undefined;
    } catch {
      // As above.
    }
  }
  const availability = await icmpAvailability();
  return availability.available ? undefined : availability.reason;
}

function openOptional(open: () => IcmpPinger): IcmpPinger | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}

function senderOf(pingers: {
  readonly ipv4: IcmpPinger;
  readonly ipv6: IcmpPinger | undefined;
}): IcmpSender {
  return {
    send(address, timeoutMs, done) {
      let isStopped = false;
      const pinger = isIPv6(address) ? pingers.ipv6 : pingers.ipv4;
      const tell = (answered: boolean, reason: string): void => {
        if (!isStopped) done(answered, reason);
      };
      if (pinger === undefined) {
        queueMicrotask(() => tell(false, "this machine sends no IPv6 echoes"));
      } else {
        void pinger.echo(address, timeoutMs).then((result) => {
          if (result.kind === "reply") tell(true, `echo in ${result.rttMs.toFixed(1)} ms`);
          else if (result.kind === "timeout") tell(false, `no echo in ${timeoutMs} ms`);
          else tell(false, result.reason);
        });
      }
      return () => {
        isStopped = true;
      };
    },
  };
}
