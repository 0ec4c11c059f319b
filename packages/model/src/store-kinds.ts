// SPDX-License-Identifier: Apache-2.0

// Kinds that only the API takes, never a file, and that no compiler looks at: who may do what, and who is told what.

import { type Finding, findingsOf } from "./issues.ts";
import { roleSchema, tokenSchema, type RoleDocument, type TokenDocument } from "./kinds/access.ts";
import { changePolicySchema, type ChangePolicyDocument } from "./kinds/change-policy.ts";
import { drillSchema, type DrillDocument } from "./kinds/drill.ts";
import { cellSchema, type CellDocument } from "./kinds/cell.ts";
import {
  grantSchema,
  tenantSchema,
  type GrantDocument,
  type TenantDocument,
} from "./kinds/tenant.ts";
import {
  controlPanelSchema,
  routingControlSchema,
  safetyRuleSchema,
  type ControlPanelDocument,
  type RoutingControlDocument,
  type SafetyRuleDocument,
} from "./kinds/routing-control.ts";
import { rolloutSchema, type RolloutDocument } from "./kinds/rollout.ts";
import { trafficProfileSchema, type TrafficProfileDocument } from "./kinds/traffic-profile.ts";
import { recoveryPlanSchema, type RecoveryPlanDocument } from "./kinds/recovery-plan.ts";
import { notificationSchema, type NotificationDocument } from "./kinds/notification.ts";

/** The schema of each. */
export const storeSchemas = {
  Role: roleSchema,
  Token: tokenSchema,
  Tenant: tenantSchema,
  Grant: grantSchema,
  Notification: notificationSchema,
  Cell: cellSchema,
  ControlPanel: controlPanelSchema,
  RoutingControl: routingControlSchema,
  SafetyRule: safetyRuleSchema,
  TrafficProfile: trafficProfileSchema,
  ChangePolicy: changePolicySchema,
  RecoveryPlan: recoveryPlanSchema,
  Rollout: rolloutSchema,
  Drill: drillSchema,
} as const;

export type StoreKind = keyof typeof storeSchemas;
export type StoreDocument =
  | RoleDocument
  | TokenDocument
  | TenantDocument
  | GrantDocument
  | NotificationDocument
  | CellDocument
  | ControlPanelDocument
  | RoutingControlDocument
  | SafetyRuleDocument
  | TrafficProfileDocument
  | ChangePolicyDocument
  | RecoveryPlanDocument
  | RolloutDocument
  | DrillDocument;

/** Those kinds, in the order in which reference pages list them. */
export const storeKinds: readonly StoreKind[] = Object.keys(storeSchemas).filter(isStoreKind);

/** Whether a word names one of them. */
export function isStoreKind(word: string): word is StoreKind {
  return Object.hasOwn(storeSchemas, word);
}

/** Reads a document of such a kind; findings say what is wrong with it. */
export function parseStoreDocument(
  kind: StoreKind,
  raw: unknown,
): { readonly document: StoreDocument } | { readonly findings: readonly Finding[] } {
  const result = storeSchemas[kind].safeParse(raw);
  if (result.success) return { document: result.data };
  return { findings: findingsOf(result.error, storeSchemas[kind], raw, `Cannot read ${kind}`) };
}
