// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { object, text, textOrEmpty } from "../fields.ts";

/** Which zones a catalog lists (RFC 9432). */
export const zoneCatalog = object({
  labels: z
    .record(text(253), textOrEmpty(4096), { error: "a mapping from names to text" })
    .default({})
    .describe("Zones that carry all of these labels; every zone when empty."),
});

export type ZoneCatalog = z.output<typeof zoneCatalog>;

/** What a catalog says besides; its records are made. */
interface Others {
  readonly catalog?: ZoneCatalog | undefined;
  readonly secondary?: object | undefined;
  readonly nameServers: readonly unknown[];
  readonly records: readonly unknown[];
  readonly file?: string | undefined;
  readonly dnssec?: object | undefined;
  readonly updates?: object | undefined;
}

/** Whether a catalog has no records of others. */
export function holdsCatalogAlone(spec: Others): boolean {
  const { catalog, secondary, nameServers, records, file, dnssec, updates } = spec;
  return (
    catalog === undefined ||
    (nameServers.length + records.length === 0 &&
      (secondary ?? file ?? dnssec ?? updates) === undefined)
  );
}
