// SPDX-License-Identifier: Apache-2.0

import type { Section } from "../section.ts";
import { VARIANT_BITS_MAX } from "../variants.ts";
import { ZoneTableId } from "./zone-format.ts";

/** As a power of two, into how many variants answers of a zone section's zone fall; 0 where they do not. */
export function variantBitsOf(section: Section): number {
  if (section.count(ZoneTableId.variants) === 0) return 0;
  return Math.min(VARIANT_BITS_MAX, section.words[section.wordBase(ZoneTableId.variants)]!);
}
