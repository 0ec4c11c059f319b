// SPDX-License-Identifier: Apache-2.0
// Who may do what.
import type * as z from "zod";
import {
  domainLikeName,
  exactlyOne,
  list,
  mapOf,
  name,
  object,
  oneOf,
  text,
  textLike,
  textOrEmpty,
  time,
} from "../fields.ts";
import { clusterMetadata, document } from "./metadata.ts";

/** What a role may allow; `*` is all of it. */
export const accessVerbs = [
  "get",
  "list",
  "watch",
  "apply",
  "delete",
  "history",
  "diff",
  "rollback",
  "explain",
  "drain",
  "set",
  "run",
  "rollout",
  "undrain",
  "failback",
  "approve",
  "break-glass",
  "push",
  "reload",
  "audit",
  "token",
] as const;

export type AccessVerb = (typeof accessVerbs)[number];

const kindWord = textLike(/^(\*|[A-Z][A-Za-z]{0,62})$/, "a kind such as Pool, or *");

/** What a rule of a Role, or of a ChangePolicy, is about. */
export const accessRule = object({
  verbs: list(oneOf([...accessVerbs, "*"]), 1, accessVerbs.length + 1).describe(
    "What is allowed; `*` for everything.",
  ),
  kinds: list(kindWord, 1, 64)
    .default(["*"])
    .describe("Kinds it is allowed for; `*` for every one."),
  namespaces: list(name(), 1, 256)
    .optional()
    .describe("Only in these; kinds that belong to no namespace are out of reach then."),
  zones: list(domainLikeName(), 1, 256)
    .optional()
    .describe("Zones and Records only at or below these names; other kinds are not limited by it."),
  labels: mapOf(textOrEmpty(4096))
    .optional()
    .describe("Only documents that carry all of these labels."),
});

const member = exactlyOne(
  object({
    group: text(253).optional().describe("Group of the OpenID provider."),
    subject: text(253).optional().describe("Subject of the OpenID provider."),
    certificate: text(253).optional().describe("Common name of a client certificate."),
  }),
  ["group", "subject", "certificate"],
);

/** What some may do. */
export const roleSchema = document(
  "Role",
  clusterMetadata,
  object({
    rules: list(accessRule, 1, 64).describe("Each allows something; nothing forbids."),
    members: list(member, 0, 256)
      .default([])
      .describe("Who has it without a token of Meridian's own."),
  }),
);

/** Whom a bearer token stands for. */
export const tokenSchema = document(
  "Token",
  clusterMetadata,
  object({
    subject: text(253).describe("Whom it stands for, as the audit log shows it."),
    roles: list(name(), 1, 64).describe("Roles it has; `admin` and `viewer` are always there."),
    hash: textLike(/^[0-9a-f]{64}$/, "a SHA-256 in hexadecimal").describe("SHA-256 of the secret."),
    expiresAt: time().describe("When it stops being taken."),
  }),
);

export type RoleDocument = z.output<typeof roleSchema>;
export type RoleRule = RoleDocument["spec"]["rules"][number];
/** Who has a role by another proof than a token. */
export type RoleMember = z.output<typeof member>;
export type TokenDocument = z.output<typeof tokenSchema>;
