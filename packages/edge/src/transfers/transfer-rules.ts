// SPDX-License-Identifier: Apache-2.0

// Who may have a zone as a whole.

import {
  containsPrefix,
  parsePrefix,
  wordsOf,
  type AddressPrefix,
  type CertificateRule,
  type TransferRule,
} from "@meridian/snapshot";
import type { ClientCertificate } from "../client-certificate.ts";
import type { QueryState } from "../query-state.ts";

export interface Rule {
  readonly clients: readonly AddressPrefix[] | undefined;
  /** Name of the key, as text. */
  readonly key: string | undefined;
  readonly certificate: CertificateRule | undefined;
}

export function ruleOf(
  { clients, key }: TransferRule,
  certificate: CertificateRule | undefined,
): Rule {
  return { key, certificate, clients: clients?.flatMap((prefix) => parsePrefix(prefix) ?? []) };
}

/** Whether a client is somebody whom a rule lets have the zone: by its address, the key that signed, and what it has shown inside TLS. */
export function isAllowed(
  { source, sourceStart, family, nowSeconds }: QueryState,
  allow: readonly Rule[],
  signedBy: string | undefined,
  shown: ClientCertificate | undefined,
): boolean {
  const bytes = source.subarray(sourceStart, sourceStart + (family === 4 ? 4 : 16));
  const client: AddressPrefix = {
    family: family === 4 ? 4 : 6,
    length: bytes.length * 8,
    words: wordsOf(bytes),
  };
  return allow.some(({ clients, key, certificate }) => {
    if (key !== undefined && key !== signedBy) return false;
    if (certificate !== undefined && !isShown(certificate, shown, nowSeconds * 1000)) return false;
    return clients === undefined || clients.some((prefix) => containsPrefix(prefix, client));
  });
}

function isShown(
  { name, spki }: CertificateRule,
  shown: ClientCertificate | undefined,
  nowMs: number,
): boolean {
  if (shown === undefined) return false;
  return (
    (spki === undefined || shown.spki === spki) && (name === undefined || shown.isOf(name, nowMs))
  );
}
