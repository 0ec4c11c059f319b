// SPDX-License-Identifier: Apache-2.0

// Whose a namespace is, how much it may hold, which names it may claim, and what it lets others use.

import type * as z from "zod";
import { domainName, list, name, object, oneOf, wholeNumber } from "../fields.ts";
import { clusterMetadata, document, namespacedMetadata } from "./metadata.ts";

const COUNT_MAX = 10_000_000;

const most = (what: string) =>
  wholeNumber(0, COUNT_MAX).optional().describe(`Most ${what}, 0 to ${COUNT_MAX}.`);

/** Kinds of documents that a Tenant may have only so many of. */
export const countedKinds = [
  "Pool",
  "EndpointSet",
  "HealthCheck",
  "TrafficPolicy",
  "Zone",
  "Record",
  "RecordSet",
  "Notification",
  "Grant",
] as const;

/** Namespaces that belong together, and their bounds. */
export const tenantSchema = document(
  "Tenant",
  clusterMetadata,
  object({
    namespaces: list(name(), 1, 256).describe(
      "Its namespaces; each belongs to one Tenant at most.",
    ),
    domains: list(domainName(), 1, 256)
      .optional()
      .describe(
        "Names it may claim, with all below; of nested ones of several Tenants the longest counts. Any that is nobody's unless set.",
      ),
    quotas: object({
      names: most("names: Records, and owners of static records"),
      endpoints: most("members of Pools and EndpointSets"),
      documents: object({
        Pool: most("documents of the kind"),
        EndpointSet: most("documents of the kind"),
        HealthCheck: most("documents of the kind"),
        TrafficPolicy: most("documents of the kind"),
        Zone: most("documents of the kind"),
        Record: most("documents of the kind"),
        RecordSet: most("documents of the kind"),
        Notification: most("documents of the kind"),
        Grant: most("documents of the kind"),
      })
        .prefault({})
        .describe("Most documents of each kind."),
    })
      .prefault({})
      .describe("How much its namespaces may hold together, of documents by API."),
  }),
);

export type TenantDocument = z.output<typeof tenantSchema>;

/** Kinds that may name a document of another namespace, and those that may be named. */
export const grantFromKinds = ["Record", "TrafficPolicy", "EndpointSet"] as const;
export const grantToKinds = ["Pool", "TrafficPolicy"] as const;

/** What documents of other namespaces may name in this one. */
export const grantSchema = document(
  "Grant",
  namespacedMetadata,
  object({
    from: list(
      object({
        kind: oneOf(grantFromKinds).describe("Kind that may name it."),
        namespace: name().describe("Namespace of those documents."),
      }),
      1,
      64,
    ).describe("Who may name something here."),
    to: list(
      object({
        kind: oneOf(grantToKinds).describe("Kind that may be named."),
        name: name().optional().describe("The one document; all of the kind unless set."),
      }),
      1,
      64,
    ).describe("What may be named."),
  }),
);

export type GrantDocument = z.output<typeof grantSchema>;
