// SPDX-License-Identifier: Apache-2.0
import { openSection, type Section } from "./section.ts";
import { World } from "./world.ts";

/** Opens and loads sections; the reason where the reader refuses them. */
export function worldOf(
  sections: readonly { readonly buffer: SharedArrayBuffer }[],
  seed: number,
): World | string {
  const opened: Section[] = [];
  for (const { buffer } of sections) {
    const section = openSection(buffer);
    if ("error" in section) return section.error;
    opened.push(section);
  }
  const world = World.load(opened, seed);
  return "error" in world ? world.error : world;
}
