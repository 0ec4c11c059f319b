// SPDX-License-Identifier: Apache-2.0

// How a message looks to each kind of receiver. Pure: the same batch gives the same message, so that one that is sent again is the same.

import { createHash } from "node:crypto";
import { alertKey, type SeenAlert } from "./alert.ts";
import type { Batch } from "./notification-queue.ts";

/** Alerts that one message names; the others are counted. */
const SHOWN_MAX = 100;
/** An Alertmanager forgets an alert that it did not hear of for so many times the interval between two messages. */
const ALERTMANAGER_INTERVALS = 3;

/** Whom a message is from. */
export interface MessageSource {
  /** `NAMESPACE/NAME` of the Notification. */
  readonly notification: string;
  /** Host that sends. */
  readonly host: string;
  /** Base of links; undefined for none. */
  readonly link: string | undefined;
}

/** The JSON of a webhook. `id` is that of its content: a receiver that has seen it has seen this. */
export function webhookMessage(batch: Batch, source: MessageSource): object {
  const shown = (alerts: readonly SeenAlert[]): object[] =>
    alerts.slice(0, SHOWN_MAX).map((alert) => ({
      event: alert.event,
      subject: alert.subject,
      namespace: alert.namespace,
      summary: alert.summary,
      since: new Date(alert.sinceMs).toISOString(),
      ...asking(alert, source.link),
    }));
  return {
    version: 1,
    id: idOf(batch),
    notification: source.notification,
    source: source.host,
    reminder: batch.isReminder,
    firing: shown(batch.firing),
    resolved: shown(batch.resolved),
    notShown: hidden(batch.firing) + hidden(batch.resolved),
  };
}

/** What Slack's incoming webhooks and those shaped like them take. */
export function slackMessage(batch: Batch, source: MessageSource): object {
  return { text: `*${escapeSlack(subjectLine(batch))}*\n${slackLines(batch, source).join("\n")}` };
}

/** The subject and the text of a mail. */
export function mailMessage(
  batch: Batch,
  source: MessageSource,
): { readonly subject: string; readonly text: string } {
  const lines = [...sections(batch)].flatMap(([title, alerts]) => [
    `${title}:`,
    ...alerts.slice(0, SHOWN_MAX).flatMap((alert) => {
      const { command, link } = asking(alert, source.link);
      return [
        `  ${alert.summary} (since ${new Date(alert.sinceMs).toISOString()})`,
        `    ${command}`,
        ...(link === undefined ? [] : [`    ${link}`]),
      ];
    }),
    ...moreLines(alerts),
    "",
  ]);
  const from = `Sent by ${source.host} for the Notification ${source.notification}.`;
  return { subject: `[Meridian] ${subjectLine(batch)}`, text: [...lines, from, ""].join("\n") };
}

/** Alerts as `POST /api/v2/alerts` of an Alertmanager takes them; it groups and de-duplicates by the labels. */
export function alertmanagerMessage(
  batch: Batch,
  source: MessageSource,
  repeatAfterMs: number,
  nowMs: number,
): object[] {
  const alert = (each: SeenAlert, endsAtMs: number): object => {
    const { command, link } = asking(each, source.link);
    return {
      labels: {
        alertname: `Meridian${each.event.replaceAll(/(^|-)([a-z])/g, (_all, _dash, letter: string) => letter.toUpperCase())}`,
        subject: each.subject,
        ...(each.namespace === "" ? {} : { namespace: each.namespace }),
      },
      annotations: { summary: each.summary, command },
      startsAt: new Date(each.sinceMs).toISOString(),
      endsAt: new Date(endsAtMs).toISOString(),
      ...(link === undefined ? {} : { generatorURL: link }),
    };
  };
  return [
    ...batch.firing.map((each) => alert(each, nowMs + ALERTMANAGER_INTERVALS * repeatAfterMs)),
    ...batch.resolved.map((each) => alert(each, nowMs)),
  ];
}

/** How to ask why: a command, and a link where the API can be reached. */
function asking(
  { event, subject }: SeenAlert,
  base: string | undefined,
): { readonly command: string; readonly link?: string } {
  const [command, path] = questionOf(event, subject);
  return base === undefined ? { command } : { command, link: `${base.replace(/\/+$/, "")}${path}` };
}

function questionOf(event: SeenAlert["event"], subject: string): readonly [string, string] {
  const history = (key: string): readonly [string, string] => [
    `meridian health history ${key}`,
    `/v1/health/history?endpoint=${encodeURIComponent(key)}`,
  ];
  switch (event) {
    case "parent-ds":
    case "expiring-signature":
      return [`meridian dnssec status ${subject.slice("zone/".length)}`, "/v1/dnssec"];
    case "expiring-zone":
      return ["meridian get secondaries", "/v1/secondaries"];
    case "verdict":
    case "expiring-certificate":
      if (subject.startsWith("endpoint/")) return history(subject);
      if (subject.startsWith("edge/")) return ["meridian get edges", "/v1/edges"];
      // A process alone is on no list; its metrics say it.
      return subject === "certificate/api"
        ? ["openssl x509 -noout -enddate -in FILE", "/metrics"]
        : ["meridian get controls", "/v1/controls"];
    case "all-down":
      return history(`${subject.replace(/^pool\//, "endpoint/")}/`);
    case "failover":
      return ["meridian get latches", "/v1/latches"];
    case "isolated-edge":
    case "edge-disk":
      return ["meridian get edges", "/v1/edges"];
    case "unkept-revision":
      return ["df", "/v1/status"];
    case "refused-publish":
      return ["meridian history", "/v1/status"];
    case "approval-wanted":
    case "break-glass":
      return ["meridian get approvals", "/v1/approvals"];
    case "drill-failed":
      return ["meridian get drills", "/v1/drills"];
    case "ending-shift":
      return ["meridian get shifts", "/v1/shifts"];
    case "rollout": {
      const [, namespace = "", name = ""] = subject.split("/");
      return [`meridian rollout status ${name} -n ${namespace}`, "/v1/rollouts"];
    }
  }
}

function* sections(batch: Batch): Generator<readonly [string, readonly SeenAlert[]]> {
  if (batch.firing.length > 0)
    yield [batch.isReminder ? "Still so, or new" : "New", batch.firing] as const;
  if (batch.resolved.length > 0) yield ["No longer", batch.resolved] as const;
}

function slackLines(batch: Batch, source: MessageSource): string[] {
  return [...sections(batch)].flatMap(([title, alerts]) => [
    `${title}:`,
    ...alerts.slice(0, SHOWN_MAX).map((alert) => {
      const { command, link } = asking(alert, source.link);
      const why = link === undefined ? `\`${command}\`` : `<${link}|${command}>`;
      return `• ${escapeSlack(alert.summary)} (${why})`;
    }),
    ...moreLines(alerts),
  ]);
}

function subjectLine({ firing, resolved, isReminder }: Batch): string {
  const [first] = firing.length > 0 ? firing : resolved;
  const counts = [
    ...(firing.length > 0 ? [`${firing.length} ${isReminder ? "hold" : "new"}`] : []),
    ...(resolved.length > 0 ? [`${resolved.length} ended`] : []),
  ].join(", ");
  const isOne = firing.length + resolved.length === 1;
  const ended = firing.length === 0 ? "ended: " : "";
  return isOne ? `${ended}${first?.summary ?? ""}` : `${counts}: ${first?.summary ?? ""}, and more`;
}

function moreLines(alerts: readonly SeenAlert[]): string[] {
  return hidden(alerts) === 0 ? [] : [`  and ${hidden(alerts)} more`];
}

function hidden(alerts: readonly SeenAlert[]): number {
  return Math.max(0, alerts.length - SHOWN_MAX);
}

/** Slack takes these three as markup. */
function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function idOf({ firing, resolved, isReminder }: Batch): string {
  const keys = (alerts: readonly SeenAlert[]): string[] =>
    alerts.map((alert) => `${alertKey(alert)} ${alert.sinceMs}`).toSorted();
  const text = JSON.stringify([isReminder, keys(firing), keys(resolved)]);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
