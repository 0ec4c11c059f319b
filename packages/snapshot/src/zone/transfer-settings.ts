// SPDX-License-Identifier: Apache-2.0

// Who may have a zone as a whole, and how. It travels in the zone's section as text: it is read once for a snapshot, by the worker that
// transfers, never for a query. Secrets are named in it; edges are sent them sealed.

import type { Section } from "../section.ts";
import type { World } from "../world.ts";
import { encodeSettings, readSettings, settingsBytes } from "./settings-text.ts";
import { ZoneTableId } from "./zone-format.ts";

/** As what names that are routed go out: with the answer that no client in particular gets, all that are healthy; with all endpoints; not. */
export const transferForms = ["default", "all", "omit"] as const;
export type TransferAs = (typeof transferForms)[number];

/** A key by which transfers are signed. */
export interface TransferKey {
  /** A domain name, in presentation form. */
  readonly name: string;
  readonly algorithm: string;
  /** What `encodeSecrets()` calls it; its value is base64. */
  readonly secret: string;
}

/** Who fits all that a rule says may have the zone. */
export interface TransferRule {
  /** Prefixes in presentation form; absent is everyone. */
  readonly clients?: readonly string[];
  /** Name of a key. */
  readonly key?: string;
}

/** A certificate that a client shows inside TLS: it fits all that is said. */
export interface CertificateRule {
  /** A DNS name that it is for. */
  readonly name?: string;
  /** SHA-256 of its SubjectPublicKeyInfo, as base64. */
  readonly spki?: string;
}

/** Who fits all that a rule says, a certificate among it. */
export interface CertifiedRule extends TransferRule {
  readonly certificate: CertificateRule;
}

/** A secondary that is told when the zone's serial has changed (RFC 1996). */
export interface NotifiedSecondary {
  /** IPv4 or IPv6, in presentation form. */
  readonly address: string;
  readonly port: number;
  /** Name of the key that signs. */
  readonly key?: string;
}

export interface TransferSettings {
  readonly keys: readonly TransferKey[];
  readonly allow: readonly TransferRule[];
  /** Beside those: by themselves, as who does not know of certificates would read them as rules for anybody. */
  readonly certified?: readonly CertifiedRule[];
  readonly notify?: readonly NotifiedSecondary[];
  /** Set where the zone is to be signed: it does not go out without signatures then. */
  readonly isSigned?: boolean;
  /** Set where the zone lists others (RFC 9432): secondaries ask for those as soon as they have it. */
  readonly isCatalog?: boolean;
  /** Digests over the zone that it goes out with (ZONEMD, RFC 8976). */
  readonly digests?: readonly ("sha384" | "sha512")[];
  /** Whether the zone goes out over TLS 1.3 alone (RFC 9103). */
  readonly encryptedOnly?: boolean;
  readonly transferAs: TransferAs;
  /** Whether holders of keys may send updates: what they may change is control's to say. */
  readonly takesUpdates?: boolean;
}

/** Settings as a zone section holds them. */
export function encodeTransferSettings(settings: TransferSettings): Uint8Array {
  return encodeSettings(settings);
}

/** The settings in a zone section; undefined where it has none, or none that are understood: then nobody may have the zone. */
export function readTransferSettings(section: Section): TransferSettings | undefined {
  return readSettings(section, ZoneTableId.transfers, isSettings);
}

/** A copy of the settings' bytes in a zone section. */
export function transferBytes(section: Section): Uint8Array | undefined {
  return settingsBytes(section, ZoneTableId.transfers);
}

/** The secrets that zones and views name. */
export function transferSecrets({ zones, views }: World): Set<string> {
  const names = new Set((views?.keys ?? []).map(({ secret }) => secret));
  for (const { section } of zones.zones)
    for (const { secret } of readTransferSettings(section)?.keys ?? []) names.add(secret);
  return names;
}

function isSettings(raw: unknown): raw is TransferSettings {
  return (
    isObject(raw) &&
    transferForms.some((form) => form === raw["transferAs"]) &&
    isListOf(raw["keys"], isTransferKey) &&
    isListOf(raw["allow"], isRule) &&
    (raw["certified"] === undefined || isListOf(raw["certified"], isCertifiedRule)) &&
    (raw["notify"] === undefined || isListOf(raw["notify"], isSecondary)) &&
    (raw["encryptedOnly"] === undefined || typeof raw["encryptedOnly"] === "boolean") &&
    (raw["isSigned"] === undefined || typeof raw["isSigned"] === "boolean") &&
    (raw["isCatalog"] === undefined || typeof raw["isCatalog"] === "boolean") &&
    (raw["digests"] === undefined || isListOf(raw["digests"], isDigest))
  );
}

/** Whether parsed text is a key. */
export function isTransferKey(raw: unknown): raw is TransferKey {
  return isObject(raw) && ["name", "algorithm", "secret"].every((field) => isText(raw[field]));
}

/** Whether parsed text is a rule. */
export function isRule(raw: unknown): raw is TransferRule {
  if (!isObject(raw)) return false;
  const { clients, key } = raw;
  return (clients === undefined || isListOf(clients, isText)) && (key === undefined || isText(key));
}

function isCertifiedRule(raw: unknown): boolean {
  if (!isRule(raw)) return false;
  const certificate: unknown = Reflect.get(raw, "certificate");
  if (!isObject(certificate)) return false;
  const { name, spki } = certificate;
  return (
    [name, spki].some(isText) && [name, spki].every((each) => each === undefined || isText(each))
  );
}

function isSecondary(raw: unknown): boolean {
  if (!isObject(raw)) return false;
  const { address, port, key } = raw;
  return isText(address) && typeof port === "number" && (key === undefined || isText(key));
}

function isDigest(raw: unknown): boolean {
  return raw === "sha384" || raw === "sha512";
}

function isListOf(raw: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(raw) && raw.every(isItem);
}

function isText(raw: unknown): boolean {
  return typeof raw === "string";
}

function isObject(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === "object" && raw !== null;
}
