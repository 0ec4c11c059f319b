// SPDX-License-Identifier: Apache-2.0

import type { TestContext } from "node:test";
import {
  RRType,
  decodeMessage,
  encodeMessage,
  formatIpv4,
  formatIpv6,
  makeQuery,
  parseName,
} from "@meridian/dns";
import { tcpClient, udpClient, type DnsClient } from "../conformance/dns-client.ts";
import { hasIpv6 } from "./process.ts";

/** A client with a name for messages. */
export interface NamedClient {
  readonly label: string;
  readonly client: DnsClient;
}

/** Sockets per transport and family: with two UDP workers, all of one worker is one case in eight. */
const UDP_SOCKETS = 4;

/** Clients over UDP and TCP, IPv4 and IPv6, that are closed after the test. */
export async function allClients(t: TestContext, port: number): Promise<NamedClient[]> {
  const addresses = hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
  const clients: NamedClient[] = [];
  for (const address of addresses) {
    for (let socket = 0; socket < UDP_SOCKETS; socket++)
      clients.push({ label: `UDP ${address}`, client: await udpClient(address, port) });
    clients.push({ label: `TCP ${address}`, client: await tcpClient(address, port) });
  }
  t.after(() => {
    for (const { client } of clients) client.close();
  });
  return clients;
}

/** Addresses that a name is answered with, or `RCODE n`. */
export async function ask(
  client: DnsClient,
  name: string,
  type: "A" | "AAAA",
  isRecursive = false,
): Promise<string[]> {
  return addressesIn(await client.ask(queryFor(name, type, isRecursive)));
}

/** The bytes of a query. */
export function queryFor(
  name: string,
  type: "A" | "AAAA" | "SRV",
  isRecursive = false,
): Uint8Array {
  const wire = parseName(name);
  if (!(wire instanceof Uint8Array)) throw new Error(wire.error);
  return encodeMessage(makeQuery(wire, RRType[type], { rd: isRecursive }));
}

/** Addresses in the bytes of an answer, or `RCODE n`. */
export function addressesIn(bytes: Uint8Array): string[] {
  const answer = decodeMessage(bytes);
  if ("error" in answer) throw new Error(answer.error);
  if (answer.rcode !== 0) return [`RCODE ${answer.rcode}`];
  return answer.answer.flatMap(({ type, rdata }) => {
    if (type === RRType.A) return [formatIpv4(rdata, 0)];
    return type === RRType.AAAA ? [formatIpv6(rdata, 0)] : [];
  });
}
