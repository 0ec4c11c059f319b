// SPDX-License-Identifier: Apache-2.0

// Who is told what. Secrets are named and never written down: whoever may read the document, or the store, has none of them.

import type * as z from "zod";
import {
  exactlyOne,
  flag,
  httpUrl,
  list,
  object,
  oneOf,
  positiveDuration,
  text,
  textLike,
} from "../fields.ts";
import { secret } from "./shared.ts";
import { document, namespacedMetadata } from "./metadata.ts";

/** What a notification may be about. */
export const notificationEvents = [
  "verdict",
  "all-down",
  "failover",
  "isolated-edge",
  "refused-publish",
  "unkept-revision",
  "edge-disk",
  "expiring-certificate",
  "expiring-signature",
  "expiring-zone",
  "parent-ds",
  "ending-shift",
  "approval-wanted",
  "break-glass",
  "rollout",
  "drill-failed",
] as const;

export type NotificationEvent = (typeof notificationEvents)[number];

/** The members of a Notification's spec of which exactly one is there. */
export const receiverKinds = ["webhook", "slack", "alertmanager", "email"] as const;

export type ReceiverKind = (typeof receiverKinds)[number];

const mailbox = textLike(/^[^\s@<>"]{1,64}@[^\s@<>"]{1,253}$/, "an address such as a@example.org");

/** Whom to tell of what. */
export const notificationSchema = document(
  "Notification",
  namespacedMetadata,
  exactlyOne(
    object({
      events: list(oneOf(notificationEvents), 1, notificationEvents.length)
        .default([...notificationEvents])
        .describe("What to tell."),
      scope: oneOf(["namespace", "all"])
        .default("namespace")
        .describe(
          "Of this namespace alone, or of all and of what belongs to none; `all` is for administrators.",
        ),
      groupWait: positiveDuration()
        .default("5s")
        .describe("How long what happens is gathered into one message."),
      repeatAfter: positiveDuration()
        .optional()
        .describe(
          "When what still holds is told again; 4h, and 1m for an Alertmanager, unless set.",
        ),
      link: httpUrl()
        .optional()
        .describe("Where receivers reach the API, for links to what it says."),
      webhook: object({
        url: httpUrl().describe("Where a JSON message is posted."),
        token: secret.optional().describe("Bearer token to send with it."),
      })
        .optional()
        .describe("JSON to any program."),
      slack: object({ url: secret.describe("The address to post to, which is the secret itself.") })
        .optional()
        .describe("Text as Slack's incoming webhooks take it."),
      alertmanager: object({
        url: httpUrl().describe("Base address; `/api/v2/alerts` is added."),
        token: secret.optional().describe("Bearer token to send with it."),
      })
        .optional()
        .describe("Alerts as Prometheus sends them."),
      email: object({
        server: textLike(/^[A-Za-z0-9.:[\]-]{1,253}:[0-9]{1,5}$/, "HOST:PORT").describe(
          "Mail server, HOST:PORT.",
        ),
        tls: oneOf(["starttls", "implicit", "none"])
          .default("starttls")
          .describe("How the connection is protected; `none` sends no password."),
        from: mailbox.describe("Sender."),
        to: list(mailbox, 1, 32).describe("Recipients."),
        user: text(256).optional().describe("Name to log in with."),
        password: secret.optional().describe("Password to log in with."),
      })
        .optional()
        .describe("Mail by SMTP."),
      paused: flag().default(false).describe("Whether nothing is sent for now."),
    }),
    receiverKinds,
  ),
);

export type NotificationDocument = z.output<typeof notificationSchema>;
export type NotificationSpec = NotificationDocument["spec"];

/** How a Notification is delivered. */
export function receiverKindOf(spec: NotificationSpec): ReceiverKind {
  return receiverKinds.find((kind) => spec[kind] !== undefined) ?? "webhook";
}
