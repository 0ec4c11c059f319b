// SPDX-License-Identifier: Apache-2.0

// What ends by itself unless somebody sees to it: tokens, the certificate of the API, and the authority that certifies edges. Certificates of
// edges, probes and controls are left out, as they renew themselves; `get edges` has those of edges.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ControlStatus } from "./edges/control-peers.ts";
import type { DocumentSet } from "./documents/document-set.ts";
import { member } from "./documents/document-key.ts";

/** Tokens that are told of, those that end first. */
const TOKENS_MAX = 1000;

/** Something and when it ends, Unix milliseconds. */
export interface Expiry {
  /** `token/NAME`, `certificate/api` or `certificate/authority`; `control/NAME` for the API of one of several controls. */
  readonly subject: string;
  readonly atMs: number;
}

/** Where certificates are found. */
export interface ExpiringCertificates {
  /** Path of the API's certificate, where it has one. */
  readonly api: string | undefined;
  /** PEM of the authority of edges, where there is one. */
  readonly authority: string | undefined;
}

/** The certificates that somebody has to renew: those of the APIs of all controls, and of their authority. */
export function expiriesOf(statuses: readonly ControlStatus[]): Expiry[] {
  const authorities = statuses.flatMap(({ control }) => control.authorityEndsMs ?? []);
  return [
    ...statuses.flatMap(({ control: { name, certificateEndsMs: atMs } }) =>
      atMs === undefined ? [] : [{ subject: `control/${name}`, atMs }],
    ),
    ...authorities.slice(0, 1).map((atMs) => ({ subject: "certificate/authority", atMs })),
  ];
}

/** Everything that ends, first what ends first; a file that cannot be read is left out. */
export function expiries(
  documents: Pick<DocumentSet, "ofKind">,
  { api, authority }: ExpiringCertificates,
): Expiry[] {
  const tokens = [...documents.ofKind("Token")].map(({ key, text }): Expiry => {
    const atMs = Date.parse(String(member(member(JSON.parse(text), "spec"), "expiresAt")));
    return { subject: `token/${key.name}`, atMs };
  });
  return [
    ...tokens.toSorted(byTime).slice(0, TOKENS_MAX),
    ...certificateExpiry("api", api === undefined ? undefined : textOf(api)),
    ...certificateExpiry("authority", authority),
  ].toSorted(byTime);
}

function certificateExpiry(name: string, pem: string | undefined): Expiry[] {
  const atMs = pem === undefined ? undefined : certificateEnd(pem);
  return atMs === undefined ? [] : [{ subject: `certificate/${name}`, atMs }];
}

/** When a certificate (PEM) ends, Unix milliseconds; undefined for what is none. */
export function certificateEnd(pem: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** When the certificate of a file ends, Unix milliseconds; undefined where there is none. */
export function certificateFileEnd(path: string | undefined): number | undefined {
  const pem = path === undefined ? undefined : textOf(path);
  return pem === undefined ? undefined : certificateEnd(pem);
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function byTime(a: Expiry, b: Expiry): number {
  return a.atMs - b.atMs;
}
