// SPDX-License-Identifier: Apache-2.0

// Sends one message to one receiver. What is thrown says why in words that hold no secret.

import { reasonOf } from "@meridian/core";
import type { NotificationDocument, NotificationSpec, SecretReference } from "@meridian/model";
import {
  alertmanagerMessage,
  mailMessage,
  slackMessage,
  webhookMessage,
  type MessageSource,
} from "./message.ts";
import type { Batch } from "./notification-queue.ts";
import type { Secrets } from "../secrets/secrets.ts";

/** How long one attempt may take. */
const ATTEMPT_MS_MAX = 10_000;

/** What a delivery needs besides the message. */
export interface DeliveryContext {
  readonly secrets: Secrets;
  readonly host: string;
  readonly nowMs: number;
  readonly repeatAfterMs: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/** Sends a batch as the document says. Rejects where it was not taken. */
export async function deliver(
  { metadata, spec }: NotificationDocument,
  batch: Batch,
  context: DeliveryContext,
): Promise<void> {
  const { namespace, name } = metadata;
  const source = { notification: `${namespace}/${name}`, host: context.host, link: spec.link };
  const secret = (reference: SecretReference): Promise<string> =>
    context.secrets.read(namespace, reference);
  const bearer = async (reference: SecretReference | undefined): Promise<Headers> =>
    new Headers(
      reference === undefined ? {} : { authorization: `Bearer ${await secret(reference)}` },
    );
  const { webhook, slack, alertmanager, email } = spec;
  if (webhook !== undefined) {
    const headers = await bearer(webhook.token);
    await post(webhook.url, webhookMessage(batch, source), headers, context.signal);
  }
  if (slack !== undefined) {
    const url = await secret(slack.url);
    if (!URL.canParse(url)) throw new TypeError("the secret is no address");
    await post(url, slackMessage(batch, source), new Headers(), context.signal);
  }
  if (alertmanager !== undefined) {
    const url = `${alertmanager.url.replace(/\/+$/, "")}/api/v2/alerts`;
    const alerts = alertmanagerMessage(batch, source, context.repeatAfterMs, context.nowMs);
    await post(url, alerts, await bearer(alertmanager.token), context.signal);
  }
  if (email !== undefined) await mail(email, batch, source, secret);
}

async function post(
  url: string,
  body: object,
  headers: Headers,
  signal: AbortSignal,
): Promise<void> {
  headers.set("content-type", "application/json");
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      // Elsewhere is not where the token was meant to go.
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS_MAX)]),
    });
  } catch (error) {
    // Of `fetch failed` only the cause says why, by a code or by words; neither holds the path of the address.
    const cause = error instanceof Error ? error.cause : undefined;
    throw new Error(cause === undefined ? reasonOf(error) : reasonOf(cause), { cause: error });
  }
  await response.body?.cancel();
  if (!response.ok) throw new Error(`it answered ${response.status}`);
}

async function mail(
  { server, tls, from, to, user, password }: NonNullable<NotificationSpec["email"]>,
  batch: Batch,
  source: MessageSource,
  secret: (reference: SecretReference) => Promise<string>,
): Promise<void> {
  // Loaded by those alone who send mail.
  const { createTransport } = await import("nodemailer");
  const at = server.lastIndexOf(":");
  const hasLogin = user !== undefined && password !== undefined && tls !== "none";
  const transport = createTransport({
    host: server.slice(0, at).replace(/^\[|\]$/g, ""),
    port: Number(server.slice(at + 1)),
    secure: tls === "implicit",
    requireTLS: tls === "starttls",
    ignoreTLS: tls === "none",
    connectionTimeout: ATTEMPT_MS_MAX,
    greetingTimeout: ATTEMPT_MS_MAX,
    socketTimeout: ATTEMPT_MS_MAX,
    ...(hasLogin ? { auth: { user, pass: await secret(password) } } : {}),
  });
  const { subject, text } = mailMessage(batch, source);
  try {
    await transport.sendMail({
      from,
      to,
      subject,
      text,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  } finally {
    transport.close();
  }
}
