// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scenarioNames } from "./options.ts";
import { encryptedText } from "./output/encrypted-text.ts";
import { formatReport, replaceSection } from "./output/report-text.ts";
import { newestResults } from "./output/results.ts";
import { plotOverview, savePlot } from "./output/scenario-plots.ts";

// Writes the newest result of every scenario into README.md, between `<!-- bench:begin -->` and `<!-- bench:end -->`, and
// draws their plots anew.

const root = join(import.meta.dirname, "../..");
const folder = join(root, "bench/results");
const readme = join(root, "README.md");

/** `change-edges.ts` is a program of its own, as is `encrypted.ts`, whose result has another form. */
const scenarios = [...scenarioNames, "change-edges"];
const found = existsSync(folder) ? newestResults(folder, scenarios) : [];
for (const { file, result } of found) savePlot(join(folder, file), result);
const overview = plotOverview(found.map(({ result }) => result));
if (overview !== undefined) writeFileSync(join(folder, "overview.svg"), overview);

const text = existsSync(readme) ? readFileSync(readme, "utf8") : "";
const encrypted = existsSync(folder) ? encryptedText(folder) : undefined;
const report = [formatReport(found), ...(encrypted === undefined ? [] : [encrypted])].join("\n\n");
const next = replaceSection(text, report);
if (next === undefined) {
  console.error(
    "Cannot update README.md: it has no line <!-- bench:begin --> before a line <!-- bench:end -->",
  );
  process.exitCode = 1;
} else {
  writeFileSync(readme, next);
  console.log(`README.md: ${found.length} of ${scenarios.length} scenarios`);
}
