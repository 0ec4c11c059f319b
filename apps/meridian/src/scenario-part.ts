// SPDX-License-Identifier: Apache-2.0

import { readRawDocuments, type InputFile } from "@meridian/model";
import { memberOf } from "./api-client.ts";

/** The file with its Scenario alone: lines of other documents are blank, so that places in the file stay what they are. */
export function onlyScenario(file: InputFile): InputFile {
  const { documents } = readRawDocuments(file);
  const scenarios = documents.filter(({ raw }) => memberOf(raw, "kind") === "Scenario");
  if (documents.length === scenarios.length) return file;
  if (/\.jsonl?$/.test(file.path)) {
    const kept = scenarios.map(({ raw }) => JSON.stringify(raw)).join("\n");
    return { path: file.path, bytes: Buffer.from(kept) };
  }
  const { bytes } = file;
  const content = typeof bytes === "function" ? bytes() : bytes;
  if (typeof content === "string") return file;
  const starts = documents.map(({ line }) => line);
  const kept = Buffer.from(content)
    .toString()
    .split("\n")
    .map((text, index) => {
      const at = starts.findLastIndex((line) => line <= index + 1);
      const document = documents[at];
      const isKept = document === undefined || memberOf(document.raw, "kind") === "Scenario";
      return isKept || text.startsWith("---") ? text : "";
    });
  return { path: file.path, bytes: Buffer.from(kept.join("\n")) };
}
