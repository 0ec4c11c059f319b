// SPDX-License-Identifier: Apache-2.0
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Pcg32 } from "@meridian/core";
import { below, oneOf } from "./random-model.ts";

/** How far the write of the newest revision had come when the process died. */
export type Tear = "none" | "sections" | "rotated" | "manifest";

/**
 * Copies a state folder as a crash leaves it: `whole` is the folder after everything was written, `before` the same folder before the
 * newest revision was. Files are replaced by rename, so what is torn are temporary files, new sections and the journal's last line.
 */
export function copyTorn(
  whole: string,
  before: string | undefined,
  to: string,
  random: Pcg32,
): Tear {
  const tear =
    before === undefined ? "none" : oneOf<Tear>(random, ["sections", "rotated", "manifest"]);
  const copy = (from: string): void =>
    cpSync(from, to, { recursive: true, filter: (path) => !/\/lock\.[0-9]+$/.test(path) });
  copy(tear === "none" ? whole : (before ?? whole));
  if (tear !== "none") addNewSections(whole, to, random);
  if (tear === "rotated" || tear === "manifest") {
    // Rotation has begun: the newest manifest is not there, or is half a file under its temporary name.
    const newest = join(to, "manifest.json");
    if (existsSync(newest)) {
      cpSync(newest, join(to, "manifest.1.json"));
      rmSync(newest);
    }
    if (tear === "manifest") writeFileSync(`${newest}.new`, '{\n "format": 1,');
  }
  // What control writes of the overlay at the same time: half a table under its temporary name, half a line of the journal.
  writeFileSync(join(to, "overlay.bin.new"), "MOVL");
  for (const name of readdirSync(join(to, "history"))) {
    if (name.startsWith("journal-") && below(random, 2) === 0)
      appendFileSync(join(to, "history", name), '{"sequence":99,"revi');
  }
  return tear;
}

/** Some sections of the newest revision are there, one of them cut off. */
function addNewSections(whole: string, to: string, random: Pcg32): void {
  for (const name of readdirSync(join(whole, "sections"))) {
    const path = join(to, "sections", name);
    if (existsSync(path) || below(random, 2) === 0) continue;
    cpSync(join(whole, "sections", name), `${path}.new`);
    if (below(random, 2) === 0) truncateSync(`${path}.new`, 64);
    else cpSync(join(whole, "sections", name), path);
  }
}
