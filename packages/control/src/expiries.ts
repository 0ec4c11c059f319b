// SPDX-License-Identifier: Apache-2.0

// What ends by itself unless somebody sees to it: tokens, the certificate of the API, and the authority that certifies edges. Certificates of
// edges, probes and controls are left out, as they renew themselves.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { DocumentSet } from "./documents/document-set.ts";
import { member } from "./documents/document-key.ts";

/** Tokens that are told of, those that end first. */
const TOKENS_MAX = 1000;

/** Something and when it ends, Unix milliseconds. */
export interface Expiry {
  /** `token/NAME`, `certificate/api` or `certificate/authority`. */
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
  if (pem === undefined) return [];
  try {
    const atMs = Date.parse(new X509Certificate(pem).validTo);
    return [{ subject: `certificate/${name}`, atMs }];
  } catch {
    return [];
  }
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
