// SPDX-License-Identifier: Apache-2.0
import { type ResolverClients, parsePrefix } from "@meridian/snapshot/writer";
import { csvLines } from "./csv.ts";
import { unreadable } from "./unreadable.ts";

/** Reads lines `resolver-prefix,client-prefix`. */
export function readResolversCsv(bytes: Uint8Array): ResolverClients[] {
  const entries: ResolverClients[] = [];
  for (const { number, fields } of csvLines(bytes, "resolver-prefix")) {
    const resolver = parsePrefix(fields[0] ?? "");
    const client = parsePrefix(fields[1] ?? "");
    if (resolver === undefined || client === undefined || fields.length !== 2) {
      throw unreadable(
        `Cannot read the data set: line ${number} is "${fields.join(",")}", expected resolver-prefix,client-prefix`,
      );
    }
    entries.push({ resolver, client });
  }
  return entries;
}
