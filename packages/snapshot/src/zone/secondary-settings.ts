// SPDX-License-Identifier: Apache-2.0

// What an edge has to know of a secondary zone: until when its data may be answered from, so that it stops by itself where it hears of
// control no more, and whose NOTIFY it passes on. It travels in the zone's section as text, as who may have the zone does.

import type { Section } from "../section.ts";
import { encodeSettings, readSettings, settingsBytes } from "./settings-text.ts";
import { ZoneTableId } from "./zone-format.ts";

/** Who may say that a zone has changed. */
export interface NotifySource {
  /** Networks in presentation form. */
  readonly clients: readonly string[];
  /** Name of the key that has to sign; none has to where absent. */
  readonly key?: string;
}

export interface SecondarySettings {
  /** Unix seconds; 0 for a zone that never came. */
  readonly expiresSeconds: number;
  readonly notify: readonly NotifySource[];
}

/** Settings as a zone section holds them. */
export function encodeSecondarySettings(settings: SecondarySettings): Uint8Array {
  return encodeSettings(settings);
}

/** The settings in a zone section; undefined where it has none, or none that are understood. */
export function readSecondarySettings(section: Section): SecondarySettings | undefined {
  return readSettings(section, ZoneTableId.secondary, isSettings);
}

/** A copy of the settings' bytes in a zone section. */
export function secondaryBytes(section: Section): Uint8Array | undefined {
  return settingsBytes(section, ZoneTableId.secondary);
}

function isSettings(raw: unknown): raw is SecondarySettings {
  return (
    typeof raw === "object" &&
    raw !== null &&
    "expiresSeconds" in raw &&
    typeof raw.expiresSeconds === "number" &&
    "notify" in raw &&
    Array.isArray(raw.notify) &&
    raw.notify.every(isSource)
  );
}

function isSource(raw: unknown): boolean {
  if (typeof raw !== "object" || raw === null || !("clients" in raw)) return false;
  const isTexts =
    Array.isArray(raw.clients) && raw.clients.every((each) => typeof each === "string");
  return isTexts && (!("key" in raw) || typeof raw.key === "string");
}
