// SPDX-License-Identifier: Apache-2.0

// A manifest names the sections of one revision by their SHA-256. It is JSON with its members in one order, so that equal revisions
// have equal bytes; `hash` is the SHA-256 of the section list and seed, which is what replicas compare.

import { hash } from "node:crypto";
import { key64 } from "@meridian/core";
import { SECTION_BYTES_MAX, SECTION_VERSION, SectionKind } from "./section.ts";
import { namesKeyText, zoneKeyText } from "./zone/zone-format.ts";

/** Most sections of a snapshot. */
export const MANIFEST_SECTIONS_MAX = 1_048_576;
/** The epoch of a control plane whose store was never restored. */
export const FIRST_EPOCH = 1;

export interface ManifestSection {
  readonly kind: number;
  /** Sixteen hex digits. */
  readonly key: string;
  /** SHA-256 of the bytes, 64 hex digits. */
  readonly name: string;
  readonly bytes: number;
}

export interface Manifest {
  readonly format: number;
  /** Grows where a store is restored or moved, which may bring lower revisions: (epoch, revision) is what never goes back. */
  readonly epoch: number;
  readonly revision: number;
  /** Seed of hashes and draws. */
  readonly seed: number;
  readonly hash: string;
  /** Of a cut: the hash of the whole revision. */
  readonly whole?: string;
  readonly sections: readonly ManifestSection[];
}

/** Puts a manifest together; sections keep the order given. */
export function makeManifest(
  revision: number,
  seed: number,
  sections: readonly ManifestSection[],
  epoch: number = FIRST_EPOCH,
): Manifest {
  const ordered = sections.map(({ kind, key, name, bytes }) => ({ kind, key, name, bytes }));
  return {
    format: SECTION_VERSION,
    epoch,
    revision,
    seed,
    hash: hashOf(seed, ordered),
    sections: ordered,
  };
}

/** The revision without some zones, by name (`zoneNameText`); itself where it has none of them. Slots and everything else stay, so that an overlay fits every cut. */
export function cutManifest(manifest: Manifest, withheld: Iterable<string>): Manifest {
  const at = new Map(manifest.sections.map(({ kind, key }, index) => [`${kind} ${key}`, index]));
  const gone = new Set<number>();
  const take = (kind: number, text: string): boolean => {
    const index = at.get(`${kind} ${key64(text).toString(16).padStart(16, "0")}`);
    if (index !== undefined) gone.add(index);
    return index !== undefined;
  };
  for (const origin of withheld) {
    take(SectionKind.zone, zoneKeyText(origin));
    for (let chunk = 0; take(SectionKind.names, namesKeyText(origin, chunk));) chunk += 1;
  }
  if (gone.size === 0) return manifest;
  const sections = manifest.sections.filter((_, index) => !gone.has(index));
  return { ...manifest, hash: hashOf(manifest.seed, sections), whole: wholeOf(manifest), sections };
}

/** The hash of the whole revision that this is, or is cut from. */
export function wholeOf({ hash, whole }: Pick<Manifest, "hash" | "whole">): string {
  return whole ?? hash;
}

/** Whether what is served as `a` comes after `b`. */
export function isLater(
  a: Pick<Manifest, "epoch" | "revision">,
  b: Pick<Manifest, "epoch" | "revision">,
): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.revision > b.revision);
}

export function encodeManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

/** Reads a manifest; the text says what is wrong with bytes that are none. */
export function parseManifest(text: string): Manifest | string {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return `Manifest is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (!isManifest(raw)) return "Manifest lacks a member or has one of another type";
  if (raw.format !== SECTION_VERSION)
    return `Manifest format is ${raw.format}, expected ${SECTION_VERSION}`;
  const found = hashOf(raw.seed, raw.sections);
  if (found !== raw.hash) return `Manifest hash is ${raw.hash}, its sections give ${found}`;
  return raw;
}

function hashOf(seed: number, sections: readonly ManifestSection[]): string {
  const lines = sections.map(({ kind, key, name, bytes }) => `${kind} ${key} ${name} ${bytes}\n`);
  return hash("sha256", `${seed}\n${lines.join("")}`);
}

function isManifest(raw: unknown): raw is Manifest {
  return (
    isRecord(raw) &&
    isCount(raw["format"]) &&
    isCount(raw["epoch"]) &&
    isCount(raw["revision"]) &&
    isCount(raw["seed"]) &&
    typeof raw["hash"] === "string" &&
    (raw["whole"] === undefined || isHex(raw["whole"], 64)) &&
    Array.isArray(raw["sections"]) &&
    raw["sections"].length <= MANIFEST_SECTIONS_MAX &&
    isSections(raw["sections"])
  );
}

/** All digits in one go: by two looks at each of hundreds of sections they take half a millisecond. */
function isSections(raw: readonly unknown[]): raw is readonly ManifestSection[] {
  if (!raw.every(isManifestSection)) return false;
  const digits = raw.map(({ key, name }) => key + name).join("");
  return Buffer.from(digits, "hex").toString("hex") === digits;
}

/** But for what the digits are. */
function isManifestSection(raw: unknown): raw is ManifestSection {
  return (
    isRecord(raw) &&
    isCount(raw["kind"]) &&
    isText(raw["key"], 16) &&
    isText(raw["name"], 64) &&
    isCount(raw["bytes"]) &&
    raw["bytes"] <= SECTION_BYTES_MAX
  );
}

function isRecord(raw: unknown): raw is Record<string, unknown> {
  return typeof raw === "object" && raw !== null;
}

function isCount(raw: unknown): raw is number {
  return typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0;
}

function isHex(raw: unknown, digits: number): boolean {
  return isText(raw, digits) && /^[0-9a-f]+$/.test(raw);
}

function isText(raw: unknown, length: number): raw is string {
  return typeof raw === "string" && raw.length === length;
}
