// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { dataSetSchema } from "./kinds/data-set.ts";
import { healthCheckSchema } from "./kinds/health-check.ts";
import { endpointSetSchema, poolSchema } from "./kinds/pool.ts";
import { recordSchema } from "./kinds/record.ts";
import { recordSetSchema } from "./kinds/record-set.ts";
import { shiftSchema } from "./kinds/shift.ts";
import { siteSchema } from "./kinds/site.ts";
import { trafficPolicySchema } from "./kinds/traffic-policy.ts";
import { viewSchema } from "./kinds/view.ts";
import { zoneSchema } from "./kinds/zone.ts";

/** The schema of every kind. */
export const schemas = {
  Site: siteSchema,
  Pool: poolSchema,
  EndpointSet: endpointSetSchema,
  HealthCheck: healthCheckSchema,
  TrafficPolicy: trafficPolicySchema,
  View: viewSchema,
  Zone: zoneSchema,
  Record: recordSchema,
  RecordSet: recordSetSchema,
  DataSet: dataSetSchema,
  Shift: shiftSchema,
} as const;

/** The kinds, in the order in which reference pages list them. */
export const kinds = Object.keys(schemas).filter(isKind);

export type Kind = keyof typeof schemas;

/** Where a document was read. */
export interface Source {
  readonly file: string;
  /** The line it starts on, from 1. */
  readonly line: number;
}

type Sourced<Schema extends z.ZodType> = z.output<Schema> & { readonly source: Source };

export type SiteDocument = Sourced<typeof siteSchema>;
export type PoolDocument = Sourced<typeof poolSchema>;
export type EndpointSetDocument = Sourced<typeof endpointSetSchema>;
export type HealthCheckDocument = Sourced<typeof healthCheckSchema>;
export type TrafficPolicyDocument = Sourced<typeof trafficPolicySchema>;
export type ViewDocument = Sourced<typeof viewSchema>;
export type ZoneDocument = Sourced<typeof zoneSchema>;
export type RecordDocument = Sourced<typeof recordSchema>;
export type RecordSetDocument = Sourced<typeof recordSetSchema>;
export type DataSetDocument = Sourced<typeof dataSetSchema>;
export type ShiftDocument = Sourced<typeof shiftSchema>;

/** A document of any kind, defaults filled in, told apart by `kind`. */
export type Document =
  | SiteDocument
  | PoolDocument
  | EndpointSetDocument
  | HealthCheckDocument
  | TrafficPolicyDocument
  | ViewDocument
  | ZoneDocument
  | RecordDocument
  | RecordSetDocument
  | DataSetDocument
  | ShiftDocument;

/** Whether a word names a kind. */
export function isKind(word: string): word is Kind {
  return Object.hasOwn(schemas, word);
}

/** Which document is meant: unique in a model. */
export interface DocumentId {
  readonly kind: Kind;
  /** Empty for the kinds that belong to no tenant. */
  readonly namespace: string;
  readonly name: string;
}

/** `Pool web` or, outside the default namespace, `Pool shop/web`. */
export function formatDocumentId(id: DocumentId): string {
  const inside = id.namespace === "" || id.namespace === "default" ? "" : `${id.namespace}/`;
  return `${id.kind} "${inside}${id.name}"`;
}

/** The id of a document. */
export function documentIdOf(document: Document): DocumentId {
  const { kind, metadata } = document;
  const namespace = "namespace" in metadata ? metadata.namespace : "";
  return { kind, namespace, name: metadata.name };
}
